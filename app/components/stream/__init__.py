"""The live path: one reader a run, one event stream a browser, no script runs.

`feeds` follows the tables that the training loop writes, whoever writes them; `broadcast` lets the feeds look while
anybody watches and says what is new; `serving` answers requests. In the browser `hub.js` holds the one stream, in a worker that
the tabs share (`worker.js`), and `tab.js` is each tab's end of it.
"""

from pathlib import Path

from components.stream.broadcast import Hub, current, describe, describe_replay, hub
from components.stream.feeds import Feed
from components.stream.serving import (
    EVENTS_URL,
    FOR_EVER,
    PLOTLY_URL,
    VERSION,
    WORKER_URL,
    closing_on_signals,
    routes,
)

__all__ = [
    "EVENTS_URL",
    "FOR_EVER",
    "PLOTLY_URL",
    "SCRIPT",
    "WORKER_URL",
    "Feed",
    "Hub",
    "closing_on_signals",
    "current",
    "describe",
    "describe_replay",
    "hub",
    "routes",
]

_HERE = Path(__file__).parent
# For components that listen: a tab's end, with a hub to fall back on where browsers have no shared workers.
SCRIPT = f"const VERSION = '{VERSION}'\n" + "".join(
    (_HERE / file).read_text(encoding="utf-8") for file in ("hub.js", "tab.js")
)
