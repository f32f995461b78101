"""A button that lets the network forget, layer by layer, and shows what becomes of the map."""

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from components import palette
from components.heat import table
from components.heat.asking import keep_own, own, owner
from components.image_picker import Subject
from components.pickers import forget
from components.work import result_of
from tinymodel.data.prepared import SIDE
from tinymodel.evaluation import weights_version
from tinymodel.explain import render
from tinymodel.explain.gradcam import SLOW_METHODS, Explanation
from tinymodel.explain.sanity import SanityCheck, check_run
from tinymodel.runs import Run


def show(run: Run, subject: Subject, result: Explanation) -> None:
    """The invitation, or with `?sanity=on` the check of this map."""
    st.subheader("Is the map about the network at all? (sanity check)", anchor=False)
    wanted = st.query_params.get("sanity") == "on"
    st.markdown(
        "A heat map may look convincing and yet show only the edges in the picture. So let the network *forget*: its "
        "layers get random numbers, one after the other from the answer down, and each time the map is made again. "
        "If the map shows what was learned, it falls apart."
    )
    if result.method in SLOW_METHODS:
        st.caption("Choose a quick method for this check: it makes more than thirty maps.")
        return
    if not wanted:
        st.button(
            "Let it forget",
            icon=":material/ink_eraser:",
            on_click=lambda: st.query_params.update(sanity="on"),
        )
        return
    found = _check(run, subject, result)
    show_maps(found)
    show_curves(found)
    show_words(found)
    st.button("Close the check", icon=":material/close:", on_click=forget, args=("sanity",))


def _check(run: Run, subject: Subject, result: Explanation) -> SanityCheck:
    choices = dict(target=result.target, layer=result.layer, method=result.method)
    version, pixels = weights_version(run), subject.pixels
    who = (owner(subject), subject.digest)
    key = ("sanity", str(run.folder), version, *who, *choices.values())
    if (kept := own(key)) is not None:
        return kept
    found = result_of(
        key,
        lambda report: check_run(run, pixels, report=report, **choices),
        label="Letting a copy of the network forget",
    )
    if subject.photo is not None:
        keep_own(key, found)
    return found


def show_maps(found: SanityCheck) -> None:
    cells, edges = [], render.heat_map(found.edges, side=SIDE)
    for step in found.steps:
        picture = table.Picture(
            render.heat_map(step.heat, side=SIDE, smooth=True),
            f"Heat map: {step.title}",
            crisp=False,
        )
        cells.append(table.Cell([picture], _number(step.rank_correlation, step.heat)))
    same = table.Cell([table.Picture(edges, "The edges in the picture")], ["does not change"])
    table.show(
        [
            (step.title, "" if i == 0 else "and all above: random" if i > 1 else "random")
            for i, step in enumerate(found.steps)
        ],
        [table.Row(cells), table.Row([same] * len(cells))],
        key="sanity-maps",
        label="The heat map while the network forgets, and below it the edges of the picture",
        legend=table.Legend("nothing speaks for it", "the most"),
        side=96,
    )
    st.caption(
        "Above: the heat map, forgetting more from left to right. Below: the edges in the picture (Sobel), a map that never "
        "asks the network and so cannot fall apart."
    )


def _number(values: tuple[float, ...], heat: np.ndarray) -> list[str]:
    if not heat.any():
        return ["empty"]
    return [f"agreement {np.nanmean(values):.2f}"]


def show_curves(found: SanityCheck) -> None:
    titles = [step.title for step in found.steps]
    figure = go.Figure()
    for name, attribute, colour in (
        ("Agreement of the order of places (rank correlation)", "rank_correlation", palette.BLUE),
        ("Alike as pictures (structural similarity, SSIM)", "ssim", palette.ORANGE),
    ):
        draws = [np.array(getattr(step, attribute), dtype=float) for step in found.steps]
        known = [values[~np.isnan(values)] for values in draws]
        means = [values.mean() if len(values) else None for values in known]
        ends = [(values.min(), values.max()) if len(values) else (0, 0) for values in known]
        above = [
            high - mean if mean is not None else 0
            for (_, high), mean in zip(ends, means, strict=True)
        ]
        below = [
            mean - low if mean is not None else 0
            for (low, _), mean in zip(ends, means, strict=True)
        ]
        figure.add_scatter(
            x=titles,
            y=means,
            name=name,
            mode="lines+markers",
            line_color=colour,
            error_y=dict(array=above, arrayminus=below, thickness=1, width=3),
            hovertemplate="%{x}: %{y:.2f}<extra></extra>",
        )
    figure.add_scatter(
        x=titles,
        y=[1.0] * len(titles),
        name="The edges, which never asked the network",
        mode="lines",
        line=dict(color=palette.NEUTRAL, dash="dash"),
        hoverinfo="skip",
    )
    palette.layout(figure, height=380)
    figure.update_layout(legend=dict(orientation="h", yanchor="top", y=-0.45))
    figure.update_yaxes(
        range=[-1.05, 1.1], title="agreement with the map as trained", fixedrange=True
    )
    figure.update_xaxes(fixedrange=True)
    st.plotly_chart(
        figure,
        key="sanity-curves",
        config=palette.CHART_CONFIG,
        alt=f"Agreement with the map as trained, after {len(titles)} steps of forgetting",
    )


def show_words(found: SanityCheck) -> None:
    values = [value for step in found.steps[1:] for value in step.rank_correlation]
    left = float(np.nanmean(values)) if not np.isnan(values).all() else 0.0
    if left < 0.3:
        verdict = "it fell apart, as it should: the map is about what was learned."
    elif left < 0.6:
        verdict = "it fell apart in part: some of what it shows lies in the picture, whatever was learned."
    else:
        verdict = "much of it stayed: be careful with what you read into this map."
    edges = (
        ""
        if np.isnan(found.edges_rank_correlation)
        else (
            f" With the edges of the picture the map as trained agrees to {found.edges_rank_correlation:.2f}."
        )
    )
    st.markdown(
        f"On average an agreement of **{left:.2f}** is left once the classifier is random: {verdict}{edges} "
        "(1 is the same order of places, 0 none, −1 the reverse. Bars: three draws of random numbers.)"
    )
    st.caption(
        "Cascading randomisation, Adebayo et al., *Sanity Checks for Saliency Maps*, NeurIPS 2018. The network in the run "
        "is not touched: a copy forgets."
    )
