"""The hub that the tabs of a browser share: the real script, on a stream and a clock that the test holds."""

from pathlib import Path

import pytest

HUB = Path(__file__).resolve().parents[2] / "app" / "components" / "stream" / "hub.js"
# Timers that ring when the test says so, and a stream that says what the test says.
WORLD = """
window.timers = []
window.setTimeout = (work, delay) => timers.push({ work, delay }) - 1
window.setInterval = (work) => { window.tick = work; return 'ticker' }
window.clearTimeout = (number) => { if (timers[number]) timers[number].work = null }
window.clearInterval = (what) => { if (what === 'ticker') window.tick = null }
window.now = 1e12
Date.now = () => window.now
window.ring = () => { const due = timers.filter((timer) => timer.work).at(-1); const { work } = due
                      due.work = null; work(); return due.delay }
window.sources = []
window.EventSource = class {
    constructor(url) { this.url = url; this.heard = {}; sources.push(this) }
    addEventListener(kind, listener) { this.heard[kind] = listener }
    close() { this.closed = true }
    say(kind, data) { this.heard[kind]({ data: JSON.stringify(data) }) }
}
window.open_ = () => sources.filter((source) => !source.closed)
window.tab = () => { const told = []; const send = (message) => told.push(message); return { told, send } }
window.watch = (hub, { send }, ...names) =>
    hub.receive(send, { kind: 'watch', url: '/live/events', names, status: true })
window.rows = (run, reset, position, ...steps) => ({ run, reset, position, steps, epochs: [] })
"""


@pytest.fixture(scope="module")
def page(chromium):
    context = chromium.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def hub(page):
    """Evaluates a script in a fresh world in which `hub` is a hub."""
    page.goto("about:blank")
    page.evaluate(WORLD + HUB.read_text(encoding="utf-8") + "\nwindow.hub = openHub()")
    return lambda script: page.evaluate(f"() => {{ {script} }}")


def test_tabs_share_a_stream_of_all_that_they_watch(hub):
    urls = hub("""const a = tab(), b = tab()
        watch(hub, a, 'x'); watch(hub, b, 'y'); ring()
        return open_().map((source) => source.url)""")
    assert urls == ["/live/events?run=x&run=y"]


def test_a_later_tab_is_told_everything_and_each_only_what_it_watches(hub):
    told = hub("""const a = tab(), b = tab()
        watch(hub, a, 'x'); ring()
        sources[0].say('rows', rows('x', true, 'g.1.0', [1, 2, 3, 4]))
        sources[0].say('status', { current: null, runs: {}, gone: [], teacher: null })
        watch(hub, b, 'x', 'y')
        ring()
        sources[1].say('rows', rows('y', true, 'h.1.0', [5, 6, 7, 8]))
        return [sources[1].url, a.told, b.told]""")
    url, first, second = told
    assert url == "/live/events?run=x&run=y&after=x%3Ag.1.0"  # goes on where it was
    assert [m["kind"] for m in first] == ["welcome", "rows", "status"]
    assert [m["kind"] for m in second] == ["welcome", "status", "rows", "rows"]
    assert second[2] == dict(kind="rows", run="x", reset=True, steps=[[1, 2, 3, 4]], epochs=[])


def test_a_run_that_is_watched_again_later_comes_whole(hub):
    url = hub("""const a = tab()
        watch(hub, a, 'x', 'y'); ring()
        sources[0].say('rows', rows('x', true, 'g.1.0', [1, 2, 3, 4]))
        watch(hub, a, 'y'); ring()
        watch(hub, a, 'x', 'y'); ring()
        return open_()[0].url""")
    assert url == "/live/events?run=x&run=y"


def test_without_viewers_the_stream_closes(hub):
    assert hub("""const a = tab()
        watch(hub, a, 'x'); ring()
        hub.receive(a.send, { kind: 'bye' }); ring()
        return [open_().length, window.tick]""") == [0, None]


def test_a_tab_that_answers_no_more_is_dropped_and_may_come_back(hub):
    result = hub("""const dead = tab(), alive = tab()
        watch(hub, dead, 'x'); watch(hub, alive); ring()
        for (let i = 0; i < 6 * 5; i++) {
            sources[0].say('beat', {})
            tick()
            if (alive.told.at(-1).kind === 'ping') hub.receive(alive.send, { kind: 'pong' })
        }
        ring()
        const dropped = dead.told.at(-1).kind, url = open_()[0].url
        watch(hub, dead, 'x'); ring()
        return [dropped, url, open_()[0].url, alive.told.some((m) => m.kind === 'dropped')]""")
    assert result == ["dropped", "/live/events?", "/live/events?run=x", False]


def test_it_tries_again_ever_later_and_no_two_browsers_at_once(hub):
    delays = hub("""return [1, 2, 3, 4, 5, 6, 7].map((failures) => [...Array(40)].map(() => {
            const one = openHub()
            watch(one, tab(), 'x'); ring()
            let delay
            for (let i = 0; i < failures; i++) { open_()[0].onerror(); delay = ring() }
            open_()[0].close()
            return delay
        }))""")
    for failures, some in enumerate(delays, 1):
        middle = min(8000, 500 * 2**failures)
        assert all(0.5 * middle <= delay <= 1.5 * middle for delay in some)
        assert max(some) - min(some) > 0.5 * middle  # spread out


def test_a_lost_connection_is_told_after_some_seconds_and_taken_back(hub):
    told = hub("""const a = tab()
        watch(hub, a, 'x'); ring()
        sources[0].onerror()
        tick()
        const soon = a.told.length
        now += 5000; tick()
        ring()
        sources[1].say('status', { current: null, runs: {}, gone: [], teacher: null })
        return [soon, a.told.slice(soon).map((m) => [m.kind, m.lost ?? null])]""")
    assert told == [1, [["lost", True], ["lost", False], ["status", None]]]


def test_a_connection_that_nobody_ended_but_carries_nothing_is_opened_anew(hub):
    assert hub("""watch(hub, tab(), 'x'); ring()
        sources[0].say('rows', rows('x', true, 'g.1.0', [1, 2, 3, 4]))
        now += 5000; tick()
        const patient = open_().length
        now += 10000; tick(); ring()
        return [patient, sources.length, sources[0].closed, open_()[0].url]""") == [
        1,
        2,
        True,
        "/live/events?run=x&after=x%3Ag.1.0",
    ]


def test_of_a_run_that_goes_on_for_long_every_second_point_stays_and_the_last(hub):
    length, last, reset = hub("""const a = tab()
        watch(hub, a, 'x'); ring()
        for (let i = 0; i < 61; i++) {
            const steps = [...Array(100)].map((_, j) => [i * 100 + j, 0, 0, 0])
            sources[0].say('rows', { run: 'x', reset: !i, position: `g.${i}.0`, steps, epochs: [] })
        }
        const message = a.told.at(-1)
        return [message.steps.length, message.steps.at(-1)[0], message.reset]""")
    assert length == 3050 and last == 6099 and reset
