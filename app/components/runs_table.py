"""All runs as a table that can be sorted and ticked. What is ticked is in the address: `?runs=a,b`."""

import zlib
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from components.messages import plain
from tinymodel.errors import UserError
from tinymodel.runs import Run

STATUS = {"running": "training"}  # the others are words already
POINTS = 60  # of a small curve
ROW, MOST_ROWS = 35, 12  # pixels; the table scrolls if there are more


def choose(runs: Sequence[Run]) -> list[Run]:
    """Draw the table and return the runs that are ticked, in the order of the address."""
    by_name = {run.name: run for run in runs}
    wanted = in_address()
    gone = [name for name in wanted if name not in by_name]
    if gone:
        names = ", ".join(repr(name[:60]) for name in gone[:5])
        st.warning(plain(f"There is no run {names} any more."), icon=":material/help:")
    chosen = [name for name in dict.fromkeys(wanted) if name in by_name]
    rows = [index for index, run in enumerate(runs) if run.name in chosen]
    # Other rows make another table: else the browser would tick by number what has moved up to a deleted row.
    key = f"runs-table-{zlib.crc32(','.join(by_name).encode())}"
    st.session_state[key] = dict(selection=dict(rows=rows, columns=[], cells=[]))

    def keep() -> None:
        ticked = [runs[index].name for index in st.session_state[key]["selection"]["rows"]]
        # Who was there before stays in front, and keeps its colour.
        before = in_address()
        show([name for name in before if name in ticked] + [n for n in ticked if n not in before])

    st.dataframe(
        pd.DataFrame([summary(run) for run in runs]),
        column_config=COLUMNS,
        hide_index=True,
        height="content" if len(runs) <= MOST_ROWS else ROW * (1 + MOST_ROWS) + 3,
        placeholder="–",
        key=key,
        on_select=keep,
        selection_mode="multi-row",
        alt="All runs",
    )
    return [by_name[name] for name in chosen]


def in_address() -> list[str]:
    """The names of the runs that are ticked, whether they are there or not."""
    return [name for name in st.query_params.get("runs", "").split(",") if name]


def show(names: Sequence[str]) -> None:
    """Put these runs, and no others, into the address."""
    if names:
        st.query_params["runs"] = ",".join(names)
    else:
        st.query_params.pop("runs", None)


def summary(run: Run) -> dict:
    """One row of the table; what cannot be read is missing in it."""
    config = run.config
    row = dict(
        name=run.name,
        accuracy=None,
        curve=None,
        dataset=config.dataset,
        preset=config.preset,
        classes=len(run.classes),
        epochs=None,
        minutes=None,
        status="gone",
        bytes=None,
        created=run.created.replace(tzinfo=None),
    )
    try:
        row["status"] = STATUS.get(status := run.status, status)
        row["bytes"] = run.size()
        epochs = run.epochs()
    except (UserError, OSError):  # a damaged table; or the run was deleted this moment
        return row
    curve = epochs["val_accuracy"]
    row["epochs"] = f"{len(epochs)} of {config.epochs}"
    if len(epochs):
        row["accuracy"] = 100 * float(curve.max())
        row["curve"] = curve.iloc[:: -(-len(curve) // POINTS)].tolist()
        row["minutes"] = float(epochs["seconds"].sum()) / 60
    return row


COLUMNS = dict(
    name=st.column_config.TextColumn("Run", width=175),
    accuracy=st.column_config.NumberColumn(
        "Accuracy",
        width=75,
        format="%.1f %%",
        help="The share of right answers on validation images, in its best epoch.",
    ),
    curve=st.column_config.LineChartColumn(
        "Curve", width=75, y_min=0, y_max=1, help="Validation accuracy from 0 to 100 %."
    ),
    dataset=st.column_config.TextColumn("Dataset", width=95),
    preset=st.column_config.TextColumn(
        "Preset", width=82, help="The recipe its settings started from."
    ),
    classes=st.column_config.NumberColumn("Classes", width=62),
    epochs=st.column_config.TextColumn("Epochs", width=72),
    minutes=st.column_config.NumberColumn(
        "Time", width=68, format="%.1f min", help="Of its finished epochs, pauses not counted."
    ),
    status=st.column_config.TextColumn("Status", width=84),
    bytes=st.column_config.NumberColumn("Size", width=65, format="bytes", help="On the disk."),
    created=st.column_config.DatetimeColumn("Created", width=95, format="D MMM HH:mm"),
)
