"""What the event stream says: to a newcomer, to one who comes back, and after a resume cut the tables."""

import asyncio
import gzip
import json

import pytest
from components import stream
from components.stream import feeds, serving
from conftest import add_epoch, run_info

from tinymodel.config import TrainConfig
from tinymodel.run_writer import RunWriter


@pytest.fixture
def writer(small_dataset):
    writer = RunWriter.create(
        run_info(small_dataset, TrainConfig(dataset="small", epochs=9, width=4))
    )
    add_epoch(writer, 1)
    yield writer
    if writer.run.is_locked():
        writer.close()


@pytest.fixture
def feed(writer):
    feed = stream.Feed(writer.run.name)
    feed.read()
    return feed


def news(feed, position=""):
    """The position now and the rows since `position`, or None if there are none."""
    now, text = feed.news(position)
    return now, json.loads(text.split("data: ")[1]) if text else None


def test_a_newcomer_gets_everything_and_then_only_what_is_new(writer, feed):
    position, rows = news(feed)
    assert rows["reset"] and len(rows["steps"]) == 10 and len(rows["epochs"]) == 1
    assert rows["steps"][4][0] == 0.5  # epochs so far
    assert rows["position"] == position
    assert news(feed, position) == (position, None)
    add_epoch(writer, 2)
    feed.read()
    _, rows = news(feed, position)
    assert not rows["reset"] and len(rows["steps"]) == 10 and len(rows["epochs"]) == 1


def test_a_long_history_is_thinned_and_keeps_its_last_point(writer, feed):
    writer.append("steps", [[step, 1, 0.1, 1, 0.5, 1, 1] for step in range(11, 8000)])
    feed.read()
    position, rows = news(feed)
    assert feeds.HISTORY / 2 < len(rows["steps"]) <= feeds.HISTORY
    assert rows["steps"][-1][0] == 799.9
    assert news(feed, position)[1] is None


def test_steps_are_drawn_as_running_averages_that_a_bad_number_does_not_spoil(small_dataset):
    config = TrainConfig(dataset="small", epochs=9, width=4)
    writer = RunWriter.create(run_info(small_dataset, config))
    accuracies = [0.0, 1.0, float("nan"), 1.0]
    writer.append("steps", [[n, 1, 0.1, 2.0, a, 1, 1] for n, a in enumerate(accuracies, 1)])
    feed = stream.Feed(writer.run.name)
    feed.read()
    steps = news(feed)[1]["steps"]
    assert [row[2] for row in steps] == pytest.approx([2.0] * 4)
    assert steps[0][3] == 0 and steps[1][3] == pytest.approx(0.1 / 0.19)
    assert steps[1][3] < steps[3][3] < 1
    writer.close()


def test_cut_tables_are_sent_anew(writer, feed):
    lengths = writer.lengths()
    add_epoch(writer, 2)
    feed.read()
    position, _ = news(feed)
    writer.cut(lengths)
    feed.read()
    _, rows = news(feed, position)
    assert rows["reset"] and len(rows["steps"]) == 10


def test_a_position_of_another_server_gets_everything(feed):
    _, rows = news(feed, "0badcafe.3.0")
    assert rows["reset"] and len(rows["steps"]) == 10


def test_numbers_that_json_does_not_know_become_null(writer, feed):
    writer.append("steps", [[11, 2, 0.1, float("nan"), float("inf"), 1, 1]])
    feed.read()
    data = json.loads(feed.news("")[1].split("data: ")[1], parse_constant=pytest.fail)
    assert data["steps"][-1][2:] == [None, None]


def events_of(names, after, until):
    """Events of a stream until `until(kind, data)` is true."""

    async def collect():
        hub, seen = stream.Hub(), []
        async for text in hub.events(names, after):
            for one in text.strip().split("\n\n"):
                lines = dict(line.split(": ", 1) for line in one.split("\n"))
                seen.append((lines["event"], json.loads(lines["data"]), lines.get("id", "")))
                if until(*seen[-1][:2]):
                    hub.closing = True
                    return seen
        pytest.fail("The stream ended.")

    return asyncio.run(asyncio.wait_for(collect(), 10))


def test_a_stream_tells_rows_and_status_and_goes_on_from_an_id(writer):
    name = writer.run.name
    seen = events_of([name], {}, lambda kind, _: kind == "status")
    kind, rows, event_id = seen[0]
    assert kind == "rows" and len(rows["steps"]) == 10
    status = seen[-1][1]
    assert status["current"]["run"] == name and status["current"]["status"] == "running"
    assert status["runs"][name]["epoch"] == 2
    assert event_id.startswith(f"{name}:")


def test_a_deleted_run_does_not_end_the_stream(writer):
    name = writer.run.name
    writer.close()
    writer.run.delete()
    seen = events_of([name, "never-there"], {}, lambda kind, _: kind == "status")
    gone = [name, "never-there"]
    nothing = {"current": None, "runs": {}, "gone": gone, "teacher": None}
    assert seen == [("status", nothing, "")]


def test_a_run_renamed_while_it_is_watched_is_gone(writer):
    name = writer.run.name
    writer.close()

    def until(kind, data):
        if kind == "rows":
            writer.run.rename("other")
        return kind == "status" and data["gone"]

    seen = events_of([name], {}, until)
    assert seen[-1][1]["gone"] == [name] and seen[-1][1]["runs"] == {}
    assert seen[-1][1]["current"]["run"] == "other"


def test_a_damaged_run_is_not_the_current_one(writer, small_dataset):
    writer.close()
    newer = RunWriter.create(run_info(small_dataset, TrainConfig(dataset="small")), "newer")
    newer.close()
    (newer.folder / "steps.csv").write_bytes(b"step,loss\n\xff\xfe,1\n")
    assert stream.current_run().name == writer.run.name


def test_one_bad_look_does_not_end_the_stream(writer, monkeypatch):
    looks = []
    look = stream.Hub._look

    def fail_once(hub, watched):
        looks.append(watched)
        if len(looks) == 1:
            raise ValueError("half a file")
        look(hub, watched)

    monkeypatch.setattr(stream.Hub, "_look", fail_once)
    seen = events_of([writer.run.name], {}, lambda kind, _: kind == "rows")
    assert len(looks) == 2 and seen[-1][0] == "rows"


def test_a_closing_server_ends_streams_that_wait(writer):
    async def run():
        hub = stream.Hub()

        async def drain():
            async for _ in hub.events([], {}):
                pass

        task = asyncio.create_task(drain())
        await asyncio.sleep(0.5)
        hub.closing = True
        await asyncio.wait_for(task, 1.5)

    asyncio.run(run())


def test_plotly_comes_from_its_own_package():
    content = gzip.decompress(serving._plotly_gzipped())
    assert b"plotly.js v" in content[:200]


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("ab.3.4", True),
        ("ab.3", False),
        ("ab.-1.0", False),
        ("", False),
        ("ab.²." + "1" * 5000, False),
    ],
)
def test_only_well_formed_positions_are_taken(text, valid):
    assert feeds.is_position(text) is valid
