"""Replay: which moment an address shows, and what the tables held then."""

import contextlib

import numpy as np
import pandas as pd
import pytest
from conftest import add_epoch, run_info
from hypothesis import given
from hypothesis import strategies as st

from tinymodel import replay
from tinymodel.config import TrainConfig
from tinymodel.errors import UserError
from tinymodel.replay import Replay, recording, row_times
from tinymodel.run_writer import RunWriter
from tinymodel.tables import EPOCH_COLUMNS, STEP_COLUMNS

NOW = 1764031234.5


def tables(step_seconds, epochs, epoch_seconds):
    steps = pd.DataFrame(0.0, range(len(step_seconds)), list(STEP_COLUMNS))
    steps["step"], steps["seconds"] = range(1, len(steps) + 1), step_seconds
    steps["epoch"] = epochs
    rows = pd.DataFrame(0.0, range(len(epoch_seconds)), list(EPOCH_COLUMNS))
    rows["epoch"], rows["seconds"] = range(1, len(rows) + 1), epoch_seconds
    return steps, rows


def test_a_moment_is_the_time_since_it_began_times_the_speed():
    shown = replay.begin("run", 20, NOW)
    assert shown.moment(NOW) == 0
    assert shown.moment(NOW + 1.5) == 30
    assert shown.moment(NOW - 100) == 0  # a clock that was set back


@pytest.mark.parametrize(
    "shown",
    [
        Replay(run="run", speed=20, began=NOW),
        Replay(run="run", speed=1, at=12.5),
        Replay(run="run", speed=100, at=0.0),
    ],
)
def test_an_address_names_the_same_moment_everywhere(shown):
    assert Replay.parse("run", shown.text) == shown
    assert Replay.of_key(shown.key) == shown


def test_the_name_of_a_run_is_no_replay():
    assert Replay.of_key("run-1") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20x",
        "20x-since-",
        "20x-since-nan",
        "20x-since-1e9",
        "20x-at--3",
        "3x-at-1",
        "0x-at-1",
        "999x-at-1",
        "20x-at-1\n",
        "²0x-at-1",
        "20x-at-" + "9" * 400,
        "20x-then-1",
        "<script>",
    ],
)
def test_an_address_that_makes_no_sense_is_a_sentence(text):
    with pytest.raises(UserError, match="Play it again"):
        Replay.parse("run", text)


@given(st.text(max_size=40))
def test_no_text_in_an_address_is_anything_but_a_replay_or_a_sentence(text):
    with contextlib.suppress(UserError):
        assert Replay.parse("run", text).moment(NOW) >= 0


def test_pausing_going_on_and_another_speed_keep_the_moment():
    playing = replay.begin("run", 10, NOW)
    paused = playing.paused(NOW + 3, duration=100)
    assert paused.at == 30 and not paused.playing
    assert paused.moment(NOW + 500) == 30
    again = paused.going_on(NOW + 500)
    assert again.moment(NOW + 501) == pytest.approx(40)
    faster = again.at_speed(100, NOW + 501)
    assert faster.moment(NOW + 501) == pytest.approx(40)
    assert faster.moment(NOW + 501.5) == pytest.approx(90)
    assert paused.at_speed(50, NOW).at == 30
    assert playing.paused(NOW + 1000, duration=100).at == 100


def test_moving_plays_on_from_there_or_stands_there():
    playing = replay.begin("run", 10, NOW)
    moved = playing.moved(70, NOW + 2)
    assert moved.playing and moved.moment(NOW + 3) == pytest.approx(80)
    assert playing.paused(NOW, 100).moved(70, NOW).at == 70


@pytest.mark.parametrize(
    ("duration", "speed"), [(3, 1), (47.7, 1), (150, 5), (333, 10), (3000, 50), (1e6, 100)]
)
def test_the_usual_speed_takes_a_minute_at_the_most(duration, speed):
    assert replay.usual_speed(duration) == speed


def test_rows_come_when_they_were_written():
    """Two epochs of two steps, each with one second of validation."""
    steps, epochs = tables([1, 2, 4, 5, 7], [1, 1, 2, 2, 3], [3, 3])
    step_times, epoch_times = row_times(steps, epochs)
    assert step_times.tolist() == [1, 2, 4, 5, 7]
    assert epoch_times.tolist() == [3, 6]


def test_a_run_that_was_stopped_and_resumed_plays_without_a_gap(small_dataset):
    """As training writes it: the clock goes on where it stood, whatever the wall clock says."""
    writer = RunWriter.create(
        run_info(small_dataset, TrainConfig(dataset="small", epochs=4, width=4))
    )
    for step in range(1, 16):  # ten steps an epoch, half a second each, one second of validation
        writer.append("steps", [[step, (step - 1) // 10 + 1, 0.1, 1, 0.5, 0.5 * step, 300]])
        if step == 10:
            writer.append("epochs", [[1, 0.1, 6.0, 1, 0.5, 1, 0.5, 300]])
    writer.update(status="stopped")
    writer.close()
    played = recording(writer.run)
    assert played.duration == 7.5
    assert played.rows(0) == (0, 0)
    assert played.rows(5.9) == (10, 0)
    assert played.rows(6.0) == (
        12,
        1,
    )  # the steps that the clock put into the validation wait for it
    ended = played.progress(replay.begin(writer.run.name, 1, NOW), NOW + 100)
    assert ended.status == "stopped" and ended.epoch == 2


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30),
    st.lists(st.floats(-10, 1e6) | st.just(float("nan")), max_size=6),
)
def test_whatever_the_columns_say_time_goes_forward(seconds, epoch_seconds):
    epochs = np.sort(np.arange(len(seconds)) % 5 + 1)
    step_times, epoch_times = row_times(*tables(seconds, epochs, epoch_seconds))
    assert np.isfinite(step_times).all() and np.isfinite(epoch_times).all()
    assert (np.diff(step_times) >= 0).all() and (np.diff(epoch_times) >= 0).all()
    for i, written in enumerate(epoch_times):
        assert (step_times[epochs <= i + 1] <= written).all()
        assert (step_times[epochs > i + 1] >= written).all()


def test_progress_is_as_it_was_and_the_time_left_as_one_waits(finished_run):
    played = recording(finished_run)
    assert played.duration == pytest.approx(3.6)  # three epochs of 1.2 s
    shown = replay.begin(finished_run.name, 2, NOW)
    then = played.progress(shown, NOW + 0.75)  # after 1.5 s of training
    assert (then.status, then.epoch, then.epochs) == ("running", 2, 3)
    assert then.val_accuracy == pytest.approx(finished_run.epochs()["val_accuracy"][0])
    assert then.epoch_fraction == pytest.approx(0.5)
    assert then.seconds_left == pytest.approx((3.6 - 1.5) / 2)
    assert played.progress(shown.paused(NOW + 0.75, 3.6), NOW + 99).status == "paused"
    assert played.progress(shown, NOW + 1.81).status == "finished"


def test_the_end_shows_every_row(finished_run):
    played = recording(finished_run)
    assert played.rows(played.duration) == (30, 3)
    assert played.rows(0.0) == (0, 0)


def test_a_run_that_went_on_is_read_anew(small_dataset):
    writer = RunWriter.create(run_info(small_dataset, TrainConfig(dataset="small", epochs=9)))
    add_epoch(writer, 1)
    assert recording(writer.run).rows(1e9) == (10, 1)
    assert recording(writer.run) is recording(writer.run)
    add_epoch(writer, 2)
    assert recording(writer.run).rows(1e9) == (20, 2)
    writer.close()


def test_damaged_tables_are_a_sentence(finished_run):
    (finished_run.folder / "steps.csv").write_text("step,epoch\n1,one\n")
    with pytest.raises(UserError, match="damaged"):
        recording(finished_run)


def test_a_run_without_rows_has_nothing_to_play(small_dataset):
    writer = RunWriter.create(run_info(small_dataset, TrainConfig(dataset="small", epochs=9)))
    writer.close()
    assert recording(writer.run).duration == 0


def test_nothing_on_disk_is_touched(finished_run):
    def marks():
        return {
            f.name: (f.stat().st_mtime_ns, f.stat().st_size) for f in finished_run.folder.iterdir()
        }

    before = marks()
    played = recording(finished_run)
    played.progress(replay.begin(finished_run.name, 100, NOW), NOW + 0.01)
    assert marks() == before
