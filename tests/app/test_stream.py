"""What the event stream says: to a newcomer, to one who comes back, and after a resume cut the tables."""

import asyncio
import gzip
import json
import time

import pytest
from components import stream
from components.stream import broadcast, feeds, serving
from conftest import add_epoch, run_info
from starlette.requests import Request

from tinymodel.config import TrainConfig
from tinymodel.replay import Replay
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
    assert stream.current()[0].name == writer.run.name


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


def test_a_latecomer_of_a_run_of_100_000_steps_gets_a_small_message(writer, feed):
    rows = [
        [step, 1, 0.0123456, 1.2345678, 0.654321, 0.1 * step, 523.1] for step in range(11, 100_001)
    ]
    writer.append("steps", rows)
    feed.read()
    assert (
        len(feed.news("")[1]) < 60_000
    )  # bytes: a curve has about as many pixels as it has points


def test_browsers_at_the_same_position_share_one_text(writer, feed, monkeypatch):
    encoded = []
    monkeypatch.setattr(feeds, "event", lambda kind, data: encoded.append(kind) or f"{kind}{data}")
    position, _ = feed.news("")
    assert len({id(feed.news("")[1]) for _ in range(30)}) == 1 and len(encoded) == 1
    add_epoch(writer, 2)
    feed.read()
    assert len({id(feed.news(position)[1]) for _ in range(30)}) == 1 and len(encoded) == 2


def test_invented_positions_do_not_fill_the_memory(feed):
    for number in range(500):
        feed.news(f"bad.{number}.0")
    assert len(feed._told) <= 50


def test_what_a_presenter_shows_reaches_every_stream(writer):
    async def run():
        hub = stream.Hub()
        async for text in hub.events([], {}):
            if hub.teacher is None:
                hub.teacher = {"page": "gradcam", "query": {"image": "7"}}
            elif "teacher" in text and "gradcam" in text:
                return json.loads(text.split("data: ")[1])["teacher"]
        return None

    seen = asyncio.run(asyncio.wait_for(run(), 10))
    assert seen == {"page": "gradcam", "query": {"image": "7"}}


# Replays


def replayed(run, speed=1, at=None):
    moment = dict(at=at) if at is not None else dict(began=time.time())
    return Replay(run=run.name, speed=speed, **moment)


def test_a_replay_is_one_more_name_whose_tables_are_cut_at_its_moment(finished_run):
    key = replayed(finished_run, at=1.5).key
    seen = events_of([key, finished_run.name], {}, lambda kind, _: kind == "status")
    tables = {rows["run"]: rows for kind, rows, _ in seen if kind == "rows"}
    assert len(tables[finished_run.name]["steps"]) == 30
    assert len(tables[key]["steps"]) == 15 and len(tables[key]["epochs"]) == 1
    assert tables[key]["steps"] == tables[finished_run.name]["steps"][:15]
    status = seen[-1][1]["runs"][key]
    assert (status["status"], status["epoch"], status["run"]) == ("paused", 2, finished_run.name)
    assert status["replay"] == dict(speed=1, playing=False, ended=False, moment=1.5, duration=3.6)


def test_a_replay_grows_and_ends_on_the_finished_run(finished_run):
    key = replayed(finished_run, speed=5).key
    counts = []

    def until(kind, data):
        if kind == "rows":
            counts.append(len(data["steps"]))
        return kind == "status" and data["runs"].get(key, {}).get("replay", {}).get("ended")

    seen = events_of([key], {}, until)
    assert sum(counts) == 30 and len(counts) > 1
    states = [data["runs"][key]["state"] for kind, data, _ in seen if kind == "status"]
    assert len(set(states)) == 2  # the page is drawn anew once, at the end
    assert seen[-1][1]["runs"][key]["status"] == "finished"


def test_a_replay_that_comes_late_sees_what_the_others_see(finished_run):
    key = replayed(finished_run, at=2.5).key
    seen = [events_of([key], {}, lambda kind, _: kind == "rows")[-1][1] for _ in range(2)]
    assert seen[0]["steps"] == seen[1]["steps"]


@pytest.mark.parametrize("text", ["7x-at-1", "20x-since-", "../..", "<b>"])
def test_a_replay_that_makes_no_sense_does_not_end_the_stream(finished_run, text):
    seen = events_of([f"{finished_run.name}@{text}"], {}, lambda kind, _: kind == "status")
    assert seen[-1][1]["runs"] == {} and seen[-1][1]["current"]["run"] == finished_run.name


def test_a_replay_of_a_deleted_run_is_gone(finished_run):
    key = replayed(finished_run, at=1.5).key

    def until(kind, data):
        if kind == "rows":
            finished_run.delete()
        return kind == "status" and data["gone"]

    assert events_of([key], {}, until)[-1][1]["gone"] == [key]


# Requests


@pytest.fixture
def hub(monkeypatch):
    """The server's hub for one test; it notes what it is asked for."""

    class Noting(stream.Hub):
        asked = None

        def events(self, names, after):
            self.asked = names, after
            return super().events(names, after)

    hub = Noting()
    monkeypatch.setattr(broadcast, "hub", hub)
    return hub


def ask(route, query="", **headers):
    head = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = dict(type="http", method="GET", path="/", query_string=query.encode(), headers=head)
    return asyncio.run(route(Request(scope)))


def test_a_stream_shows_a_bounded_number_of_runs_and_ignores_bad_positions(hub):
    query = "&".join(f"run=r{i}" for i in range(100)) + f"&run={'x' * 5000}&run="
    after = "r0:ab.1.2,r1:nonsense,r2,:::,r3:ab.-1.0"
    answer = ask(serving.events, f"run={'y' * 5000}&{query}&after={after}")
    assert answer.status_code == 200 and answer.media_type == "text/event-stream"
    names, positions = hub.asked
    assert names == [f"r{i}" for i in range(20)] and positions == {"r0": "ab.1.2"}


def test_a_last_event_id_is_a_position_too(hub):
    ask(serving.events, "run=a", last_event_id="a:ab.1.2")
    assert hub.asked[1] == {"a": "ab.1.2"}


@pytest.mark.parametrize("limit", ["MOST_STREAMS", "MOST_WATCHED"])
def test_too_many_streams_are_refused_with_a_sentence(hub, monkeypatch, limit):
    monkeypatch.setattr(broadcast, limit, 0)
    answer = ask(serving.events, "run=a")
    assert answer.status_code == 503 and b"Too many are watching" in answer.body
    assert hub.asked is None


def test_the_server_says_how_many_streams_are_open_and_nothing_else(hub):
    assert json.loads(ask(serving.streams).body) == {"streams": 0}


def test_the_shared_script_has_an_address_of_its_content():
    answer = ask(serving.worker_js)
    assert stream.VERSION in stream.WORKER_URL and b"onconnect" in answer.body
    assert "immutable" in answer.headers["cache-control"]


def test_the_end_does_not_wait_for_connections_that_take_nothing_more():
    uvicorn = pytest.importorskip("uvicorn")
    server = uvicorn.Server(uvicorn.Config(lambda: None))
    serving._bound_the_end(server.handle_exit)
    assert server.config.timeout_graceful_shutdown == serving.GRACE
    serving._bound_the_end(lambda *_: None)  # another server's
