"""The presenter's code: who may try it and how often, and the proof of having entered it. Knows no Streamlit.

How guessing is slowed down without locking the teacher out: one try after the other is checked for the whole room,
and the more of them were wrong, the longer each takes, up to `LONGEST`. The delay belongs to the room, so a new tab
or browser does not reset it. Addresses take turns, however many tries each has waiting: thirty pupils who type
nonsense without a pause cost the teacher thirty times `LONGEST`, half a minute, and guess once a second together.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
import time
import unicodedata
from collections import Counter
from collections.abc import Awaitable, Callable

SHORTEST = 8  # characters of a code
FREE = 3  # wrong tries that cost nothing: a finger slips
FIRST, LONGEST = 0.1, 1.0  # seconds before a try is checked: doubled from one wrong try to the next
QUIET = 60.0  # seconds without a wrong try after which all are forgiven
WAITING, ADDRESSES = 20, 40  # tries of an address, and addresses, that may wait at once
LASTS = 12 * 3600.0  # seconds of the role: a school day
TICKET = 60.0  # seconds in which a browser's tab may fetch the role it has just got


def tidy(code: str) -> str:
    """The same letters are the same code, however a keyboard composes them."""
    return unicodedata.normalize("NFC", code).strip()


def digest(code: str) -> bytes:
    return hashlib.sha256(tidy(code).encode("utf-8", "surrogatepass")).digest()


def same(given: str, code: str) -> bool:
    """Takes as long for a code that is nearly right as for one that is not."""
    return hmac.compare_digest(digest(given), digest(code))


class Busy(Exception):
    """Too many tries are waiting."""


class Door:
    """Checks one try after the other, the slower the more were wrong. For one event loop."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        closing: Callable[[], bool] = lambda: False,  # whether the server ends: nobody waits then
    ):
        self._clock, self._sleep, self._closing = clock, sleep, closing
        self._wrong, self._last = 0, 0.0
        self._turn = asyncio.Lock()  # first come, first served, and of each address one at a time:
        self._lines: dict[str, asyncio.Lock] = {}  # so addresses take turns
        self._waiting: Counter[str] = Counter()

    @property
    def delay(self) -> float:
        """Seconds before the next try is checked."""
        if self._clock() - self._last > QUIET:
            self._wrong = 0
        beyond = self._wrong - FREE
        return min(LONGEST, FIRST * 2 ** min(beyond, 20)) if beyond >= 0 else 0.0

    async def check(self, given: str, code: str, address: str) -> bool:
        """Whether it is the code, when its turn has come.

        Raises:
            Busy: It cannot even wait.
        """
        line = network(address)
        full = len(self._lines) >= ADDRESSES and line not in self._lines
        if self._waiting[line] >= WAITING or (full and not is_this_machine(address)):
            raise Busy
        lock = self._lines.setdefault(line, asyncio.Lock())
        self._waiting[line] += 1
        try:
            async with lock, self._turn:
                if self._closing():
                    raise Busy
                await self._sleep(self.delay)
                if same(given, code):
                    self._wrong = 0
                    return True
                self._wrong, self._last = self._wrong + 1, self._clock()
                return False
        finally:
            self._waiting[line] -= 1
            if not self._waiting[line]:
                del self._lines[line], self._waiting[line]


def network(address: str) -> str:
    """What counts as one address: of IPv6 a whole /64, which a single device can use up at will."""
    try:
        found = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return "unknown"
    if found.version == 6 and found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return (
        str(found)
        if found.version == 4
        else str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
    )


def is_this_machine(address: str) -> bool:
    """Where no pupil sits, so always heard."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class Roles:
    """Who has proved to know the code: random tokens, in the memory of this server alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._tokens: dict[str, tuple[bytes, float]] = {}  # token → the code's digest, end
        self._tickets: dict[str, tuple[str, float]] = {}  # ticket → token, end

    def open(self, code: str) -> str:
        """A token for who has just entered this code."""
        self._drop_old()
        token = secrets.token_urlsafe(32)
        self._tokens[token] = digest(code), self._clock() + LASTS
        return token

    def holds(self, token: str | None, code: str) -> bool:
        """Whether this token was given for this code, and still counts. Another code ends every role."""
        found = self._tokens.get(token or "")
        return (
            found is not None
            and self._clock() < found[1]
            and hmac.compare_digest(found[0], digest(code))
        )

    def close(self, token: str | None) -> None:
        """In every tab at once."""
        self._tokens.pop(token or "", None)

    def ticket(self, token: str) -> str:
        """For the tab in which the code was entered: its connection is older than the cookie. It works once."""
        self._drop_old()
        ticket = secrets.token_urlsafe(16)
        self._tickets[ticket] = token, self._clock() + TICKET
        return ticket

    def redeem(self, ticket: object) -> str | None:
        """The token of a ticket, once."""
        token, end = self._tickets.pop(ticket if isinstance(ticket, str) else "", (None, 0.0))
        return token if self._clock() < end else None

    def _drop_old(self) -> None:
        now = self._clock()
        self._tokens = {key: item for key, item in self._tokens.items() if item[1] > now}
        self._tickets = {key: item for key, item in self._tickets.items() if item[1] > now}
