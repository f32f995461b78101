"""The presenter's code: how often it may be tried, how it is compared, and what proves that it was entered."""

import asyncio
import hmac
import json
import unicodedata

import pytest
from components import presenter, presenter_code, role
from components.presenter_code import (
    ADDRESSES,
    FREE,
    LASTS,
    LONGEST,
    QUIET,
    SHORTEST,
    TICKET,
    WAITING,
    Busy,
    Door,
    Roles,
)
from starlette.requests import Request

CODE = "Schlüssel-4711"


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now, self.slept = 1000.0, []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def door(clock):
    return Door(clock, clock.sleep)


def test_the_delay_grows_with_every_wrong_try_up_to_a_limit(door, clock):
    async def guess():
        for number in range(12):
            assert not await door.check(f"guess {number}", CODE, f"10.0.0.{number}")

    asyncio.run(guess())  # from another address each time: the delay belongs to the room
    assert clock.slept[: FREE + 1] == [0.0] * FREE + [0.1]
    assert clock.slept == sorted(clock.slept) and clock.slept[-1] == LONGEST
    assert clock.slept.count(LONGEST) >= 4


def test_the_right_code_and_quiet_time_forgive(door, clock):
    async def story():
        for _ in range(10):
            await door.check("wrong", CODE, "10.0.0.1")
        assert door.delay == LONGEST
        assert await door.check(CODE, CODE, "10.0.0.2")
        assert door.delay == 0
        for _ in range(10):
            await door.check("wrong", CODE, "10.0.0.1")
        clock.now += QUIET + 1
        assert door.delay == 0

    asyncio.run(story())


def test_thirty_pupils_who_type_nonsense_cost_the_teacher_half_a_minute(door, clock):
    """Each address has as many tries waiting as it may; the teacher comes last, and is heard after one of each."""

    async def room():
        pupils = [
            asyncio.create_task(door.check("nonsense", CODE, f"10.0.0.{number}"))
            for _ in range(WAITING)
            for number in range(30)
        ]
        await asyncio.sleep(0)
        began = clock.now
        assert await door.check(CODE, CODE, "10.0.1.1")
        waited = clock.now - began
        for task in pupils:
            task.cancel()
        await asyncio.gather(*pupils, return_exceptions=True)
        return waited

    assert asyncio.run(room()) <= 31 * LONGEST


def test_guessing_together_is_no_quicker_than_alone(door, clock):
    async def room():
        await asyncio.gather(
            *(door.check("guess", CODE, f"10.0.{i % 30}.1") for i in range(30 * WAITING))
        )

    began = clock.now
    asyncio.run(room())
    assert clock.now - began > (30 * WAITING - 10) * LONGEST


def test_an_address_has_a_bounded_number_of_tries_waiting_and_all_are_forgotten(door):
    async def room():
        tasks = [
            asyncio.create_task(door.check("x", CODE, f"2001:db8:0:1::{i + 1:x}"))
            for i in range(WAITING)
        ]
        await asyncio.sleep(0)
        with pytest.raises(Busy):  # the same /64: one device can have any address of it
            await door.check("x", CODE, "2001:db8:0:1:ffff::1")
        await asyncio.gather(*tasks)

    asyncio.run(room())
    assert not door._lines and not door._waiting


def test_with_too_many_addresses_waiting_this_machine_is_still_heard(door):
    async def room():
        tasks = [
            asyncio.create_task(door.check("x", CODE, f"10.0.0.{i}")) for i in range(ADDRESSES)
        ]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await door.check(CODE, CODE, "10.0.1.1")
        assert await door.check(CODE, CODE, "127.0.0.1")
        await asyncio.gather(*tasks)

    asyncio.run(room())


def test_nobody_waits_on_a_server_that_ends(clock):
    ends = []
    door = Door(clock, clock.sleep, closing=lambda: bool(ends))

    async def room():
        tasks = [
            asyncio.create_task(door.check("x", CODE, f"10.0.0.{i}"))
            for i in range(30)
            for _ in range(5)
        ]
        await asyncio.sleep(0)
        ends.append(True)
        began = clock.now
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert clock.now - began <= LONGEST
        assert sum(isinstance(answer, Busy) for answer in answers) >= 149

    asyncio.run(room())


def test_codes_are_compared_in_constant_time(monkeypatch):
    compared = []

    def compare(a, b):
        compared.append((a, b))
        return a == b

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert presenter_code.same(CODE, CODE) and not presenter_code.same("", CODE)
    assert [(len(a), len(b)) for a, b in compared] == [(32, 32)] * 2  # no length to learn


@pytest.mark.parametrize(
    ("given", "right"),
    [
        (CODE, True),
        (f"  {CODE}\n", True),
        (unicodedata.normalize("NFD", CODE), True),
        (CODE.lower(), False),
        (CODE[:-1], False),
        ("", False),
        ("\ud800", False),
        ("密码密码密码密码", False),
    ],
)
def test_what_counts_as_the_code(given, right):
    assert presenter_code.same(given, CODE) is right


# The proof


def test_a_token_lasts_a_school_day_and_no_longer(clock):
    roles = Roles(clock)
    token = roles.open(CODE)
    assert roles.holds(token, CODE)
    assert not roles.holds(token[:-1], CODE) and not roles.holds(None, CODE)
    clock.now += LASTS
    assert not roles.holds(token, CODE)


def test_another_code_or_leaving_ends_the_role(clock):
    roles = Roles(clock)
    first, second = roles.open(CODE), roles.open(CODE)
    assert not roles.holds(first, "another code")
    roles.close(first)
    assert not roles.holds(first, CODE) and roles.holds(second, CODE)


def test_a_ticket_works_once_and_for_a_minute(clock):
    roles = Roles(clock)
    token = roles.open(CODE)
    ticket = roles.ticket(token)
    assert roles.redeem(ticket) == token
    assert roles.redeem(ticket) is None
    late = roles.ticket(token)
    clock.now += TICKET + 1
    assert roles.redeem(late) is None
    assert roles.redeem(["no", "string"]) is None


# The route


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    clock = Clock()
    monkeypatch.setattr(presenter, "door", Door(clock, clock.sleep))
    monkeypatch.setattr(role, "roles", Roles())
    monkeypatch.setenv(role.VARIABLE, CODE)


def post(body: bytes, kind: str = "application/json", scheme: str = "http"):
    async def receive():
        return dict(type="http.request", body=body, more_body=False)

    scope = dict(
        type="http", method="POST", path=presenter.ENTER_URL, query_string=b"", scheme=scheme,
        headers=[(b"content-type", kind.encode()), (b"host", b"localhost")], client=("10.0.0.1", 1),
        server=("localhost", 80),
    )  # fmt: skip
    answer = asyncio.run(presenter.enter(Request(scope, receive)))
    return answer, json.loads(answer.body)


def as_body(code: object) -> bytes:
    return json.dumps(dict(code=code)).encode()


def test_the_right_code_gives_a_ticket_and_a_cookie_that_no_script_can_read():
    answer, said = post(as_body(CODE))
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie  # or it would be lost on plain http
    token = cookie.split(";")[0].partition("=")[2]
    assert role.roles.holds(token, CODE) and role.roles.redeem(said["ticket"]) == token
    assert "Secure" in post(as_body(CODE), scheme="https")[0].headers["set-cookie"]


def test_a_wrong_code_gives_a_sentence_and_nothing_else():
    answer, said = post(as_body("no, not this"))
    assert said == dict(sentence="That is not the code.")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (as_body(CODE), "text/plain"),  # what a form of somebody else's page could send
        (as_body(CODE), "application/x-www-form-urlencoded"),
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b"[" * 1900, "application/json"),
        (as_body(7), "application/json"),
        (b"\xff", "application/json"),
        (as_body("x" * 5000), "application/json"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(body, kind):
    answer, said = post(body, kind)
    assert answer.status_code in (400, 413) and said["sentence"]
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("code", ["", "   ", "x" * (SHORTEST - 1)])
def test_without_a_code_that_counts_nobody_enters(monkeypatch, code):
    monkeypatch.setenv(role.VARIABLE, code)
    answer, _ = post(as_body(code))
    assert answer.status_code == 404 and "set-cookie" not in answer.headers
