"""Every page at three sizes, in light and dark, by keyboard, for a screen reader, from a link; and nothing in the logs.

The pages come from `frame.py`, so one that is added is looked at too.
"""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from conftest import APP, write_scored_run
from playwright.sync_api import Page, expect

from tinymodel.config import TrainConfig
from tinymodel.data import prepare_sample
from tinymodel.evaluation import evaluate_run
from tinymodel.explain import localisation, timelapse
from tinymodel.training.loop import Training

from .conftest import Server

SOON = 120_000  # milliseconds at most, on a machine that has other work
WIDTHS = {"phone": (390, 844), "laptop": (1440, 900), "projector": (1920, 1080)}
LOOK = (Path(__file__).parent / "looking.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SETTLED = """(jobs) => {
    const app = document.querySelector('[data-testid=stApp]')
    const waits = '[data-stale=true], [data-testid=stSkeleton], [data-testid=stSpinner], .tm-skeleton' +
        (jobs ? ', [data-testid=stProgress]' : '')
    return app?.dataset.testScriptState === 'notRunning' && document.querySelector('h1') && !document.querySelector(waits)
}"""

AUDIT = """(rules) => axe.run(document, { resultTypes: ['violations'], runOnly: rules }).then((found) =>
    found.violations.filter((rule) => ['serious', 'critical'].includes(rule.impact)).flatMap((rule) =>
        rule.nodes.map((node) => [rule.id,
            document.querySelector(node.target[0])?.closest('[data-testid]')?.dataset.testid ?? '',
            `${node.html.slice(0, 160)}: ${node.failureSummary}`])))"""

# What is Streamlit's own or the browser's own, and cannot be helped from outside: (rule, place) → why
NOT_OURS = {
    ("list", "stSidebarNavItems"): "st.navigation puts its sections (div) straight into its list,",
    ("listitem", "stSidebarNavItems"): "and its entries (li) into those",
}
NOT_OUR_MESSAGES = {
    "/_stcore/": "a page of the navigation asks for health and host-config beside itself first",
    "GL Driver Message": "the software renderer of a browser without a graphics card",
}

# Further views of a page, as buttons that lead to them: what only a click shows is looked at, too.
VIEWS = {
    "gradcam": ("Layers", "Methods", "This or that", "Many pictures"),
    "confusion": ("Class by class", "How honest it is"),
    "bottleneck": ("Measure it", "Teach it new classes", "Widen or narrow it"),
}


SECOND = "a-second-run-with-a-name-as-long-as-names-may-well-become"
# And further addresses: one after another instead of the bare one.
ADDRESSES = {
    "train": ("run=new", "run=first"),
    "runs": (f"runs=first,{SECOND}",),
    "compare": (f"run=first&other={SECOND}",),
    **dict.fromkeys(("gradcam", "looks", "timelapse", "confusion", "bottleneck"), ("run=first",)),
    "mistakes": ("run=first", "run=first&image=133"),
}


def pages() -> list[str]:
    """The names of all pages, as `sections.py` lists them."""
    tree = ast.parse((APP / "components" / "sections.py").read_text(encoding="utf-8"))
    (sections,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "SECTIONS"
    )
    return [name for section in sections.values() for name, *_ in section]


BAD = re.compile(r"warn|error|deprecat|traceback|exception|no runtime", re.IGNORECASE)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server on a small sample with two finished runs of it, for all tests of this file; in the end its log is empty."""
    place = tmp_path_factory.mktemp("room")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TINYMODEL_DATA", str(place / "data"))
        environment.setenv("TINYMODEL_RUNS", str(place / "runs"))
        dataset = prepare_sample("sample", train=10, val=10)
        config = TrainConfig(
            dataset="sample", width=4, epochs=2, batch_size=50, precision="fp32", device="cpu"
        )
        training = Training.create(config, "first", (timelapse.record,))
        training.train()
        evaluate_run(training.run)
        localisation.localise_run(training.run)
        write_scored_run(dataset, SECOND, seed=1)
        server = Server(place / "server.log")
        yield server
        log = server.log.read_text(encoding="utf-8")  # after everything was clicked
        server.terminate()
        bad = [line for line in log.splitlines() if BAD.search(line)]
        assert not bad, "\n".join(bad)


@dataclass
class Visit:
    """What was found wrong on a page, by kind."""

    layout: list[str] = field(default_factory=list)
    audit: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    keyboard: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser_tab(chromium):
    """One tab for all visits."""
    context = chromium.new_context(viewport=size("laptop"))
    page = context.new_page()
    yield page
    context.close()


@pytest.fixture(scope="module", params=pages())
def visit(request, server, browser_tab) -> Visit:
    """Open a page once, look at it in three sizes and two themes, click through its views, and go through it with Tab."""
    seen, tab, name = Visit(), browser_tab, request.param

    def note(message) -> None:
        text = f"{message.text} ({message.location.get('url', '')})"
        if message.type in ("error", "warning") and not any(k in text for k in NOT_OUR_MESSAGES):
            seen.console.append(text)

    def note_request(asked) -> None:
        if not asked.url.startswith(
            (server.url, server.url.replace("http", "ws"), "data:", "blob:")
        ):
            seen.elsewhere.append(asked.url)

    def note_error(error) -> None:
        seen.console.append(str(error))

    handlers = dict(console=note, request=note_request, pageerror=note_error)
    for event, handler in handlers.items():
        tab.on(event, handler)
    tab.set_viewport_size(size("laptop"))
    for query in ADDRESSES.get(name, ("",)):
        open_page(tab, server, name, query)
        look(tab, seen, query or "at first")
        if query == ADDRESSES.get(name, ("",))[0]:
            seen.keyboard += go_through(tab)
    for view in VIEWS.get(name, ()):
        tab.get_by_role("radio", name=view, exact=True).click()
        tab.wait_for_timeout(100)
        settle(tab)
        look(tab, seen, view, ("dark",))
    if tab.locator("[data-testid=stException]").count():
        seen.layout.append("There is an exception on the page.")
    for event, handler in handlers.items():
        tab.remove_listener(event, handler)
    return seen


def size(name: str) -> dict[str, int]:
    return dict(zip(("width", "height"), WIDTHS[name], strict=True))


def open_page(tab: Page, server: Server, name: str, query: str = "", jobs: bool = True) -> None:
    address = "" if name == "overview" else name
    tab.goto(f"{server.url}/{address}{'?' if query else ''}{query}", wait_until="commit")
    settle(tab, jobs)


def settle(tab: Page, jobs: bool = True) -> None:
    """Wait until nothing is drawn any more: the script has run, and with `jobs` no job is under way."""
    tab.wait_for_function(SETTLED, arg=jobs, timeout=SOON)
    tab.wait_for_timeout(250)  # a rerun that follows at once
    tab.wait_for_function(SETTLED, arg=jobs, timeout=SOON)


def look(tab: Page, seen: Visit, view: str, schemes: tuple[str, ...] = ("dark", "light")) -> None:
    """Three sizes, every expander open, and the rules of axe."""
    tab.evaluate(OPEN_EXPANDERS)
    settle(tab)  # some are empty until they are opened
    for width in WIDTHS:
        tab.set_viewport_size(size(width))
        for _ in range(15):  # charts and tables follow the width a little later
            tab.wait_for_timeout(150)
            if not (found := tab.evaluate(LOOK)):
                break
        seen.layout += [f"{view}, {width}: {each}" for each in found]
    tab.set_viewport_size(size("laptop"))
    tab.evaluate(AXE_SCRIPT)
    for scheme in schemes:
        tab.emulate_media(color_scheme=scheme)
        tab.wait_for_timeout(250)
        seen.audit += [
            f"{view}, {scheme}: {rule}: {text}"
            for rule, place, text in tab.evaluate(AUDIT, RULES)
            if (rule, place) not in NOT_OURS
        ]


OPEN_EXPANDERS = """() => document.querySelectorAll('[data-testid=stMain] details:not([open]) > summary')
    .forEach((each) => each.click())"""


# By keyboard

STOP = (Path(__file__).parent / "focus.js").read_text(encoding="utf-8")


def go_through(tab: Page, most: int = 60) -> list[str]:
    """Press Tab from the top; what is wrong with the places where the focus rests."""
    tab.add_style_tag(content="* { transition: none !important }")
    tab.evaluate("document.activeElement?.blur()")
    wrong, reached, last = [], 0, None
    for _ in range(most):
        tab.keyboard.press("Tab")
        tab.wait_for_timeout(20)
        stop = tab.evaluate(STOP)
        if last and not (stop["changed"] or last["canvas"]):
            wrong.append(f"The focus is not seen on {last['name']}")
        if stop.get("over"):
            break
        if not stop["named"]:
            wrong.append(f"Nothing says what this is: {stop['name']}")
        reached += stop["inMain"]
        last = stop
    there = tab.evaluate(CONTROLS)
    if reached < min(there, 6):
        wrong.append(f"Tab reaches {reached} of {there} controls of the page")
    return wrong


CONTROLS = """() => document.querySelectorAll('[data-testid=stMain] :is(button:not([tabindex="-1"]), a[href], input):enabled').length"""


# Links

LINKS = {  # page → address, and what is to be seen: the value of a field, a chosen button (None), or words
    "overview": ("tour=2", {"text": "2 of 5"}),
    "data": (
        "dataset=sample&class=s03&split=val&image=133&changes=mirror",
        {"Class": "cow", "Changes by chance (augmentation)": "Mirrored", "text": "(image 133)",
         "For validation (never learned from)": None},
    ),
    "network": (
        "width=32&n-classes=20&norm=Group&convolution=Depthwise&skip=false&layers=true",
        {"Normalisation": "Group", "Convolutions": "Depthwise", "text": "32 maps"},
    ),
    "train": ("run=new&dataset=sample&preset=Reference", {"Reference": None}),
    "runs": ("runs=first&over=Minutes&training=true", {"Minutes": None, "text": "Settings"}),
    "gradcam": (
        "run=first&view=layers&images=133,155&method=layercam&draw=cells&scale=same&all=true",
        {"Layers": None, "Cells": None, "All alike": None, "Method": "LayerCAM", "text": "2 chosen"},
    ),
    "looks": ("run=first&split=train", {"Training": None, "text": "On average"}),
    "timelapse": ("run=first&epoch=1&comparable=true", {"slider": "1"}),
    "mistakes": (
        "run=first&show=all&sort=sure&true=s03&confidence=0-99&image=133",
        {"Show": "All pictures", "Order": "Surest first (highest confidence)",
         "What it is (true class)": "cow (10)", "text": "Image 133"},
    ),
    "confusion": (
        "run=first&count=5&order=worst&true=s03&predicted=s03",
        {"5": None, "Order": "Worst class first", "text": "true: cow / says: cow"},
    ),
    "compare": (f"run={SECOND}&other=first&show=both", {"text": "Both right"}),
    "bottleneck": ("run=first&map=pca3&classes=s00,s03&k=4", {"3-D (PCA)": None, "text": "k = 4"}),
    "glossary": ("q=loss", {"Look for a word": "loss"}),
}  # fmt: skip
NONSENSE = "&".join(
    f"{name}=no~such<b>"
    for name in [
        "run",
        "other",
        "runs",
        "dataset",
        "class",
        "split",
        "image",
        "images",
        "page",
        "changes",
        "view",
        "preset",
        "layer",
        "method",
        "target",
        "scale",
        "draw",
        "source",
        "field",
        "epoch",
        "show",
        "sort",
        "true",
        "predicted",
        "confidence",
        "pick",
        "heat",
        "count",
        "order",
        "part",
        "map",
        "k",
        "classes",
        "shots",
        "draw",
        "beside",
        "probe",
        "width",
        "n-classes",
        "norm",
        "skip",
        "q",
        "term",
        "on",
        "tour",
        "over",
    ]
).replace("<b>", "%3Cb%3E")


@pytest.mark.parametrize("page", pages())
def test_a_link_shows_the_same_in_a_fresh_browser_and_a_wrong_one_the_page(server, chromium, page):
    query, facts = LINKS.get(page, ("", {}))
    context = chromium.new_context(viewport=size("laptop"))
    tab = context.new_page()
    open_page(tab, server, page, query, jobs=False)
    for name, value in facts.items():
        if name == "text":
            expect(tab.get_by_text(value).filter(visible=True).first).to_be_visible(timeout=SOON)
        elif value is None:
            chosen = tab.get_by_role("radio", name=name, exact=True, checked=True)
            expect(chosen).to_be_visible(timeout=SOON)
        else:  # by its label, which also a field behind a dialog keeps
            field = tab.locator(
                "main input[type=range]" if name == "slider" else f"main [aria-label='{name}']"
            )
            expect(field.first).to_have_value(value, timeout=SOON)
    open_page(tab, server, page, NONSENSE, jobs=False)
    expect(tab.get_by_role("heading", level=1)).to_be_visible(timeout=SOON)
    assert not tab.locator("[data-testid=stException], main b:has-text('no~such')").count()
    context.close()


def test_nothing_is_cut_off_or_wider_than_the_screen(visit):
    assert not visit.layout, "\n".join(visit.layout)


def test_a_screen_reader_and_weak_eyes_get_everything(visit):
    assert not visit.audit, "\n".join(visit.audit)


def test_the_console_is_empty_and_no_other_host_is_asked(visit):
    assert not visit.console, "\n".join(visit.console)
    assert not visit.elsewhere, "\n".join(visit.elsewhere)


def test_tab_reaches_the_controls_and_shows_where_it_is(visit):
    assert not visit.keyboard, "\n".join(visit.keyboard)
