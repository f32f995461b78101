"""Run folders: whole, atomic, locked by whoever writes, readable by everybody."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import add_epoch, run_info

from tinymodel.config import TrainConfig
from tinymodel.errors import UserError
from tinymodel.run_writer import RunWriter
from tinymodel.runs import Run, damaged_runs, list_runs
from tinymodel.tables import TableTail


@pytest.fixture
def writer(small_dataset):
    writer = RunWriter.create(
        run_info(small_dataset, TrainConfig(dataset="small", epochs=4, width=4))
    )
    yield writer
    writer.close()


def test_a_run_knows_what_it_was_made_with(writer, small_dataset):
    run = Run.open("small-classroom-1")
    assert run.config == TrainConfig(dataset="small", epochs=4, width=4)
    assert run.classes == small_dataset.classes
    assert run.mean == small_dataset.mean
    assert np.array_equal(run.train_indices, small_dataset.indices("train"))


def test_runs_are_numbered_and_listed_newest_first(writer, small_dataset):
    second = RunWriter.create(run_info(small_dataset, TrainConfig(dataset="small")))
    second.close()
    assert second.run.name == "small-classroom-2"
    assert {run.name for run in list_runs()} == {"small-classroom-1", "small-classroom-2"}


def test_a_name_that_is_taken_is_refused(writer):
    with pytest.raises(UserError, match="already a run 'small-classroom-1'"):
        RunWriter.create(writer.run.info(), "small-classroom-1")


@pytest.mark.parametrize("name", ["../evil", "a/b", "", "CON", ".hidden", "x" * 61, "a\\b"])
def test_a_name_that_is_no_safe_folder_name_is_refused(folders, name):
    with pytest.raises(UserError, match="cannot be the name of a run"):
        Run.open(name)


def test_a_tail_says_when_a_resume_cut_the_table(writer):
    add_epoch(writer, 1)
    lengths = writer.lengths()
    add_epoch(writer, 2)
    tail = TableTail(writer.folder / "steps.csv")
    assert len(tail.read()[1]) == 20
    assert tail.read() == (False, [])
    writer.cut(lengths)
    reset, rows = tail.read()
    assert reset
    assert len(rows) == 10
    writer.cut(None)
    assert len(writer.run.steps()) == 0
    assert list(writer.run.steps().columns)[:2] == ["step", "epoch"]


def test_a_run_whose_writer_was_killed_is_interrupted_and_can_be_taken_over(small_dataset):
    script = (
        "import sys, time; sys.path.insert(0, 'tests')\n"
        "from conftest import run_info\n"
        "from tinymodel.config import TrainConfig\n"
        "from tinymodel.data import open_dataset\n"
        "from tinymodel.run_writer import RunWriter\n"
        "w = RunWriter.create(run_info(open_dataset('small'), TrainConfig(dataset='small')), 'doomed')\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    run = Run.open("doomed")
    assert run.status == "running"
    with pytest.raises(UserError, match="already being trained"):
        RunWriter.reopen("doomed")
    with pytest.raises(UserError, match="is being trained; stop it first"):
        run.delete()
    process.kill()
    process.wait()
    assert run.status == "interrupted"
    RunWriter.reopen("doomed").close()
    run.delete()
    assert list_runs() == []


def test_requests_reach_the_writer_and_a_stop_is_not_taken_back(writer):
    run = Run.open(writer.run.name)
    run.request("pause")
    assert run.requested() == "pause"
    run.request("resume")
    assert run.requested() == ""
    run.request("stop")
    run.request("resume")
    assert run.requested() == "stop"
    writer.update(status="stopped")
    with pytest.raises(UserError, match="is not training"):
        run.request("pause")


def test_progress_is_read_from_the_tables(writer):
    add_epoch(writer, 1)
    writer.append("steps", [[13, 2, 0.1, 1.0, 0.5, 1.5, 300.0]])
    progress = Run.open(writer.run.name).progress()
    assert (progress.status, progress.epoch, progress.epochs) == ("running", 2, 4)
    assert progress.epoch_fraction == pytest.approx(0.3)
    assert progress.run_fraction == pytest.approx(1.3 / 4)
    assert progress.seconds_left == pytest.approx(1.2 * 2.7)  # an epoch took 1.2 s
    assert progress.images_per_second == 300


def test_a_damaged_run_is_skipped_in_the_list_and_named_when_opened(writer):
    (writer.folder / "run.json").write_text("{")
    assert list_runs() == []
    with pytest.raises(UserError, match=r"its run\.json cannot be read"):
        Run.open(writer.run.name)


def test_a_renamed_run_is_the_same_run_under_another_name(finished_run):
    finished_run.folder.joinpath("features").mkdir()
    before = finished_run.epochs()
    renamed = finished_run.rename("my-first")
    assert [run.name for run in list_runs()] == ["my-first"]
    assert renamed.info()["name"] == "my-first"
    assert renamed.epochs().equals(before)
    assert (renamed.folder / "features").is_dir()
    RunWriter.reopen("my-first").close()  # and it can be gone on with
    assert renamed.rename("my-first").name == "my-first"
    with pytest.raises(UserError, match="no run 'small-classroom-1'"):
        Run.open(finished_run.name)


def test_a_name_that_is_taken_or_no_name_is_no_new_name(finished_run, small_dataset):
    other = RunWriter.create(run_info(small_dataset, TrainConfig(dataset="small")), "other")
    other.close()
    with pytest.raises(UserError, match="already a run 'other'"):
        finished_run.rename("other")
    with pytest.raises(UserError, match="cannot be the name of a run"):
        finished_run.rename("../other")
    assert {run.name for run in list_runs()} == {"other", "small-classroom-1"}


def test_a_run_that_trains_keeps_its_name_and_its_folder(writer):
    for change in (lambda: writer.run.rename("other"), writer.run.delete):
        with pytest.raises(UserError, match="is being trained; stop it first"):
            change()
    assert [run.name for run in list_runs()] == [writer.run.name]


def test_a_run_deleted_twice_is_gone_without_a_word(finished_run):
    finished_run.delete()
    finished_run.delete()
    assert [item.name for item in finished_run.folder.parent.iterdir()] == []


def test_damaged_runs_are_listed_with_the_reason_and_can_be_deleted(writer, finished_run):
    newer = dict(finished_run.info(), config={"dataset": "small", "warp": 9})
    (finished_run.folder / "run.json").write_text(json.dumps(newer))
    halves = finished_run.folder.parent / "half"
    halves.mkdir()
    (halves / "steps.csv").write_text("step\n")
    (halves.parent / "notes").mkdir()  # not ours
    (halves.parent / ".removing-1").mkdir()
    reasons = {run.name: reason for run, reason in damaged_runs()}
    assert set(reasons) == {"half", finished_run.name}
    assert "no run.json" in reasons["half"]
    assert "unknown entries: warp" in reasons[finished_run.name]
    for run, _ in damaged_runs():
        run.delete()
    assert damaged_runs() == []


def test_looking_whether_a_run_is_locked_is_quick(writer):
    began = time.perf_counter()
    for _ in range(20):
        assert writer.run.is_locked()
    assert time.perf_counter() - began < 1


def test_a_damaged_table_is_named_and_damaged_predictions_count_as_missing(writer):
    (writer.folder / "epochs.csv").write_bytes(b"epoch,lr\n\xff\xfe,1\n")
    with pytest.raises(
        UserError, match=r"table epochs\.csv of the run 'small-classroom-1' is damaged"
    ):
        writer.run.epochs()
    assert writer.run.predictions() is None
    (writer.folder / "predictions.parquet").write_bytes(b"PAR1 nothing PAR1")
    assert writer.run.predictions() is None


@pytest.mark.parametrize("key", ["model", "classes", "config", "status"])
def test_a_run_without_a_part_it_needs_is_damaged(writer, key):
    info = writer.run.info()
    del info[key]
    (writer.folder / "run.json").write_text(json.dumps(info))
    with pytest.raises(UserError, match="is damaged"):
        Run.open(writer.run.name)
    assert list_runs() == []
