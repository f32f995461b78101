"""Do thirty viewers slow the training, or one another? Run: python benchmarks/viewers.py --page train

A real server trains on the sample, started by a click; N viewers (viewer.py) watch and click from one other process.
Phases alternate, because a machine is never as quiet as one thinks: nobody there, the viewers there, and a control that
only burns as much processor time as the viewers did, which in a classroom is spent on the students' own devices.
About three minutes; `--minutes 10` lets the viewers stay that long and watches the server's memory.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tinymodel.data import list_datasets

HERE = Path(__file__).resolve().parent
HOME = HERE.parent / "app" / "Home.py"
GOALS = {  # page → share of the training's speed, seconds of an event, seconds of a click
    "train": (0.95, 1.0, 0.3),
    "study": (0.80, 1.0, 1.0),
}
USABLE = 3.0  # seconds until the first page can be used
GROWTH = 0.05  # of the server's memory
SETTLED = 60  # seconds of a soak until everybody has opened every view once, and the memory for it is taken
LOUD = re.compile("WARN|ERROR|Traceback")
missed: list[str] = []


def report(text: str, value: str, bound: str = "", met: bool | None = None) -> None:
    verdict = "" if met is None else "OK" if met else "MISSED"
    if verdict == "MISSED":
        missed.append(text)
    print(f"{text:<64} {value:>16}   {bound:<12} {verdict}", flush=True)


class Server:
    """`streamlit run app/Home.py` on a free port, with the folders that the environment names."""

    def __init__(self, log: Path):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://localhost:{self.port}"
        command = [sys.executable, "-m", "streamlit", "run", str(HOME), "--server.headless=true"]
        with open(log, "wb") as file:
            self.process = subprocess.Popen(
                [*command, f"--server.port={self.port}"],
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
            )
        began = time.monotonic()
        while time.monotonic() - began < 60 and self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.get("/_stcore/health")
                self.up = time.monotonic()
                return
            time.sleep(0.02)
        raise SystemExit(f"The server did not start:\n{log.read_text()}")

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.read().decode()

    def streams(self) -> int:
        """Event streams that are open, by the app's own count."""
        return json.loads(self.get("/live/streams"))["streams"]

    def sessions(self) -> tuple[int, int]:
        """By Streamlit's own count: sessions that are connected now, and how many have been disconnected so far."""
        text = self.get("/_stcore/metrics?families=active_sessions&families=session_events")
        now = re.search(r"^active_sessions(?:\{.*\})? (\d+)", text, re.MULTILINE)
        ended = re.search(r'^session_events_total\{.*"disconnect".*\} (\d+)', text, re.MULTILINE)
        return int(now[1]) if now else 0, int(ended[1]) if ended else 0

    def memory(self) -> float:
        """MiB of the process that are resident."""
        listed = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(self.process.pid)], capture_output=True, text=True
        )
        return int(listed.stdout) / 1024

    def page_seconds(self) -> float:
        """Processor seconds so far of all but the training, whose threads are nice and live on (Linux).

        A script run has a thread of its own that ends with it, so it is only in the sum of the whole process.
        """
        folder = Path(f"/proc/{self.process.pid}")
        total, _ = _ticks(folder / "stat")
        for file in folder.glob("task/*/stat"):
            with contextlib.suppress(OSError):  # a thread that has ended
                ticks, nice = _ticks(file)
                total -= ticks if nice else 0
        return total / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


def _ticks(file: Path) -> tuple[int, int]:
    """Of a process or thread: clock ticks on a processor, and how nice it is."""
    values = file.read_text().rsplit(")", 1)[1].split()
    return int(values[11]) + int(values[12]), int(values[16])


@contextlib.contextmanager
def chromium() -> Iterator:
    """A tab of a browser that is there already, or None without one."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        yield None
        return
    sys.path.insert(0, str(HERE.parent / "tests" / "browser"))
    from conftest import ARGUMENTS, CHROMIUM

    if CHROMIUM is None:
        yield None
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser.new_page()
        browser.close()


def first_page(server: Server, tab) -> None:
    """Seconds from the server's first answer to Home with its button, for a browser that has never been there."""
    text = "first page usable, seconds after the server is up"
    if tab is None:
        report(text, "no Chromium")
        return
    tab.goto(server.url)
    tab.get_by_role("heading", name="Teach a network to see").wait_for(timeout=60_000)
    tab.get_by_role("button", name="Train on the sample").click(trial=True, timeout=60_000)
    seconds = time.monotonic() - server.up
    report(text, f"{seconds:.1f}", f"≤ {USABLE:.0f}", seconds <= USABLE)


def start_training(server: Server) -> str:
    """A teacher's click: the run that the server trains from now on."""
    import asyncio

    from viewer import Tab

    async def start() -> str:
        tab = Tab(server.port, "train", "dataset=sample")
        await tab.open()
        while not any("images per second" in text for text in tab.texts):  # it is being measured
            await asyncio.sleep(1)
            await tab.run()
        tab.set_number("Epochs", 1000)
        await tab.run()
        await tab.run(tab.press("Start training"))
        await tab.close()
        return re.search(r"run=([\w.-]+)", tab.query)[1]

    return asyncio.run(start())


class Run:
    """The folder of the run in training, watched from outside."""

    def __init__(self, name: str):
        self.folder = Path(os.environ["TINYMODEL_RUNS"]) / name
        info = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        self.images, self.steps = info["train_images"], info["steps_per_epoch"]

    def epochs(self) -> tuple[int, float]:
        """How many are on disk, and when the last one was written (seconds)."""
        file = self.folder / "epochs.csv"
        return file.read_bytes().count(b"\n") - 1, file.stat().st_mtime

    def next_epoch(self) -> tuple[int, float]:
        before, _ = self.epochs()
        while self.epochs()[0] == before:
            time.sleep(0.02)
        return self.epochs()

    def whole_epochs(self, seconds: float, watch=lambda: None) -> tuple[int, float]:
        """Images trained on in whole epochs, validation included, of at least `seconds`, and their seconds."""
        first, began = self.next_epoch()
        while True:
            watch()
            last, ended = self.next_epoch()
            if ended - began >= seconds:
                return (last - first) * self.images, ended - began


@dataclass
class Phases:
    """What one kind of phase has come to."""

    images: int = 0
    seconds: float = 0.0
    pages: float = 0.0  # processor seconds of the server that are not training

    def add(self, server: Server, measure) -> None:
        before = server.page_seconds()
        images, seconds = measure()
        self.pages += server.page_seconds() - before
        self.images, self.seconds = self.images + images, self.seconds + seconds

    @property
    def speed(self) -> float:
        return self.images / self.seconds


@dataclass
class Watched:
    """What the viewers have measured."""

    events: list[float] = field(default_factory=list)
    clicks: list[tuple[float, str]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    sessions: list[int] = field(default_factory=list)
    streams: list[int] = field(default_factory=list)
    ended: int = 0  # sessions that the server lost, not we
    memory: list[tuple[float, float]] = field(default_factory=list)  # seconds, MiB
    processor: float = 0.0
    seconds: float = 0.0

    @property
    def share(self) -> float:
        """Of one core that the simulator itself took."""
        return self.processor / self.seconds

    @contextlib.contextmanager
    def viewers(self, server: Server, run: Run, shown: str, arguments) -> Iterator:
        """All of them there, from the first whole page to the last."""
        options = dict(
            port=server.port,
            viewers=arguments.viewers,
            page=arguments.page,
            run=shown,
            training=run.folder.name,
            folder=run.folder.parent,
            every=arguments.every,
        )
        options["steps-per-epoch"] = run.steps
        command = [sys.executable, str(HERE / "viewer.py")]
        command += [f"--{name}={value}" for name, value in options.items()]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            if process.stdout.readline().strip() != "ready":
                raise SystemExit("The viewers could not open their pages.")
            sessions, ended = server.sessions()
            self.sessions.append(sessions)
            self.streams.append(server.streams())
            began = time.monotonic()

            def look() -> None:
                self.memory.append((time.monotonic() - began, server.memory()))

            look()
            yield look
            look()
            self.ended += server.sessions()[1] - ended
            answer, _ = process.communicate("", timeout=60)
        except BaseException:
            process.kill()
            raise
        found = json.loads(answer)
        self.events += [seconds for seconds, reset in found["events"] if not reset]
        self.clicks += [tuple(click) for click in found["clicks"]]
        self.lost += found["lost"]
        self.processor += found["processor"]
        self.seconds += found["seconds"]


BURN = """
import sys, time
share, began = float(sys.argv[1]), time.perf_counter()
while True:
    while time.thread_time() < share * (time.perf_counter() - began):
        pass
    time.sleep(0.02)
"""


@contextlib.contextmanager
def burning(share: float) -> Iterator:
    """A process that takes this share of a core, in short bursts, and does nothing for it."""
    process = subprocess.Popen([sys.executable, "-c", BURN, str(share)])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def percentiles(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    middle, high = 1000 * np.percentile(seconds, [50, 95])
    return f"{middle:.0f} / {high:.0f} ms"


def judge(alone: Phases, control: Phases, watched: Phases, seen: Watched, arguments) -> None:
    speed, event, click = GOALS[arguments.page]
    n = arguments.viewers
    report("sessions, by the server's own count", str(seen.sessions), f"= {n}", set(seen.sessions) == {n})  # fmt: skip
    report("event streams, by the app's count", str(seen.streams), f"= {n}", set(seen.streams) == {n})  # fmt: skip
    lost = len(seen.lost) + seen.ended
    report("viewers that were disconnected", f"{lost}", "= 0", lost == 0)
    for text in sorted(set(seen.lost)):
        print(f"  {text}")
    high = np.percentile(seen.events, 95) if seen.events else np.inf
    text = f"row on disk to event received, p50 / p95 of {len(seen.events):,}"
    report(text, percentiles(seen.events), f"< {1000 * event:.0f} ms", high < event)
    for page in sorted({page for _, page in seen.clicks}):
        times = [seconds for seconds, where in seen.clicks if where == page]
        text = f"click to script finished on {page}, p50 / p95 of {len(times):,}"
        met = np.percentile(times, 95) < click
        report(text, percentiles(times), f"< {1000 * click:.0f} ms", met)
    report("training alone, images/s", f"{alone.speed:.0f}")
    report("training with the viewers, images/s", f"{watched.speed:.0f}")
    report("simulator's own processor time, share of one core", f"{seen.share:.1%}")
    report("training beside a process that only burns as much, images/s", f"{control.speed:.0f}")
    pages, before = watched.pages / watched.seconds, alone.pages / alone.seconds
    report("pages and streams in the server, share of one core", f"{pages:.1%}")
    report("  the same without viewers", f"{before:.1%}")
    report("training with viewers / alone", f"{watched.speed / alone.speed:.1%}")
    ratio = watched.speed / control.speed
    text = "training with viewers / beside the burner (simulator accounted for)"
    report(text, f"{ratio:.1%}", f"≥ {speed:.0%}", ratio >= speed)
    settled = SETTLED if arguments.minutes else 0
    first = next(memory for seconds, memory in seen.memory if seconds >= settled)
    last = seen.memory[-1][1]
    text = f"server's memory after {settled} s and at the end, MiB"
    value = f"{first:.0f} → {last:.0f}"
    if arguments.minutes:
        report(text, value, f"< +{GROWTH:.0%}", last < first * (1 + GROWTH))
    else:
        report(text, value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=30)
    parser.add_argument("--page", choices=GOALS, default="train", help="what the viewers look at")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two clicks")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20.0, help="of a phase, at least")
    parser.add_argument("--minutes", type=float, default=0.0, help="that the viewers stay: a soak")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))  # and the server with it
    rounds = 1 if arguments.minutes else arguments.rounds
    stay = 60 * arguments.minutes or arguments.seconds
    with tempfile.TemporaryDirectory() as folder:
        for name in ("DATA", "RUNS"):
            os.environ[f"TINYMODEL_{name}"] = str(Path(folder, name.lower()))
        with chromium() as tab:  # there before the server is
            server = Server(Path(folder, "server.log"))
            try:
                first_page(server, tab)
            except BaseException:
                server.stop()
                raise
        try:
            command = [sys.executable, "-m", "tinymodel"]
            while "sample" not in list_datasets():
                time.sleep(0.5)  # the server draws it by itself at its very first start
            shown = None
            if arguments.page == "study":  # a run whose mistakes and heat maps are studied
                shown = "studied"
                train = [*command, "train", "--dataset", "sample", "--epochs", "2", "--run", shown]
                subprocess.run(train, check=True, stdout=subprocess.DEVNULL)
            run = Run(start_training(server))
            run.next_epoch()  # the first one is for warming up
            alone, control, watched, seen = Phases(), Phases(), Phases(), Watched()
            for _ in range(rounds):
                alone.add(server, lambda: run.whole_epochs(arguments.seconds))
                with seen.viewers(server, run, shown or run.folder.name, arguments) as look:
                    watched.add(server, lambda look=look: run.whole_epochs(stay, look))
                with burning(seen.share):
                    control.add(server, lambda: run.whole_epochs(arguments.seconds))
            judge(alone, control, watched, seen, arguments)
            log = Path(folder, "server.log").read_text()
        finally:
            server.stop()
    complaints = [text for text in re.split(r"\n(?=\S)", log) if LOUD.search(text)]
    # Streamlit's own, when a tab goes while something is being sent to it.
    complaints = [text for text in complaints if "in _websocket_endpoint" not in text]
    report("complaints in the server's log", str(len(complaints)), "= 0", not complaints)
    for text in dict.fromkeys(complaints):
        print(text)
    if missed:
        sys.exit(f"Missed: {len(missed)}")


if __name__ == "__main__":
    main()
