"""Runs: the table of all runs, what is ticked compared, and what can be done with it."""

import io
import json
import zipfile

import pytest
from components import comparison, run_actions
from conftest import add_epoch, run_info
from streamlit.testing.v1 import AppTest

from tinymodel import jobs
from tinymodel.config import TrainConfig
from tinymodel.run_archive import export_run, import_run
from tinymodel.run_writer import RunWriter
from tinymodel.runs import list_runs
from tinymodel.training.supervisor import supervisor


@pytest.fixture(autouse=True)
def nothing_left_running():
    yield
    jobs.stop_all()
    jobs.forget(run_actions.JOB)


@pytest.fixture
def page(app):
    def open_page(**query):
        app.switch_page("views/runs.py")
        for key, value in query.items():
            app.query_params[key] = value
        app.run()
        assert not app.exception
        return app

    return open_page


@pytest.fixture
def runs(small_dataset):
    """'first' and 'second', finished after two and three epochs, which differ in two settings."""
    made = []
    for name, changes in (("first", {}), ("second", dict(epochs=3, skip=False))):
        config = TrainConfig(dataset="small", **dict(epochs=2, width=4) | changes)
        writer = RunWriter.create(run_info(small_dataset, config), name)
        for epoch in range(1, config.epochs + 1):
            add_epoch(writer, epoch)
        writer.update(status="finished")
        writer.close()
        made.append(writer.run)
    return made


def labels(page):
    return [item.label for item in page.button]


def click(page, label):
    return next(item for item in page.button if item.label == label).click().run()


def table(page):
    return page.dataframe[0].value.set_index("name")


def test_without_runs_the_page_leads_to_train_and_offers_an_import(page):
    shown = page()
    assert "No runs yet" in [item.value for item in shown.subheader]
    assert "Import a run" in labels(shown)


def test_every_run_is_a_row_of_the_table(page, runs):
    rows = table(page())
    assert set(rows.index) == {"first", "second"}
    row = rows.loc["second"]
    assert (row.dataset, row.preset, row.classes, row.status) == (
        "small",
        "classroom",
        3,
        "finished",
    )
    assert row.epochs == "3 of 3" and row.minutes == pytest.approx(3 * 1.2 / 60)
    assert row.accuracy == pytest.approx(100 * runs[1].best_accuracy)
    assert len(row.curve) == 3 and row.bytes == runs[1].size()


def test_nothing_ticked_says_what_ticking_does(page, runs):
    shown = page()
    assert any("Tick one run" in item.value for item in shown.info)
    assert "Delete" not in labels(shown)


def test_the_address_ticks_runs_and_names_those_that_are_gone(page, runs):
    shown = page(runs="second,long-gone,first,second")
    assert "'long-gone'" in shown.warning[0].value
    assert "Delete 2 runs" in labels(shown)
    charts = shown.get("plotly_chart")
    assert len(charts) == 2
    data = json.loads(charts[0].proto.spec)["data"]
    assert [trace["name"] for trace in data] == ["second", "first"]


def test_training_is_dashed_in_the_colour_of_its_run(runs):
    epochs = {run.name: run.epochs() for run in runs}
    figure = comparison.curves(epochs, "accuracy", minutes=True, training=True)
    looks = [(trace.name, trace.line.dash, trace.line.color) for trace in figure.data]
    blue, orange = comparison.COLOURS[:2]
    assert looks == [
        ("first", "solid", blue), ("first", "dash", blue),
        ("second", "solid", orange), ("second", "dash", orange),
    ]  # fmt: skip
    assert list(figure.data[0].x) == pytest.approx([0.02, 0.04])  # minutes
    assert list(figure.data[2].y) == list(runs[1].epochs()["val_accuracy"])
    plain = comparison.curves(epochs, "loss", minutes=False, training=False)
    assert [list(trace.x) for trace in plain.data] == [[1, 2], [1, 2, 3]]


def test_only_settings_that_differ_are_shown_unless_all_are_wanted(page, runs):
    shown = page(runs="first,second")
    settings = shown.dataframe[1].value
    assert {"Epochs", "Skip connections"} <= set(settings.index)
    assert list(settings.loc["Skip connections"]) == ["yes", "no"]
    assert "Batch size" not in settings.index and "Seed" not in settings.index
    shown.toggle(key="all-settings").set_value(True).run()
    assert "Batch size" in shown.dataframe[1].value.index


def test_runs_that_were_told_the_same_say_so(page, runs):
    table = comparison.settings_table([runs[0], runs[0]], everything=False)
    assert table.empty


def test_a_run_gets_another_name(page, runs):
    shown = page(runs="first")
    shown.text_input(key="new-name-first").input("my-first")
    click(shown, "Rename")
    assert {run.name for run in list_runs()} == {"my-first", "second"}
    assert shown.query_params["runs"] == "my-first"
    assert "my-first" in table(shown).index


@pytest.mark.parametrize("name", ["second", "../second", "", "a b"])
def test_a_name_that_cannot_be_is_a_sentence(page, runs, name):
    shown = page(runs="first")
    shown.text_input(key="new-name-first").input(name)
    click(shown, "Rename")
    assert len(shown.error) == 1 and not shown.exception
    assert {run.name for run in list_runs()} == {"first", "second"}


def test_deleting_asks_first_and_says_what_goes(page, runs):
    shown = click(page(runs="first,second"), "Delete 2 runs")
    words = [item.value for item in shown.markdown]
    assert any(word.startswith("- **first**, ") and word.endswith("kB") for word in words)
    assert any("cannot be undone" in word for word in words)
    assert {"Delete", "Keep"} <= set(
        labels(shown)
    )  # clicked in tests/browser: AppTest closes dialogs
    assert len(list_runs()) == 2


def test_a_run_that_trains_can_be_neither_renamed_nor_deleted(page, runs, small_dataset):
    writer = RunWriter.create(run_info(small_dataset, TrainConfig(dataset="small")), "going")
    shown = page(runs="going,first")
    assert any("'going' is being trained" in item.value for item in shown.caption)
    assert next(item for item in shown.button if item.label == "Delete 2 runs").disabled
    assert table(shown).loc["going"].status == "training"
    writer.close()


def test_a_deletion_that_is_refused_says_why_and_deletes_the_others(runs):
    writer = RunWriter.reopen("first")  # somebody goes on with it while the question stands
    app = AppTest.from_string(
        "from components import run_actions\n"
        "from tinymodel.runs import Run\n"
        "run_actions.delete([Run.open('first'), Run.open('second')])"
    )
    app.query_params["runs"] = "first,second"
    app.run()
    assert "'first' is being trained" in app.error[0].value
    assert [run.name for run in list_runs()] == ["first"]
    assert app.query_params["runs"] == "first"
    writer.close()


def test_a_stopped_run_is_gone_on_with(page, runs, small_dataset, monkeypatch):
    writer = RunWriter.create(run_info(small_dataset, TrainConfig(dataset="small")), "half")
    writer.update(status="stopped")
    writer.close()
    resumed = []
    monkeypatch.setattr(supervisor, "resume", lambda name: resumed.append(name) or name)
    assert "Resume" not in labels(page(runs="first"))
    click(page(runs="half"), "Resume")
    assert resumed == ["half"]


def test_downloads_are_the_files_of_the_run(page, runs, tmp_path):
    shown = page(runs="first")
    assert {"The whole run (zip)", "Epochs (CSV)", "Steps (CSV)"} <= {
        item.label for item in shown.get("download_button")
    }
    with zipfile.ZipFile(io.BytesIO(run_actions.packed(runs[0]))) as archive:
        assert "first/run.json" in archive.namelist()
    assert run_actions.content(runs[0].folder / "epochs.csv").startswith(b"epoch,lr,seconds")


def exported(run) -> io.BytesIO:
    target = io.BytesIO()
    export_run(run, target)
    return target


def test_an_imported_run_is_shown_to_who_asked_for_it(page, runs, monkeypatch):
    shown = page()
    source = exported(runs[0])
    job = jobs.submit(
        run_actions.JOB, lambda report: import_run(source, "x.zip", report), label="x"
    )
    shown.session_state[run_actions.ASKED] = True
    assert job.wait(20).state == "done", job.error
    shown.run()
    assert shown.query_params["runs"] == "first-2"
    assert "first-2" in table(shown).index


def test_a_bad_zip_is_a_sentence_that_can_be_put_away(page, runs):
    job = jobs.submit(
        run_actions.JOB, lambda report: import_run(io.BytesIO(b"PK"), "x.zip", report), label="x"
    )
    job.wait(20)
    shown = page()
    assert "x.zip is not a zip file" in shown.error[0].value
    click(shown, "All right")
    assert not shown.error


def test_folders_that_cannot_be_read_are_named_and_can_be_deleted(page, runs):
    (runs[0].folder / "run.json").write_text("{")
    shown = page()
    assert list(table(shown).index) == ["second"]
    assert any("is damaged" in item.value for item in shown.markdown)
    shown.button(key="delete-first").click().run()
    assert any("**first**" in item.value for item in shown.markdown)


@pytest.mark.parametrize("which", [0, 1])  # the older run and the newest, of which the card tells
def test_a_damaged_table_leaves_the_page_whole(page, runs, which):
    (runs[which].folder / "epochs.csv").write_bytes(b"epoch,lr\n\xff\xfe,1\n")
    shown = page(runs="first,second")
    assert "is damaged" in shown.warning[0].value
    assert len(shown.get("plotly_chart")) == 2
