"""One page about a run, to hand in: what was trained, how it learned, how good it became, where it looks.

A single HTML file with everything in it: no script, nothing from the network, two sides of paper.
"""

from collections.abc import Callable
from datetime import datetime
from xml.etree.ElementTree import Element

import numpy as np
import pandas as pd

from tinymodel import report_words as words
from tinymodel.config import PRESETS
from tinymodel.report_drawing import (
    RATE,
    TRAIN,
    VALIDATION,
    Line,
    chart,
    element,
    page,
)
from tinymodel.report_pictures import pictures
from tinymodel.report_words import Findings, counted, name_of, percent, shorten, times
from tinymodel.runs import Run
from tinymodel.scores import (
    confused_pairs,
    confusion,
    per_class,
    top5_accuracy,
)
from tinymodel.training.supervisor import duration

Report = Callable[[float, str], None]
MOST_CLASSES = 12  # in one table; of more, the best and the worst
PAIRS = 6  # confusions
OPTIMISERS = dict(sgd="SGD", muon="Muon")


def write_report(run: Run, report: Report | None = None) -> str:
    """The page, as HTML, well below a megabyte.

    Only inside a job: heat maps are made with a network that all jobs share.

    Args:
        report: Called as `report(fraction, message)`; it may raise to stop.

    Raises:
        UserError: The run is gone, or its tables are damaged.
    """
    say = report or (lambda fraction, message: None)
    say(0.0, "Reading the run")
    found = words.gather(run, lambda done, message: say(0.6 * done, message))
    name = shorten(run.name)
    body = [
        who(),
        element("h1", f"What the network learned: {name}"),
        element("p", "Report of a training run.", class_="soft"),
        element("h2", "In short"),
        element("ul", *(element("li", text) for text in words.in_short(found)), class_="short"),
        element("h2", "What was trained"),
        facts(found),
        element("h2", "How it learned"),
        curves(found),
        *how_good(found),
        *pictures(found, lambda done, message: say(0.6 + 0.4 * done, message)),
        element("h2", "What I think about it"),
        element("div", *(element("div") for _ in range(4)), class_="lines"),
        element(
            "p",
            f"Written on {datetime.now():%Y-%m-%d}. Interval: 95 %, after Wilson (1927). Accuracy counts the answers "
            "whose most probable class is the true one (top-1), on validation images, from which the network never "
            "learned.",
            class_="soft",
        ),
    ]
    return page(f"Report: {name}", body)


def who() -> Element:
    """Lines to write on."""
    return element(
        "div", *(element("span", text) for text in ("Name", "Class", "Date")), class_="who"
    )


def facts(found: Findings) -> Element:
    """What was trained on what."""
    run, info, config = found.run, found.run.info(), found.run.config
    done, seconds = len(found.epochs), found.epochs["seconds"].sum()
    images = [info.get("train_images"), info.get("val_images")]
    learned, judged = (f"{n:,}" if isinstance(n, int) else "–" for n in images)
    weights = info.get("parameters")
    preset = PRESETS[config.preset].title if config.preset in PRESETS else config.preset
    rows = {
        "Pictures (dataset)": f"{shorten(config.dataset)}: {counted(len(run.classes), 'class', 'classes')}",
        "Pictures to learn from": learned,
        "Pictures to be judged by (validation)": judged,
        "Network": f"bottleneck network, width {config.width}",
        "Weights (parameters)": f"{weights:,}" if isinstance(weights, int) else "–",
        "Recipe (preset, optimiser)": f"{shorten(preset)}, {OPTIMISERS[config.optimizer]}",
        "Rounds through all pictures (epochs)": f"{done} of {config.epochs}",
        "Time": duration(seconds) if np.isfinite(seconds) else "–",
        "Computed on": f"{shorten(str(info.get('device', '–')).upper())}, {shorten(str(info.get('precision', '–')))}",
        "Trained on": f"{run.created:%Y-%m-%d, %H:%M}",
    }
    items = (
        element("div", element("dt", name), element("dd", value)) for name, value in rows.items()
    )
    return element("dl", *items)


def curves(found: Findings) -> Element:
    table, epochs = found.epochs, max(1, found.run.config.epochs)
    drawn = [
        chart(
            title,
            [
                Line("validation", VALIDATION, table["epoch"], table[f"val_{what}"]),
                Line("training", TRAIN, table["epoch"], table[f"train_{what}"]),
            ],
            unit=unit,
            epochs=epochs,
        )
        for what, title, unit in (
            ("accuracy", "Right answers (accuracy), higher is better", "percent"),
            ("loss", "How wrong it is (loss), lower is better", "number"),
        )
    ]
    steps = found.steps
    if len(steps):  # finer than epochs: a warm-up may take less than one
        per_epoch = max(1, found.run.info().get("steps_per_epoch", 1))
        rate = Line("rate", RATE, steps["step"] / per_epoch, steps["lr"], marks=False)
    else:
        rate = Line("rate", RATE, table["epoch"], table["lr"])
    drawn.append(chart("Step size (learning rate)", [rate], unit="number", epochs=epochs))
    return element("div", *drawn, class_="charts")


# How good it is


def how_good(found: Findings) -> list[Element]:
    """The accuracy with its interval, then the classes and what is taken for what, where the answers are known."""
    share = words.estimate(found)
    heading = element("h2", "How good it became")
    if not share.count:
        return [heading, element("p", "It has not been judged yet: no epoch was finished.")]
    best = found.epochs["val_accuracy"].max()
    at = found.epochs.loc[found.epochs["val_accuracy"] == best, "epoch"]
    after = f", after epoch {at.iloc[0]:.0f}, its best," if len(at) else ""
    text = (
        f"Accuracy {percent(share.mean)}{after} on {share.count:,} validation images, "
        f"95 % interval {percent(share.low)} to {percent(share.high)}"
    )
    if found.answers is not None and len(found.run.classes) > 5:
        text += f"; the true class is among its five best guesses (top-5) in {percent(top5_accuracy(found.answers))}"
    text += f". Guessing: {percent(1 / len(found.run.classes))}."
    if found.answers is None:
        missing = element("p", "Which classes it confuses is not known: its answers were not kept.")
        return [heading, element("p", text), missing]
    tables = element("div", class_table(found), confusion_table(found), class_="two")
    return [heading, element("p", text), tables]


def class_table(found: Findings) -> Element:
    classes = per_class(found.answers, len(found.run.classes))
    classes = classes[classes["images"] > 0].sort_values("accuracy", ascending=False, kind="stable")
    title = "Classes, best first"
    if len(classes) > MOST_CLASSES:
        half = MOST_CLASSES // 2
        title = f"The {half} best and the {half} worst of {len(classes)} classes"
        classes = pd.concat([classes.head(half), classes.tail(half)])
    rows = [
        (
            name_of(found.run, row.label),
            f"{row.right} of {row.images}",
            f"{name_of(found.run, row.mostly)}, {times(row.mostly_count)}"
            if row.mostly >= 0
            else "–",
        )
        for row in classes.itertuples()
    ]
    return table(title, ("Class", "Right", "Mostly taken for"), rows, numbers=(1,))


def confusion_table(found: Findings) -> Element:
    pairs = confused_pairs(confusion(found.answers, len(found.run.classes))).head(PAIRS)
    if pairs.empty:
        return element("p", "Not one mistake on the validation images.")
    rows = [
        (
            name_of(found.run, row.true),
            name_of(found.run, row.predicted),
            times(row.count),
            percent(row.share),
        )
        for row in pairs.itertuples()
    ]
    heads = ("It was", "It said", "How often", "Of its pictures")
    return table("Most frequent confusions", heads, rows, numbers=(2, 3))


def table(
    title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]], numbers: tuple[int, ...]
) -> Element:
    """A table of words; the columns `numbers` are set to the right."""

    def look(place: int) -> dict[str, str]:
        return dict(class_="number") if place in numbers else {}

    names = (element("th", text, scope="col", **look(i)) for i, text in enumerate(heads))
    body = (
        element("tr", *(element("td", text, **look(i)) for i, text in enumerate(row)))
        for row in rows
    )
    head = element("thead", element("tr", *names))
    return element("table", element("caption", title), head, element("tbody", *body))
