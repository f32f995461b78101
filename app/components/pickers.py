"""Choices that several pages share. The address is where they are kept, so a link shows the same to everybody."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components.messages import missing, percent, plain, short, show_error
from tinymodel.data import ClassInfo
from tinymodel.errors import UserError
from tinymodel.runs import Run, list_runs


def choose(
    label: str,
    options: Mapping[str, str],
    *,
    name: str,
    default: str | None = None,
    help: str | None = None,
    as_row: bool = False,
    notes: DeltaGenerator | None = None,
    on_change: Callable[[], None] | None = None,
) -> str:
    """One of `options` (value in the address → title), as `?name=` says; a sentence if it says nonsense.

    Args:
        default: The value where the address says nothing; by default the first one.
        as_row: A row of buttons instead of a list that opens.
        notes: Where the sentence goes, for choices that stand in a row; by default above the choice.
        on_change: Called after a choice has gone into the address.
    """
    default = next(iter(options)) if default is None else default
    wanted = st.query_params.get(name, default)
    if wanted not in options:
        (notes or st).warning(
            plain(f"{label}: there is no {wanted[:60]!r}; this is {options[default]!r} instead."),
            icon=":material/help:",
        )
        wanted = default
    key = f"choice-{name}"
    st.session_state[key] = wanted

    def keep() -> None:
        st.query_params[name] = st.session_state[key]
        if on_change:
            on_change()

    widget = st.selectbox
    arguments = dict(format_func=options.get, key=key, help=help, on_change=keep)
    if as_row:
        widget, arguments = st.segmented_control, arguments | dict(required=True)
    return widget(label, list(options), **arguments)


def choose_run(
    title: str,
    text: str,
    *,
    label: str = "Run",
    name: str = "run",
    without: str = "",
    suits: Callable[[Run], bool] | None = None,
    notes: DeltaGenerator | None = None,
    on_change: Callable[[], None] | None = None,
) -> Run:
    """A run, as `?run=` says, else the newest that has weights. Without runs the page ends with an invitation.

    Args:
        title, text: What the page will show, for the invitation.
        name: In the address.
        without: The name of a run that is not offered.
        suits: Which runs to prefer where the address says nothing.
        notes: As of `choose`.
    """
    runs = {run.name: run for run in list_runs() if run.name != without}
    if not runs:
        missing(title, text, page="views/train.py", label="Train a network")
    usable = [run for run in runs.values() if run.has_weights]
    if suits:
        usable.sort(key=lambda run: not suits(run))
    default = usable[0].name if usable else next(iter(runs))
    chosen = choose(
        label,
        _titles(runs.values()),
        name=name,
        default=default,
        help="A training run: whose network is studied here. Its best weights so far are used.",
        notes=notes,
        on_change=on_change,
    )
    try:
        return Run.open(chosen)
    except UserError as error:  # deleted this moment, or its run.json is damaged
        show_error(error)
        st.stop()


def _titles(runs: Iterable[Run]) -> dict[str, str]:
    """By name, what a list shows: long names without their middle, unless that makes two of them alike."""
    titles = {run.name: _title(run) for run in runs}
    shown = list(titles.values())
    return {name: title if shown.count(title) == 1 else name for name, title in titles.items()}


def _title(run: Run) -> str:
    try:
        best = run.best_accuracy
    except (OSError, ValueError):
        best = None
    return short(run.name) if best is None else f"{short(run.name)} · {percent(best)}"


def choose_class(
    label: str,
    classes: Sequence[ClassInfo],
    *,
    name: str,
    anything: str,
    counts: Mapping[int, int] | None = None,
    help: str | None = None,
    notes: DeltaGenerator | None = None,
    on_change: Callable[[], None] | None = None,
) -> int | None:
    """A class, as `?name=<its id>` says, or None for `anything`.

    Args:
        anything: What no class means, such as 'All classes'.
        counts: Label → a number behind its name; classes that are not in it are left out.
        notes: As of `choose`.
    """
    labels = sorted(range(len(classes)), key=lambda label: classes[label].name.lower())
    titles = {"": anything} | {classes[label].wnid: classes[label].name for label in labels}
    if counts is not None:
        wanted = st.query_params.get(name)  # a class chosen before stays, even with none left
        titles = {
            "": anything,
            **{
                classes[label].wnid: f"{classes[label].name} ({counts.get(label, 0)})"
                for label in labels
                if counts.get(label) or classes[label].wnid == wanted
            },
        }
    chosen = choose(label, titles, name=name, help=help, notes=notes, on_change=on_change)
    return next((label for label in labels if classes[label].wnid == chosen), None)


def class_in_address(
    label: str, classes: Sequence[ClassInfo], *, name: str, notes: DeltaGenerator | None = None
) -> int | None:
    """The class that `?name=<its id>` says, for places where something else than a list chooses it; None: no class."""
    wanted = st.query_params.get(name, "")
    found = next((place for place, item in enumerate(classes) if item.wnid == wanted), None)
    if wanted and found is None:
        (notes or st).warning(
            plain(f"{label}: there is no {wanted[:60]!r} in this run."), icon=":material/help:"
        )
    return found


def choose_classes(
    label: str,
    classes: Sequence[ClassInfo],
    *,
    name: str,
    help: str | None = None,
    notes: DeltaGenerator | None = None,
) -> list[int]:
    """Some classes, as `?name=<id>,<id>` says; ids that are none are left out with a sentence."""
    labels = {item.wnid: place for place, item in enumerate(classes)}
    words = [word for word in st.query_params.get(name, "").split(",") if word]
    wanted = [word for word in dict.fromkeys(words) if word in labels]
    if unknown := [word for word in words if word not in labels]:
        (notes or st).warning(
            plain(f"{label}: there is no {unknown[0][:60]!r} in this run."), icon=":material/help:"
        )
    key = f"choice-{name}"
    st.session_state[key] = wanted

    def keep() -> None:
        st.query_params[name] = ",".join(st.session_state[key])

    options = sorted(labels, key=lambda wnid: classes[labels[wnid]].name.lower())
    chosen = st.multiselect(
        label,
        options,
        format_func=lambda wnid: classes[labels[wnid]].name,
        key=key,
        help=help,
        placeholder="Type a name",
        on_change=keep,
    )
    return [labels[wnid] for wnid in chosen]


def choose_range(
    label: str,
    *,
    name: str,
    help: str | None = None,
    notes: DeltaGenerator | None = None,
    on_change: Callable[[], None] | None = None,
) -> tuple[float, float]:
    """A least and a greatest share in [0, 1], as `?name=20-80` says in percent; everything if it says nothing."""
    text = st.query_params.get(name, "0-100")
    parts = text.split("-")
    wanted = tuple(int(part) for part in parts if part.isdecimal() and len(part) < 4)
    if not (len(wanted) == len(parts) == 2 and wanted[0] <= wanted[1] <= 100):
        (notes or st).warning(
            plain(f"{label}: {text[:60]!r} is no range such as 20-80; this is everything instead."),
            icon=":material/help:",
        )
        wanted = (0, 100)
    key = f"choice-{name}"
    st.session_state[key] = wanted

    def keep() -> None:
        st.query_params[name] = "{}-{}".format(*st.session_state[key])
        if on_change:
            on_change()

    low, high = st.slider(label, 0, 100, key=key, format="%d %%", help=help, on_change=keep)
    return low / 100, high / 100


def choose_page(pages: int) -> int:
    """The page of `?page=`, brought into 1 … `pages`."""
    wanted = st.query_params.get("page", "1")
    page = min(pages, max(1, int(wanted))) if wanted.isdecimal() and len(wanted) < 10 else 1
    if pages == 1:
        return 1
    key = f"page-{page}-of-{pages}"  # another page is another widget: the address alone remembers

    def keep() -> None:
        st.query_params["page"] = str(st.session_state[key])

    st.pagination(pages, default=page, key=key, on_change=keep)
    return page


def forget(*names: str) -> None:
    """Drop choices from the address: those that mean nothing once another one has changed."""
    for name in names:
        st.query_params.pop(name, None)
