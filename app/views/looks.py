"""Where it looks, measured: the heat against the box around the thing."""

import pandas as pd
import streamlit as st
from components import localisation_charts, localisation_fields, no_pictures
from components.localisation_charts import points
from components.messages import invite, missing, percent, plain, user_errors
from components.pickers import choose, choose_run, forget
from components.work import result_of

from tinymodel import jobs
from tinymodel.errors import UserError
from tinymodel.evaluation import run_dataset, weights_version
from tinymodel.explain import findings, localisation
from tinymodel.explain.findings import WIDEST
from tinymodel.runs import ACTIVE, Run

MANY_CLASSES = 30  # more are not all drawn


def main() -> None:
    st.title("Where it looks")
    st.caption(
        "Does the heat lie on the thing? Measured on every picture that has a box around the thing: right for the right "
        "reason, or right for the wrong one?"
    )
    notes = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        run = choose_run(
            "No network yet",
            "Here you will see whether a network looks at the thing it names, and find the pictures that it gets right "
            "for the wrong reason. First a network must learn something.",
            notes=notes,
            on_change=lambda: forget("class", "field", "page"),
        )
        split = choose(
            "Pictures",
            localisation.SPLITS,
            name="split",
            as_row=True,
            help="**Validation**: pictures that the network never learned from. **Training**: up to "
            f"{localisation.PER_CLASS} of each class that it did learn from; here a shortcut pays, so here it shows.",
            notes=notes,
            on_change=lambda: forget("page"),
        )
    if not run.has_weights:
        missing(
            "Nothing learned yet",
            f"The run '{run.name}' has no weights yet: they are saved at the end of its first epoch. "
            "Then it can be measured here.",
            page="views/train.py",
            label="See how far it is",
        )
    table = measured(run, split)
    show_suspects(run)
    if run.status in ACTIVE:
        st.caption("Training goes on: this is the network of the best epoch so far.")
    show_summary(table)
    localisation_fields.show(run, table, notes)
    show_classes(run, table)
    how_it_is_measured()


def measured(run: Run, split: str) -> pd.DataFrame:
    """What was measured: with the best weights so far, or with former ones and an offer to do it again.

    Before anything was measured the page ends with an invitation.
    """
    if (kept := localisation.kept(run, split)) is not None:
        return kept
    former = localisation.kept(run, split, outdated=True)
    key = ("localise", str(run.folder), weights_version(run))
    if jobs.find(key) is None and not offer_to_measure(run, former is not None):
        if former is None:
            st.stop()
        return former
    result_of(
        key,
        lambda report: localisation.localise_run(run, report),
        label="Measuring where the network looks",
    )
    made = localisation.kept(run, split, outdated=True)
    if made is None:  # somebody has removed it
        jobs.forget(key)
        st.rerun()
    return made


def offer_to_measure(run: Run, again: bool) -> bool:
    """Whether the button has just been pressed."""
    try:
        dataset = run_dataset(run)
    except UserError as error:
        if again:
            return False  # what was measured can be shown without it
        no_pictures.show(
            run,
            error,
            "Here you see, measured on every picture, whether the heat lies on the thing.",
        )
        return False
    count = sum(len(localisation.boxed(run, dataset, split)) for split in localisation.SPLITS)
    if not count:
        invite(
            "No boxes",
            "The pictures of this run have no boxes that say where the things are, so there is nothing to measure "
            "against. The sample and Tiny ImageNet have them.",
            page="views/data.py",
            label="See the data",
        )
        return False
    if again:
        st.info("The network has learned more since this was measured.", icon=":material/history:")
        return st.button("Measure again", icon=":material/straighten:")
    with st.container(border=True, key="measure"):
        st.subheader("Not measured yet", anchor=False)
        st.markdown(
            f"A heat map of each of **{count:,} pictures** is compared with the box around the thing. That takes "
            "seconds with a small network and minutes with a large one; it is done once and kept for everybody."
        )
        return st.button(
            f"Measure {count:,} pictures", type="primary", icon=":material/straighten:"
        )


def show_suspects(run: Run) -> None:
    """Classes that are right for the wrong reason more often than others, in words."""
    found = []
    for split, title in localisation.SPLITS.items():
        if (table := localisation.kept(run, split, outdated=True)) is not None:
            found += [(split, title, row) for row in findings.suspects(table).head(3).itertuples()]
    if not found:
        return
    lines = [
        f"- **{plain(run.classes[row.label].name)}**, {title.lower()} pictures: {percent(row.share)} of the right answers "
        f"look elsewhere; of all other classes {percent(row.others)}."
        for _, title, row in found
    ]
    st.warning(
        "**Right for the wrong reason?** These classes stand out:\n\n" + "\n".join(lines),
        icon=":material/psychology_alt:",
    )
    with st.container(horizontal=True):
        for split, title, row in found:
            item = run.classes[row.label]
            query = dict(split=split, field="right-elsewhere", **{"class": item.wnid})
            st.button(
                f"{plain(item.name)}: show its {row.images} {title.lower()} pictures",
                key=f"suspect-{split}-{row.label}",
                icon=":material/search:",
                on_click=lambda query=query: (forget("page"), st.query_params.update(query)),
            )


def show_summary(table: pd.DataFrame) -> None:
    gains = {name: findings.mean_of(findings.gain(table, name)) for name in localisation.MAPS}
    hits = {name: findings.share_of(table[f"{name}_hit"]) for name in localisation.MAPS}
    inside = findings.mean_of(table["network_inside"]).mean
    st.markdown(
        f"On average **{percent(inside)} of the heat** lies inside the box, which covers {percent(table['area'].mean())} of "
        f"the picture: **{points(gains['network'].mean)}** against chance."
    )
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Heat inside the box, more than chance", anchor=False)
        localisation_charts.compare(
            gains, key="gain", unit="points", title="points (0: a blind map)"
        )
    with right:
        st.subheader("Hottest place in the box (pointing game)", anchor=False)
        localisation_charts.compare(hits, key="pointing", unit="%", title="of the pictures")
    blank = int(table["network_inside"].isna().sum())
    st.caption(
        f"Of {len(table):,} pictures; lines: 95 % intervals. Maps for the true class."
        + (
            f" {blank:,} are empty (nothing speaks for the class): they point nowhere."
            if blank
            else ""
        )
    )


def show_classes(run: Run, table: pd.DataFrame) -> None:
    st.subheader("Class by class", anchor=False)
    ranked = findings.by_class(table)
    few = ranked.head(MANY_CLASSES)
    if len(few) < len(ranked):
        st.caption(
            f"The {MANY_CLASSES} classes at which it looks least; all of them in the table below."
        )
    localisation_charts.classes(few, run.classes, key="classes")
    st.dataframe(
        dict(
            name=[run.classes[label].name for label in ranked["label"]],
            images=ranked["images"],
            gain=100 * ranked["gain"],
            error=100 * (ranked["high"] - ranked["low"]) / 2,
            hit=100 * ranked["hit"],
            accuracy=100 * ranked["accuracy"],
            reason=100 * ranked["wrong_reason"],
        ),
        hide_index=True,
        alt="Where it looks, class by class",
        column_config=dict(
            name="Class",
            images="Pictures",
            gain=st.column_config.NumberColumn("Heat more than chance (points)", format="%.1f"),
            error=st.column_config.NumberColumn("± (95 %)", format="%.1f"),
            hit=st.column_config.NumberColumn("Pointing game (%)", format="%.1f"),
            accuracy=st.column_config.NumberColumn("Right (%)", format="%.1f"),
            reason=st.column_config.NumberColumn(
                "Of the right ones, looks elsewhere (%)", format="%.1f"
            ),
        ),
    )


def how_it_is_measured() -> None:
    with st.expander("How this is measured", icon=":material/function:"):
        st.markdown(
            "Each picture's heat map is **Grad-CAM** at the last block, blown up to the size of the picture; its values "
            "are taken as heat."
            "\n\n- **Heat inside the box, more than chance**: the share of the heat inside the box, less the share of the "
            "picture that the box covers. A box that covers half of the picture gets half of the heat even from a blind "
            "map, so only what is more than that counts. 0 points: no better than blind."
            "\n- **Pointing game** (Zhang et al. 2016): is the hottest pixel inside the box?"
            "\n- **Beside it**, maps that know nothing of the network, on the same coarse grid: the edges in the picture "
            "(Sobel), random numbers (the same for a picture each time), and all heat in the centre pixel: photographers "
            "put things in the middle."
            f"\n- **Looks inside** (the four fields): the share of the heat inside is greater than the box's share of the "
            f"picture. Pictures whose box covers more than {WIDEST:.0%} are left out. Here the map is the one for the "
            "network's own answer: where did it look when it said so? The measures above take the map for the true class."
            "\n- **95 % intervals**: of a mean ± 1.96 standard errors, of a share Wilson's."
        )


with user_errors():  # a run deleted this moment
    main()
