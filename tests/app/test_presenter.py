"""With a presenter code: what a student presses changes nothing, and what the presenter presses does."""

import ast
import hashlib

import pytest
from components import gallery, preparing, role, run_actions
from components.presenter_code import Roles
from conftest import APP, run_info
from streamlit.testing.v1 import AppTest

from tinymodel import jobs
from tinymodel.config import TrainConfig
from tinymodel.errors import UserError
from tinymodel.run_writer import RunWriter
from tinymodel.runs import Run, list_runs
from tinymodel.training.supervisor import supervisor

CODE = "Schlüssel-4711"


@pytest.fixture(autouse=True)
def a_class(monkeypatch):
    monkeypatch.setenv(role.VARIABLE, CODE)
    monkeypatch.setattr(role, "roles", Roles())
    yield
    jobs.stop_all()
    for job in list(jobs._jobs):
        jobs.forget(job)


@pytest.fixture
def begun(monkeypatch):
    """What the supervisor was asked to do; nothing is really trained."""
    asked = []
    monkeypatch.setattr(supervisor, "start", lambda config: asked.append("start") or "x")
    monkeypatch.setattr(supervisor, "resume", lambda name: asked.append("resume") or name)
    return asked


@pytest.fixture
def going(small_dataset):
    """'going', which trains, and 'half', which was stopped."""
    half = RunWriter.create(run_info(small_dataset, TrainConfig(dataset="small")), "half")
    half.update(status="stopped")
    half.close()
    writer = RunWriter.create(run_info(small_dataset, TrainConfig(dataset="small")), "going")
    yield writer.run
    writer.close()


def enter_as_presenter(app: AppTest) -> AppTest:
    app.session_state[role.TOKEN] = role.roles.open(CODE)
    return app


def open_page(app: AppTest, page: str, **query: str) -> AppTest:
    app.run()  # Home
    if page != "overview":
        app.switch_page(f"views/{page}.py")
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    return app


def press(app: AppTest, label: str) -> AppTest:
    return next(item for item in app.button if item.label == label).click().run()


def everything(folder) -> dict[str, str]:
    """Each file below it and what is in it, but for what looking alone leaves behind."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


def said(app: AppTest) -> str:
    return " ".join(item.value for item in app.info)


# A student

ON_A_RUN = dict(run="going")
WALK = [  # page, address, button
    ("train", dict(run="new"), "Start training"),
    ("train", ON_A_RUN, "Pause"),
    ("train", ON_A_RUN, "Stop"),
    ("train", dict(run="half"), "Resume"),
    ("runs", dict(runs="half"), "Resume"),
    ("runs", dict(runs="half"), "Rename"),
    ("runs", dict(runs="half"), "Delete"),
    ("runs", {}, "Import a run"),
    ("data", {}, "Get pictures"),
    ("data", {}, "Remove"),
]


@pytest.mark.parametrize(("page", "query", "label"), WALK)
def test_what_a_student_presses_changes_nothing_and_says_why(
    app, going, folders, begun, page, query, label
):
    shown = open_page(app, page, **query)
    before = everything(folders)
    if label == "Rename":
        shown.text_input(key="new-name-half").input("mine")
    press(shown, label)
    assert not shown.exception
    assert "Only the presenter can" in said(shown)
    assert everything(folders) == before
    assert not begun and not jobs.active() and Run.open("half")
    assert "half" in {run.name for run in list_runs()}
    if query == ON_A_RUN:
        assert not Run.open("going").requested()


def test_a_student_who_presses_start_reads_whose_run_is_going(app, going, begun):
    shown = press(open_page(app, "train", run="new"), "Start training")
    assert "The presenter's run 'going' is in training" in said(shown)
    assert "watch it on Train" in said(shown)
    assert not begun


def test_a_student_cannot_resume_an_interrupted_run(app, small_dataset, begun):
    writer = RunWriter.create(run_info(small_dataset, TrainConfig(dataset="small")), "cut")
    writer.close()
    press(open_page(app, "train", run="new"), "Resume it")
    assert not begun


def test_a_student_cannot_begin_on_home(app, folders, begun):
    shown = press(open_page(app, "overview"), "Train on the sample")
    assert "Only the presenter can start a training" in said(shown)
    assert jobs.find("train on the sample") is None and not begun


def test_in_an_empty_room_a_student_is_offered_no_way_to_get_pictures(app, folders):
    shown = open_page(app, "data")
    assert "Only the presenter can get pictures" in said(shown)
    assert not [item for item in shown.text_input if item.key == "archive"]  # no path to probe
    assert not [item for item in shown.button if item.label == "Make the sample"]


def test_a_student_draws_no_sample_where_its_pictures_are_missing(small_dataset, folders):
    writer = RunWriter.create(run_info(small_dataset, TrainConfig(dataset="sample")), "drawn")
    writer.close()
    shown = AppTest.from_string(NO_PICTURES, default_timeout=20).run()
    press(shown, "Draw the sample")
    assert "Only the presenter can prepare pictures" in said(shown)
    assert not jobs._jobs


NO_PICTURES = """
from components import no_pictures
from tinymodel.errors import UserError
from tinymodel.runs import Run
no_pictures.show(Run.open("drawn"), UserError("It is gone."), "Here will be pictures.")
"""


def test_a_student_measures_no_speed_and_runs_no_range_test(app, small_dataset):
    shown = open_page(app, "train", run="new")
    assert any("when the presenter chooses" in item.value for item in shown.caption)
    press(shown, "Run the test")
    assert "Only the presenter can run this test" in said(shown)
    assert not jobs._jobs


def test_a_student_chooses_no_pictures_to_watch(app, going, folders, monkeypatch):
    open_page(app, "timelapse", run="going")
    before = everything(folders)
    grid = gallery.grid
    monkeypatch.setattr(
        gallery, "grid", lambda *a, **kw: grid(*a, **kw) if not kw.get("clickable") else 0
    )  # as if the first picture were clicked
    app.run()
    assert "Only the presenter can choose the pictures to watch" in said(app)
    assert everything(folders) == before
    enter_as_presenter(app)
    with monkeypatch.context() as patch:
        patch.setattr("streamlit.rerun", lambda: None)  # or it would be clicked for ever
        app.run()
    assert everything(folders) != before


DIALOG = """
from components import run_actions
from tinymodel.runs import Run
run_actions.confirm_deletion([Run.open("half")])
"""
CALLBACK = """
from components import presenter
from tinymodel.data import remove_dataset
presenter.button("Remove", to="remove pictures", on_click=remove_dataset, args=("small",))
"""


@pytest.mark.parametrize(("script", "label"), [(DIALOG, "Delete"), (CALLBACK, "Remove")])
def test_who_has_left_the_role_since_the_button_was_drawn_changes_nothing(
    going, folders, script, label
):
    before = everything(folders)
    app = enter_as_presenter(AppTest.from_string(script, default_timeout=20)).run()
    role.roles.close(app.session_state[role.TOKEN])
    press(app, label)
    assert "Only the presenter can" in said(app)
    assert everything(folders) == before
    press(enter_as_presenter(app).run(), label)
    assert everything(folders) != before


@pytest.mark.parametrize("job", [preparing.JOB, run_actions.JOB])
def test_a_student_neither_stops_the_presenters_job_nor_puts_its_failure_away(
    app, small_dataset, job
):
    page = "data" if job == preparing.JOB else "runs"
    stopped = []

    def work(report):
        while not stopped:
            report(0.5, "working")
        raise UserError("It did not work.")

    running = jobs.submit(job, work, label="Something of the presenter's")
    shown = open_page(app, page)
    assert not [item for item in shown.button if item.label == "Stop"]
    stopped.append(True)
    running.wait(20)
    press(shown.run(), "All right")
    assert jobs.find(job) is running and "Only the presenter can" in said(shown)
    press(enter_as_presenter(shown), "All right")
    assert jobs.find(job) is None


WAITING = """
import streamlit as st
from components import role, work
st.session_state.setdefault("me", st.query_params["me"])
def slow(report):
    while True:
        report(0.5, "working")
work.result_of("a study", slow, label="A study")
"""


def study(name: str) -> AppTest:
    app = AppTest.from_string(WAITING, default_timeout=20)
    app.query_params["me"] = name
    return app.run()


def test_a_job_belongs_to_who_asked_for_it():
    mine, others = study("anna"), study("ben")
    job = jobs.find("a study")
    assert [item.label for item in mine.button] == ["Stop"]
    assert not others.button  # it waits for the same, and cannot take it from her
    press(mine, "Stop")
    assert job.wait(20).state == "stopped"


def test_the_presenter_can_stop_any_job():
    study("anna")
    job = jobs.find("a study")
    press(enter_as_presenter(study("teacher")).run(), "Stop")
    assert job.wait(20).state == "stopped"


# Nothing is forgotten

CHANGES = {  # what the app calls that starts, changes or deletes something for everybody, and where
    ("supervisor.start", "views/train.py"),
    ("supervisor.start", "views/overview.py"),
    ("supervisor.resume", "views/train.py"),
    ("supervisor.resume", "components/run_actions.py"),
    ("run.request", "views/train.py"),
    ("run.rename", "components/run_actions.py"),
    ("run.delete", "components/run_actions.py"),
    ("import_run", "components/run_actions.py"),
    ("remove_dataset", "views/data.py"),
    ("prepare_sample", "views/overview.py"),
    ("prepare_sample", "components/preparing.py"),
    ("prepare_sample", "components/no_pictures.py"),
    ("prepare_sample", "components/first_start.py"),  # before anybody is there
    ("prepare_tiny_imagenet", "components/preparing.py"),
    ("prepare_zip", "components/preparing.py"),
    ("prepare_folder", "components/preparing.py"),
    ("download", "components/preparing.py"),
    ("write", "views/timelapse.py"),  # pins
    ("save", "components/bottleneck/teach.py"),
    ("range_test.range_test", "components/range_test.py"),
    ("measure.measure", "components/estimate.py"),
}


def test_every_call_that_changes_something_for_others_is_known():
    """A new one belongs behind `presenter.button` or `role.require`, and then into the list and the walk above."""
    names = {name for name, _ in CHANGES}
    last = {name.rpartition(".")[2] for name in names if "." in name}
    found = set()
    for file in APP.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            part = name.rpartition(".")[2]
            if name in names or ("." in name and part in last and name not in HARMLESS):
                found.add((name, file.relative_to(APP).as_posix()))
    assert {place for place in found if place not in OTHERS} == CHANGES


HARMLESS = {"warming.start", "ladder.drop(columns=['spread']).rename"}
OTHERS = {  # the same names for something else
    ("download", "components/heat/one.py"),
    ("download", "components/run_actions.py"),
    ("download", "views/compare.py"),
    ("download", "views/confusion.py"),
    ("download", "views/mistakes.py"),
}


# The presenter, and who needs none


def test_the_presenter_presses_and_it_happens(app, going, folders, begun):
    shown = press(open_page(enter_as_presenter(app), "train", run="going"), "Pause")
    assert Run.open("going").requested() == "pause"
    press(shown, "Stop")
    assert Run.open("going").requested() == "stop"


def test_the_presenter_renames(app, going, begun):
    shown = open_page(enter_as_presenter(app), "runs", runs="half")
    shown.text_input(key="new-name-half").input("mine")
    press(shown, "Rename")
    assert {run.name for run in list_runs()} == {"going", "mine"}


def test_who_leaves_the_role_is_a_student_in_every_tab(app, going):
    token = role.roles.open(CODE)
    other = AppTest.from_file(str(APP / "frame.py"), default_timeout=20)
    for tab in (app, other):
        tab.session_state[role.TOKEN] = token
        tab.run()
        assert "You are the presenter" in corner(tab)
    press(press(app, "You are the presenter"), "Leave the role")
    assert "You are the presenter" not in corner(app)
    press(open_page(other, "train", run="going"), "Stop")
    assert not Run.open("going").requested()


def test_a_made_up_token_is_none(app, going):
    app.session_state[role.TOKEN] = "x" * 43
    press(open_page(app, "train", run="going"), "Stop")
    assert not Run.open("going").requested()


def test_the_presenter_sees_what_the_class_has_asked_for_and_can_end_it(app, folders):
    study("anna")
    job = jobs.find("a study")
    shown = press(enter_as_presenter(app).run(), "You are the presenter")
    assert any(item.value == "A study" for item in shown.caption)
    shown.button(key="end-a study").click().run()
    assert job.wait(20).state == "stopped"


def corner(app: AppTest) -> list[str]:
    return [item.label for item in [*app.sidebar.button, *app.sidebar.toggle]]


@pytest.mark.parametrize("code", ["", "   "])
def test_without_a_code_nothing_is_shown_and_everybody_may(app, going, monkeypatch, code):
    monkeypatch.setenv(role.VARIABLE, code)
    shown = open_page(app, "train", run="going")
    assert not corner(shown)
    press(shown, "Stop")
    assert Run.open("going").requested() == "stop"


def test_a_code_that_is_too_short_is_said_and_opens_nothing(app, going, monkeypatch):
    monkeypatch.setenv(role.VARIABLE, "short")
    shown = open_page(app, "train", run="going")
    assert "fewer than 8 characters" in shown.sidebar.error[0].value
    press(shown, "Stop")
    assert not Run.open("going").requested()


def test_the_code_may_stand_in_the_secrets_file(app, going, monkeypatch):
    monkeypatch.delenv(role.VARIABLE)
    monkeypatch.setattr(role, "_secrets_file", lambda: True)  # AppTest has secrets without a file
    app.secrets[role.SECRET] = CODE
    press(open_page(app, "train", run="going"), "Stop")
    assert not Run.open("going").requested()
    press(enter_as_presenter(app), "Stop")
    assert Run.open("going").requested() == "stop"


def test_a_secrets_file_that_cannot_be_read_opens_nothing(monkeypatch, tmp_path):
    monkeypatch.delenv(role.VARIABLE)
    file = tmp_path / "secrets.toml"
    file.write_text("presenter_code = 'unfinished")
    monkeypatch.setattr(role.st, "get_option", lambda name: [str(file)])
    monkeypatch.setattr(role.st.secrets, "load_if_toml_exists", lambda: False)
    assert "cannot be read" in role.problem()
    assert role.with_a_class() and not role.is_presenter()


def test_the_code_is_nowhere_in_what_a_page_is_told(app, small_dataset):
    shown = enter_as_presenter(open_page(app, "overview")).run()
    assert CODE not in str(shown) and CODE not in str(shown.query_params)
    assert CODE not in repr(shown.session_state)
