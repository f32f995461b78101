"""One row a picture, one column a layer or a method."""

from collections.abc import Sequence

import streamlit as st

from components.heat import choices, drawing, table
from components.heat.asking import Question, answered, ask
from components.image_picker import Subject
from tinymodel.explain.gradcam import ALL_METHODS, METHODS, SLOW_METHODS, Explanation
from tinymodel.network import block_title
from tinymodel.runs import Run

FEW_SLOW = 4  # pictures: for more, the slow methods would keep a class waiting


def show_layers(run: Run, subjects: Sequence[Subject]) -> None:
    """The map forming from the first block's fine grid to the last one's coarse grid, all in one pass."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = choices.choose_method(slow=False)
        target = choices.choose_target(run)
        draw, same = choices.choose_drawing("over"), choices.choose_scale()
        every = st.toggle(
            "All blocks",
            key="all",
            bind="query-params",
            help="Off shows the last block of each grid.",
        )
    names = choices.layers(run)
    shown = tuple(names if every else _last_of_each(names))
    page = drawing.page_of(subjects)
    answers = ask(run, [Question(s, shown, method, target) for s in page])
    titles = [block_title(name) for name in shown]
    _show(run, page, answers, titles, draw, same, key="layers")
    st.caption(
        "Read from left to right: early blocks mark edges and colours all over the picture; block by block the evidence "
        "gathers on fewer, larger cells. Early maps of Grad-CAM are rough, LayerCAM keeps them finer."
    )


def show_methods(run: Run, subjects: Sequence[Subject]) -> None:
    """The same question to every method."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layer = choices.choose_layer(run)
        target = choices.choose_target(run)
        draw, same = choices.choose_drawing("over"), choices.choose_scale()
    page = drawing.page_of(subjects)
    slow = [Question(s, (layer,), m, target) for m in SLOW_METHODS for s in page]
    ready = all(answered(run, question) for question in slow)
    methods = ALL_METHODS if ready else METHODS
    found = ask(run, [Question(s, (layer,), m, target) for m in methods for s in page])
    answers = [[found[i + len(page) * m][0] for m in range(len(methods))] for i in range(len(page))]
    titles = [method.title for method in methods.values()]
    _show(run, page, answers, titles, draw, same, key="methods")
    if ready:
        return
    if len(page) > FEW_SLOW:
        names = " and ".join(method.title for method in SLOW_METHODS.values())
        st.caption(f"{names} are slow: choose at most {FEW_SLOW} pictures to add them.")
        return
    ask(run, slow)  # says what it costs, then how far it is, and ends the page
    st.rerun()


def _last_of_each(names: Sequence[str]) -> list[str]:
    """The last block of the first part and of each stage."""
    return list({name.partition(".")[0]: name for name in names}.values())


def _show(
    run: Run,
    subjects: Sequence[Subject],
    answers: Sequence[Sequence[Explanation]],
    titles: Sequence[str],
    draw: str,
    same: bool,
    *,
    key: str,
) -> None:
    tops = [drawing.common_top(column) if same else None for column in zip(*answers, strict=True)]
    rows = [
        drawing.row(
            run,
            subject,
            found[0],
            [
                drawing.heat_cell(run, subject, one, draw, top, same)
                for one, top in zip(found, tops, strict=True)
            ],
        )
        for subject, found in zip(subjects, answers, strict=True)
    ]
    sizes = [f"{one.signed.shape[1]}×{one.signed.shape[0]} cells" for one in answers[0]]
    clicked = table.show(
        [("Picture", "64×64 pixels"), *zip(titles, sizes, strict=True)],
        rows,
        key=key,
        label="Heat maps, a row for each picture",
        legend=drawing.HEAT,
    )
    if clicked is not None:
        drawing.open_alone(subjects[clicked])
