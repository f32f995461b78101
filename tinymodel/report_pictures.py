"""The pictures of a report: where the network looked, and what it got wrong."""

from collections.abc import Callable
from xml.etree.ElementTree import Element

import pandas as pd

from tinymodel.errors import UserError
from tinymodel.explain import render
from tinymodel.report_drawing import element, picture
from tinymodel.report_words import Findings, name_of, percent, shorten
from tinymodel.scores import select

WRONG, HEAT = 6, 3  # wrong answers, and heat maps of each kind
SIDE = 160  # pixels of a heat map
Report = Callable[[float, str], None]


def pictures(found: Findings, report: Report) -> list[Element]:
    """Heat maps and wrong answers, or the sentence that says why there are none."""
    heading = element("h2", "Where it looks, and what it gets wrong")
    if found.images is None or found.answers is None:
        reason = found.why_not or "The run has no weights yet."
        return [
            heading,
            element("p", f"There are no pictures in this report. {shorten(reason, 400)}"),
        ]
    answers = found.answers[found.answers["index"].between(0, len(found.images) - 1)]
    right, wrong = (
        select(answers, kind, sort="sure").drop_duplicates("label").head(HEAT)
        for kind in ("right", "mistakes")
    )
    others = select(answers, "mistakes", sort="loss")
    others = others[~others["index"].isin(wrong["index"])].drop_duplicates("label").head(WRONG)
    parts = [heading]
    try:
        parts += heat_maps(found, right, wrong, report)
    except UserError as error:  # no weights, or of another network: the pictures are still there
        text = f"There are no heat maps in this report. {shorten(str(error), 400)}"
        parts.append(element("p", text, class_="soft"))
    if len(others):
        figures = (one_answer(found, row) for row in others.itertuples())
        title = "More wrong answers, the worst of their class"
        parts += [element("h3", title), element("div", *figures, class_="pictures")]
    elif not len(wrong):
        parts.append(element("p", "Not one wrong answer on the validation images."))
    return parts


def heat_maps(
    found: Findings, right: pd.DataFrame, wrong: pd.DataFrame, report: Report
) -> list[Element]:
    """The pictures of these answers beside where the network looked."""
    total, done, parts = len(right) + len(wrong), 0, []
    for title, rows in (("Right and sure of it", right), ("Wrong and sure of it", wrong)):
        figures = []
        for row in rows.itertuples():
            report(done / total, f"Drawing heat map {done + 1} of {total}")
            figures.append(heat_map(found, row))
            done += 1
        if figures:
            parts += [element("h3", title), element("div", *figures, class_="pictures pairs")]
    text = "Bright places in the heat map spoke for its answer (Grad-CAM)."
    return [element("p", text, class_="soft"), *parts]


def heat_map(found: Findings, row) -> Element:
    """A picture and the same under its heat map."""
    from tinymodel.explain.gradcam import explain_run  # torch: not for a report without pictures

    image = found.images[row.index]
    explanation = explain_run(found.run, image)
    says = name_of(found.run, row.prediction)
    alt = f"Heat map: where the network looked when it said {says}"
    if explanation.blank:
        alt = f"The same picture: no place in it spoke for {says}, so the heat map is blank"
    seen = render.overlay(image, explanation.heat, opacity=0.55, side=SIDE, smooth=True)
    true = name_of(found.run, row.label)
    pair = element(
        "div", picture(image, f"Picture of: {true}"), picture(seen, alt, smooth=True), class_="pair"
    )
    return element("figure", pair, caption(found, row))


def one_answer(found: Findings, row) -> Element:
    image = picture(found.images[row.index], f"Picture of: {name_of(found.run, row.label)}")
    return element("figure", image, caption(found, row))


def caption(found: Findings, row) -> Element:
    true, says = name_of(found.run, row.label), name_of(found.run, row.prediction)
    said = f"says: {says}, {percent(row.confidence)}"
    return element("figcaption", f"true: {true}", element("br"), said)
