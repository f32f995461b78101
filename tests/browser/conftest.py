"""A real server and a real Chromium."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[2] / "app" / "Home.py"
CHROMIUM = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (path := shutil.which(name))
    ),
    None,
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


class Server:
    """`streamlit run app/Home.py` on a free port, on the folders that the environment, with `variables`, names."""

    def __init__(self, log: Path, home: Path = HOME, **variables: str):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        self.port = port
        self.home, self.variables = home, variables
        self.url = f"http://localhost:{port}"
        self.log = log
        self.start()

    def start(self) -> None:
        """Also again, on the same port, after `terminate`."""
        command = [sys.executable, "-m", "streamlit", "run", str(self.home)]
        options = [
            f"--server.port={self.port}",
            "--server.headless=true",
            "--server.fileWatcherType=none",
        ]
        # The tests' own one thread (tests/conftest.py) is not for the server, which trains.
        environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
        with open(self.log, "ab") as file:
            self.process = subprocess.Popen(
                command + options,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=self.log.parent,
                env=environment | self.variables,
            )
        self._wait_until_healthy()

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1),
            ):
                return
            time.sleep(0.1)
        raise RuntimeError(f"The server did not start:\n{self.log.read_text()}")

    def streams(self) -> int:
        """How many event streams are open, as the server counts them."""
        with urllib.request.urlopen(f"{self.url}/live/streams", timeout=10) as answer:
            return json.load(answer)["streams"]

    def terminate(self, timeout: float = 30) -> float:
        """Send SIGTERM and return how many seconds the end took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout)
        return time.monotonic() - began


@contextlib.contextmanager
def started(folders: Path) -> Iterator[Server]:
    server = Server(folders / "server.log")
    yield server
    if server.process.poll() is None:
        server.process.kill()
        server.process.wait()


@pytest.fixture
def server(folders) -> Iterator[Server]:
    (folders / "data").mkdir(exist_ok=True)  # not the very first start, which draws the sample
    with started(folders) as server:
        yield server


@pytest.fixture
def first_start(folders) -> Iterator[Server]:
    """A server that has never been started before."""
    with started(folders) as server:
        yield server


@pytest.fixture(scope="session")
def chromium():
    """The browser. Without one these tests are skipped, but fail where `CI` is set."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("There is no Chromium here.")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium):
    """A new tab that counts what the server tells it: `tab.frames` are WebSocket messages, none without a script run."""
    context = chromium.new_context(viewport=dict(width=1440, height=900))
    page = context.new_page()
    page.frames_received = 0
    page.errors = []

    def count(_) -> None:
        page.frames_received += 1

    page.on("websocket", lambda socket: socket.on("framereceived", count))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    yield page
    context.close()
    assert not page.errors
