"""Simulated viewers: what thirty browsers do to the server, without thirty browsers. Started by viewers.py.

Each holds Streamlit's websocket and the event stream of the live path, answers as a browser does (it keeps large
messages and names their hashes, honours fragments that run by themselves) and clicks. They say 'ready' when every page
is there, and at the end of standard input print as JSON what they measured.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

LOOK = 0.01  # seconds between two looks at the size of the table on disk
PATIENCE = 60  # seconds for a script run
TRIGGER = "$$STREAMLIT_INTERNAL_KEY_{}__events"  # the widget of what a component of ours reports
FULL_RUN, FOR_RERUN = (
    ForwardMsg.ScriptFinishedStatus.Value(name)
    for name in ("FINISHED_SUCCESSFULLY", "FINISHED_EARLY_FOR_RERUN")
)


class Tab:
    """One tab of a browser: a session of Streamlit's, spoken to in its own protocol."""

    def __init__(self, port: int, page: str, query: str):
        self.address = f"ws://localhost:{port}/_stcore/stream"
        self.page, self.query = page, query
        self.elements: dict[str, object] = {}  # label or key of a widget → its element
        self.texts: list[str] = []  # what the page says
        self.kept: dict[str, ForwardMsg] = {}  # hash → a large message that need not come again
        self.fragments: dict[str, float] = {}  # that run by themselves → every so many seconds
        self.values: dict[str, tuple[str, object]] = {}  # widget id → field and value
        self.lost: str | None = None  # why the connection ended, if it did
        self._finished: asyncio.Queue[int] = asyncio.Queue()
        self._tasks: list[asyncio.Task] = []

    async def open(self) -> None:
        """Connect, and wait for the whole page."""
        self.socket = await connect(self.address, subprotocols=["streamlit"], max_size=None)
        self._tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._tick())]
        await self.run()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.socket.close()

    async def run(self, trigger: tuple[str, str, object] | None = None) -> float:
        """Let the script run and return how many seconds passed until the server said it had finished.

        Args:
            trigger: A widget id, the field of its state and the value, for this run alone: a click.
        """
        while not self._finished.empty():
            self._finished.get_nowait()
        began = time.perf_counter()
        await self._ask(trigger)
        async with asyncio.timeout(PATIENCE):
            while await self._finished.get() == FOR_RERUN:
                pass
        return time.perf_counter() - began

    async def _ask(self, trigger=None, fragment: str = "") -> None:
        message = BackMsg()
        ask = message.rerun_script
        ask.query_string, ask.page_name, ask.fragment_id = self.query, self.page, fragment
        ask.is_auto_rerun = bool(fragment)
        ask.cached_message_hashes.extend(self.kept)
        states = [(name, *value) for name, value in self.values.items()]
        for name, field, value in [*states, *([trigger] if trigger else [])]:
            setattr(ask.widget_states.widgets.add(id=name), field, value)
        await self.socket.send(message.SerializeToString())

    async def _receive(self) -> None:
        try:
            async for data in self.socket:
                self._take(ForwardMsg.FromString(data))
            self.lost = "closed by the server"
        except ConnectionClosed as error:
            self.lost = str(error)

    def _take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "ref_hash":
            message = self.kept[message.ref_hash]
            kind = message.WhichOneof("type")
        elif message.metadata.cacheable and message.hash:
            self.kept[message.hash] = message
            while len(self.kept) > 40:
                del self.kept[next(iter(self.kept))]
        if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            element = message.delta.new_element
            element = getattr(element, element.WhichOneof("type"))
            if name := getattr(element, "id", ""):
                self.elements[getattr(element, "label", "") or name.split("-", 2)[-1]] = element
            elif text := getattr(element, "body", ""):
                self.texts.append(text)
        elif kind == "new_session" and not message.metadata.run.fragment_ids:
            self.elements.clear()
            self.texts.clear()
            self.fragments.clear()
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "stop_auto_rerun":
            for name in message.stop_auto_rerun.fragment_ids:
                self.fragments.pop(name, None)
        elif kind == "auto_rerun":
            self.fragments[message.auto_rerun.fragment_id] = message.auto_rerun.interval
        elif kind == "script_finished" and message.script_finished in (FULL_RUN, FOR_RERUN):
            self._finished.put_nowait(message.script_finished)

    async def _tick(self) -> None:
        """Run the fragments that ask for it, as a browser's timer does."""
        due: dict[str, float] = {}
        while self.lost is None:
            await asyncio.sleep(0.5)
            now = time.monotonic()
            due = {name: due.get(name, now + every) for name, every in self.fragments.items()}
            for name in [name for name, when in due.items() if when <= now]:
                due[name] = now + self.fragments[name]
                with contextlib.suppress(ConnectionClosed):
                    await self._ask(fragment=name)

    # What a person does

    def choose(self, label: str, option: str) -> tuple[str, str, object]:
        """Another entry of a select box."""
        name = self.elements[label].id
        self.values[name] = ("string_value", option)
        return name, "string_value", option

    def press(self, label: str) -> tuple[str, str, object]:
        return self.elements[label].id, "trigger_value", True

    def set_number(self, label: str, number: int) -> None:
        element = self.elements[label]
        field = "int_value" if element.data_type == element.INT else "double_value"
        self.values[element.id] = (field, number)

    def click_picture(self, key: str, place: int) -> tuple[str, str, object]:
        """A picture of the gallery with this key."""
        event = json.dumps([dict(event="clicked", value=place)])
        return TRIGGER.format(self.elements[key].id), "json_trigger_value", event

    def pictures(self, key: str) -> int:
        """How many the gallery with this key shows."""
        element = self.elements[key]
        data = element.json or element.mixed.json
        return len(json.loads(data)["pictures"])


async def events(port: int, run: str) -> AsyncIterator[tuple[str, dict]]:
    """Server-sent events of one stream, (kind, data) each, until the server ends it."""
    reader, writer = await asyncio.open_connection("localhost", port, limit=1 << 24)
    head = f"GET /live/events?{urlencode(dict(run=run))} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"
    writer.write(head.encode())
    try:
        status = await reader.readline()
        if b" 200 " not in status:
            raise ConnectionError(status.decode().strip())
        kind = ""
        while line := await reader.readline():
            if line.startswith(b"event: "):
                kind = line[7:].decode().strip()
            elif line.startswith(b"data: "):
                yield kind, json.loads(line[6:])
    finally:
        writer.close()


class Table:
    """The table of the steps on disk: which step was written when, by the file's own time stamp."""

    def __init__(self, file: Path):
        self.file, self.size = file, 0
        self.written: dict[int, float] = {}  # number of the last step of a write → time.time()

    async def watch(self) -> None:
        while True:
            about = self.file.stat()
            if about.st_size != self.size:
                with open(self.file, "rb") as stream:
                    stream.seek(max(0, about.st_size - 400))
                    lines = stream.read(400).split(b"\n")
                self.size = about.st_size
                if len(lines) > 2 and lines[-2][:1].isdigit():  # lines[-1] is what may be torn
                    self.written[int(lines[-2].split(b",")[0])] = about.st_mtime
            await asyncio.sleep(LOOK)


class Viewer:
    """A person with a tab, who looks and clicks."""

    def __init__(self, number: int, arguments: argparse.Namespace, measured: dict, table: Table):
        self.random = random.Random(number)
        self.arguments, self.measured, self.table = arguments, measured, table
        page = arguments.page
        if page == "study":
            page = ("mistakes", "gradcam")[number % 2]
        self.page = page
        self.tab = Tab(arguments.port, page, urlencode(dict(run=arguments.run)))
        self.stream_lost: str | None = None
        self.step = -1.0

    async def open(self) -> None:
        await self.tab.open()
        self._listening = asyncio.create_task(self._listen())

    async def close(self) -> None:
        self._listening.cancel()
        await self.tab.close()

    @property
    def lost(self) -> str | None:
        return self.tab.lost or self.stream_lost

    async def _listen(self) -> None:
        try:
            async for kind, data in events(self.arguments.port, self.arguments.training):
                if kind == "rows" and data["run"] == self.arguments.training and data["steps"]:
                    now = time.time()
                    step = round(data["steps"][-1][0] * self.arguments.steps_per_epoch)
                    if (when := self.table.written.get(step)) is not None:
                        self.measured["events"].append((now - when, data["reset"]))
            self.stream_lost = "the event stream ended"
        except (OSError, ValueError) as error:
            self.stream_lost = f"the event stream: {error}"

    async def click_for_ever(self) -> None:
        every = self.arguments.every
        await asyncio.sleep(self.random.uniform(0, every))
        while self.lost is None:
            began = time.monotonic()
            try:
                self.measured["clicks"].append((await self.tab.run(self._click()), self.page))
            except TimeoutError:
                self.measured["clicks"].append((float(PATIENCE), self.page))
            except ConnectionClosed:
                return
            await asyncio.sleep(max(0.0, every - (time.monotonic() - began)))

    def _click(self) -> tuple[str, str, object]:
        if self.page == "train":  # from the run that trains to the form of a new one, and back
            options = list(self.tab.elements["Run"].options)
            here = parse_qs(self.tab.query.lstrip("?")).get("run", [""])[0]
            new = next(option for option in options if "new run" in option)
            return self.tab.choose("Run", self.arguments.run if here == "new" else new)
        key = dict(mistakes="mistakes", gradcam="thumbnails")[self.page]
        return self.tab.click_picture(key, self.random.randrange(self.tab.pictures(key)))


async def simulate(arguments: argparse.Namespace, out: Callable[[str], None]) -> None:
    measured: dict[str, list] = dict(events=[], clicks=[])
    table = Table(Path(arguments.folder) / arguments.training / "steps.csv")
    watching = asyncio.create_task(table.watch())
    viewers = [Viewer(number, arguments, measured, table) for number in range(arguments.viewers)]
    for viewer in viewers:
        await viewer.open()
    clicking = [asyncio.create_task(viewer.click_for_ever()) for viewer in viewers]
    await asyncio.sleep(2)
    for values in measured.values():
        values.clear()
    used, began = sum(os.times()[:2]), time.monotonic()
    out("ready")
    await asyncio.to_thread(sys.stdin.read)
    seconds, used = time.monotonic() - began, sum(os.times()[:2]) - used
    lost = [viewer.lost for viewer in viewers if viewer.lost]
    for task in [*clicking, watching]:
        task.cancel()
    for viewer in viewers:
        await viewer.close()
    out(json.dumps(measured | dict(lost=lost, seconds=seconds, processor=used)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--viewers", type=int, required=True)
    parser.add_argument("--page", choices=("train", "study"), required=True)
    parser.add_argument("--run", required=True, help="which the pages show")
    parser.add_argument("--training", required=True, help="the run whose events are timed")
    parser.add_argument("--folder", required=True, help="of the runs")
    parser.add_argument("--steps-per-epoch", type=int, required=True)
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two clicks")
    asyncio.run(simulate(parser.parse_args(), lambda line: print(line, flush=True)))


if __name__ == "__main__":
    main()
