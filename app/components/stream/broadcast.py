"""The hub: feeds look at the tables while anybody watches, and every stream is told what is new."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio.to_thread

from components.stream.feeds import Drawn, Feed, ReplayFeed, event
from tinymodel.errors import UserError
from tinymodel.replay import Recording, Replay, recording
from tinymodel.runs import ACTIVE, Progress, Run, list_runs
from tinymodel.training.supervisor import about

log = logging.getLogger(__name__)

LOOK = 0.5  # seconds between two looks at the tables
PAUSE = 0.05  # seconds at least between two looks, however many newcomers hurry them
SEARCH = 1.2  # seconds between two looks for the current run, which reads every run.json
BEAT = 2.0  # seconds of silence after which a stream says that it lives
MOST_STREAMS = 500
MOST_WATCHED = 200  # different runs and replays, by all streams together


def current() -> tuple[Run, dict[str, Any]] | None:
    """The run that trains now, whoever trains it, and how it stands.

    Else the newest one that was trained here and can be read.
    """
    runs = [run for run in list_runs() if not run.shipped]
    runs.sort(key=lambda run: run.status not in ACTIVE)
    for run in runs:
        with contextlib.suppress(UserError, KeyError, OSError):
            return run, describe(run)
    return None


def describe(run: Run) -> dict[str, Any]:
    """What cards and progress bars show of a run. `state` changes when pages should be drawn anew."""
    progress = run.progress()
    files = [file for file in ("best.pt", "predictions.parquet") if (run.folder / file).is_file()]
    return dict(
        _figures(run.name, progress),
        state=":".join([run.name, progress.status, *files]),
        requested=run.requested() if progress.status in ACTIVE else "",
    )


def describe_replay(replay: Replay, tables: Recording | None = None) -> dict[str, Any]:
    """The same of a run that is played back, as it stood at the moment that is seen now.

    Raises:
        UserError: The run is gone, or its tables are damaged.
    """
    tables, now = tables or recording(Run.open(replay.run)), time.time()
    moment = min(replay.moment(now), tables.duration)
    ended = moment >= tables.duration
    return dict(
        _figures(replay.run, tables.progress(replay, now)),
        state=f"{replay.key}:{'ended' if ended else ''}",
        requested="",
        replay=dict(
            speed=replay.speed,
            playing=replay.playing and not ended,
            ended=ended,
            moment=moment,
            duration=tables.duration,
        ),
    )


def _figures(name: str, progress: Progress) -> dict[str, Any]:
    return dict(
        run=name,
        status=progress.status,
        epoch=progress.epoch,
        epochs=progress.epochs,
        epoch_fraction=progress.epoch_fraction,
        run_fraction=progress.run_fraction,
        images_per_second=progress.images_per_second,
        time_left=None if progress.seconds_left is None else about(progress.seconds_left),
        val_accuracy=progress.val_accuracy,
        best_accuracy=progress.best_accuracy,
    )


class Hub:
    """The feeds, and the loop that lets them look while anybody watches.

    `teacher` is what the presenter shows, for who follows: a dict of plain values such as `{"page": …, "query": {…}}`,
    or None. Whoever sets it needs to do no more: every browser has it with the next status, as `teacher` of the object
    that `tab.js` documents.
    """

    def __init__(self) -> None:
        self.closing = False
        self.watched: dict[str, int] = {}  # name → streams that show it
        self.streams = 0
        self.feeds: dict[str, Drawn] = {}
        self.statuses: dict[str, dict] = {}
        self.current: str | None = None
        self.gone: set[str] = set()  # of the watched runs: deleted or renamed
        self.teacher: dict[str, Any] | None = None
        self._searched = 0.0
        self._found: dict[str, dict] = {}  # statuses of runs, without those of replays
        self._hurry = asyncio.Event()
        self._looked = asyncio.Event()
        self._loop: asyncio.Task | None = None
        self._told: dict[tuple[str, ...], str] = {}  # names → the status of this look

    def has_room_for(self, names: list[str]) -> bool:
        return self.streams < MOST_STREAMS and len(self.watched.keys() | names) <= MOST_WATCHED

    @contextlib.contextmanager
    def watching(self, names: list[str]) -> Iterator[None]:
        self.streams += 1
        for name in names:
            self.watched[name] = self.watched.get(name, 0) + 1
        self._searched = 0.0
        self._hurry.set()
        if self._loop is None or self._loop.done():
            self._looked = asyncio.Event()
            self._loop = asyncio.create_task(self._look_while_watched())
        try:
            yield
        finally:
            self.streams -= 1
            for name in names:
                self.watched[name] -= 1
                if not self.watched[name]:
                    del self.watched[name]

    def close(self) -> None:
        """End every stream, also those that wait for the next look."""
        self.closing = True
        self._looked.set()

    async def looked(self) -> None:
        """Wait for the end of the look under way or the next one."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._looked.wait(), 5)

    async def _look_while_watched(self) -> None:
        while self.streams and not self.closing:
            self._hurry.clear()
            try:
                await anyio.to_thread.run_sync(self._look, list(self.watched))
            except Exception:  # one bad look must not end the stream of everybody
                log.exception("Looking at the runs failed")
            self._told.clear()
            self._looked.set()
            self._looked = asyncio.Event()
            await asyncio.sleep(PAUSE)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), LOOK - PAUSE)
        self._looked.set()  # streams that still wait see that the server closes

    def _look(self, watched: list[str]) -> None:
        for name in watched:
            try:
                if name not in self.feeds:
                    replay = Replay.of_key(name)
                    self.feeds[name] = ReplayFeed(replay) if replay else Feed(name)
                self.feeds[name].read()
            except (UserError, KeyError, OSError):  # deleted while it was watched
                self.feeds.pop(name, None)
        for name in set(self.feeds) - set(watched):
            del self.feeds[name]
        if time.monotonic() - self._searched > SEARCH:
            self._searched = time.monotonic()
            self._search(watched)
        replays = {}
        for name, feed in self.feeds.items():
            if isinstance(feed, ReplayFeed) and name not in self.gone:
                replays[name] = describe_replay(feed.replay, feed.recording)
        self.statuses = self._found | replays

    def _search(self, watched: list[str]) -> None:
        """Which run is the current one, which are gone, and how the others stand."""
        found_now = current()
        self.gone = {name for name in watched if not _is_there(name)}
        found = {found_now[0].name: found_now[1]} if found_now else {}
        for name, feed in self.feeds.items():
            if isinstance(feed, Feed) and name not in self.gone and name not in found:
                with contextlib.suppress(UserError, KeyError, OSError):
                    found[name] = describe(feed.run)
        self.current = found_now[0].name if found_now else None
        self._found = found

    async def events(self, names: list[str], after: dict[str, str]) -> AsyncIterator[str]:
        """Server-sent events: `rows` of the named runs after their positions, `status` when it changes, else a `beat`."""
        positions = {name: after.get(name, "") for name in names}
        told, spoken = "", time.monotonic()
        with self.watching(names):
            while not self.closing:
                await self.looked()
                if self.closing:
                    break
                news = []
                for name in names:
                    if (feed := self.feeds.get(name)) is None:
                        continue
                    positions[name], rows = feed.news(positions[name])
                    if rows:
                        event_id = ",".join(f"{key}:{value}" for key, value in positions.items())
                        news.append(f"id: {event_id}\n{rows}")
                status = self._status(tuple(names))
                if status != told:
                    news.append(status)
                    told = status
                if not news and time.monotonic() - spoken > BEAT:
                    news.append(event("beat", {}))
                if news:
                    spoken = time.monotonic()
                    yield "".join(news)

    def _status(self, names: tuple[str, ...]) -> str:
        if names not in self._told:
            self._told[names] = event(
                "status",
                dict(
                    current=self.statuses.get(self.current or ""),
                    runs={key: value for key, value in self.statuses.items() if key in names},
                    gone=[name for name in names if name in self.gone],
                    teacher=self.teacher,
                ),
            )
        return self._told[names]


def _is_there(name: str) -> bool:
    try:
        Run.open(name.partition("@")[0])
    except UserError:
        return False
    return True


hub = Hub()
