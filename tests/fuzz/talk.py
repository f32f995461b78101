"""A browser without a screen: Streamlit's websocket and upload route, and plain requests with whatever is in them."""

import asyncio
import sys
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
from viewer import Tab as Viewer


def run(talking: Coroutine) -> None:
    """In a thread of its own: in the tests' own one a loop may be running, which is Playwright's."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, talking).result()


async def ask(
    port: int,
    target: str,
    method: str = "GET",
    head: dict[str, str] | None = None,
    body: bytes = b"",
    stay: float = 30,
) -> tuple[int, bytes]:
    """The status and the body of an answer; of a stream, what came within `stay` seconds after its beginning."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    headers = {"Host": f"localhost:{port}", "Connection": "close"} | (head or {})
    if body or method in ("PUT", "POST"):
        headers.setdefault("Content-Length", str(len(body)))
    lines = [f"{method} {target} HTTP/1.1", *(f"{key}: {value}" for key, value in headers.items())]
    answer = b""
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode("utf-8", "replace") + body)
        async with asyncio.timeout(60):
            answer = await reader.read(1 << 16)
        async with asyncio.timeout(stay):
            while part := await reader.read(1 << 16):
                answer += part
    except (TimeoutError, ConnectionError):  # a stream never ends; who is refused may be cut off
        pass
    finally:
        writer.close()
    first, _, rest = answer.partition(b"\r\n\r\n")
    status = first.split(b" ", 2)[1] if first.startswith(b"HTTP/") else b"0"
    return int(status), rest


class Tab(Viewer):
    """What a page says, also of its exceptions; and files that are sent to its widgets."""

    def __init__(self, port: int, page: str, query: str = ""):
        super().__init__(port, page, query)
        self.port = port
        self.session = ""
        self.exceptions: list[str] = []
        self.errors: list[str] = []
        self.files: dict[str, tuple[str, str, int]] = {}  # widget id → file id, name and bytes

    def _take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self.session = message.new_session.initialize.session_id or self.session
            self.exceptions.clear()
            self.errors.clear()
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            element = message.delta.new_element
            if element.WhichOneof("type") == "exception":
                self.exceptions.append(element.exception.message or element.exception.type)
            elif element.WhichOneof("type") == "alert":
                self.errors.append(element.alert.body)
        super()._take(message)

    async def visit(self, page: str, query: str) -> None:
        self.page, self.query = page, query
        await self.run()

    async def send_file(self, label: str, name: str, data: bytes, number: int) -> int:
        """Send a file as the widget does and let the page read it; the status of the upload."""
        file_id = f"file-{number}"
        status = await self.put(file_id, *multipart(name, data))
        self.files = {self.elements[label].id: (file_id, name, len(data))}
        await self.run()
        return status

    async def put(self, file_id: str, kind: str, body: bytes) -> int:
        target = f"/_stcore/upload_file/{self.session}/{file_id}"
        head = {"Content-Type": kind, **await self.token()}
        return (await ask(self.port, target, "PUT", head, body))[0]

    async def token(self) -> dict[str, str]:
        """The headers that show that it is a page of this server that sends something."""
        if not hasattr(self, "_token"):
            self._token = await xsrf(self.port)
        return self._token

    async def _ask(self, trigger=None, fragment: str = "") -> None:
        if not self.files:
            await super()._ask(trigger, fragment)
            return
        message = BackMsg()
        script = message.rerun_script
        script.query_string, script.page_name, script.fragment_id = self.query, self.page, fragment
        script.cached_message_hashes.extend(self.kept)
        for name, (file_id, title, size) in self.files.items():
            state = script.widget_states.widgets.add(id=name)
            state.file_uploader_state_value.uploaded_file_info.add(
                file_id=file_id, name=title, size=size
            )
        await self.socket.send(message.SerializeToString())


def multipart(name: str, data: bytes) -> tuple[str, bytes]:
    """The kind and the body of a form with one file, as browsers write them."""
    quoted = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{quoted}"\r\n\r\n'
    return (
        "multipart/form-data; boundary=x",
        head.encode("utf-8", "replace") + data + b"\r\n--x--\r\n",
    )


async def xsrf(port: int) -> dict[str, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET /_stcore/health HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode()
    )
    head = (await reader.read()).decode("latin-1")
    writer.close()
    cookies = [
        line
        for line in head.split("\r\n")
        if line.lower().startswith("set-cookie: _streamlit_xsrf")
    ]
    value = cookies[0].split("=", 1)[1].split(";")[0] if cookies else ""
    return {"X-Xsrftoken": value, "Cookie": f"_streamlit_xsrf={value}"}
