"""One picture of a dataset at an address of its own, for components that show thousands of them only where one points."""

import io
from functools import lru_cache
from urllib.parse import quote

import anyio.to_thread
import streamlit as st
from PIL import Image
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tinymodel.data import PreparedDataset, open_dataset
from tinymodel.errors import UserError

PICTURES_URL = "/live/pictures"


class _Number(IntegerConvertor):
    """`{name:number}` in a route; `int` fails with thousands of digits."""

    regex = "[0-9]{1,9}"


register_url_convertor("number", _Number())


def prefix() -> str:
    """What stands before every address of this server, if it is not at the root of its host."""
    base = st.get_option("server.baseUrlPath").strip("/")
    return f"/{base}" if base else ""


def address(dataset: PreparedDataset) -> str:
    """To which '/<row>.png' is added; another content under the same name has another address."""
    return f"{prefix()}{PICTURES_URL}/{quote(dataset.name)}/{quote(dataset.fingerprint, safe='')}"


@lru_cache(maxsize=4)
def _open(name: str, fingerprint: str) -> PreparedDataset:
    dataset = open_dataset(name)
    if dataset.fingerprint != fingerprint:
        raise UserError(f"The dataset {name!r} has changed; reload the page.")
    return dataset


def _encode(name: str, fingerprint: str, row: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(_open(name, fingerprint).images[row]).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


async def picture(request: Request) -> Response:
    parts = request.path_params
    try:
        content = await anyio.to_thread.run_sync(
            _encode, parts["dataset"], parts["fingerprint"], parts["row"]
        )
    except (UserError, IndexError, OSError):
        return Response("There is no such picture.", status_code=404)
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(content, media_type="image/png", headers=headers)


routes = [Route(f"{PICTURES_URL}/{{dataset}}/{{fingerprint}}/{{row:number}}.png", picture)]
