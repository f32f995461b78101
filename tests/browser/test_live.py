"""The live path: tables on disk to curves in a real browser, without a script run."""

import re
import time

import pytest
from conftest import add_epoch, run_info
from playwright.sync_api import expect

from tinymodel.config import TrainConfig
from tinymodel.run_writer import RunWriter
from tinymodel.runs import Run, list_runs

POINTS = """() => document.querySelectorAll('.js-plotly-plot').length < 3 ? -1 :
    [...document.querySelectorAll('.js-plotly-plot')].reduce(
        (sum, plot) => sum + plot.data.reduce((n, trace) => n + trace.x.length, 0), 0)"""


@pytest.fixture
def training(small_dataset):
    """A run that this process writes, as training does, after its first epoch."""
    config = TrainConfig(dataset="small", epochs=50, width=4)
    writer = RunWriter.create(run_info(small_dataset, config))
    add_epoch(writer, 1)
    yield writer
    if writer.run.is_locked():
        writer.close()


def open_run(tab, server, name: str) -> None:
    tab.goto(f"{server.url}/train?run={name}")
    tab.wait_for_function(f"({POINTS})() > 0", timeout=30_000)
    settle(tab)


def settle(tab) -> None:
    """Wait until the server has told everything about the last script run."""
    for _ in range(20):
        before = tab.frames_received
        tab.wait_for_timeout(700)
        if tab.frames_received == before:
            break


def wait_for_points(tab, at_least: int) -> None:
    tab.wait_for_function(f"({POINTS})() >= {at_least}", timeout=30_000)


def test_points_increase_while_no_script_runs(tab, server, training):
    open_run(tab, server, training.run.name)
    points, frames = tab.evaluate(POINTS), tab.frames_received
    for epoch in (2, 3, 4):
        add_epoch(training, epoch)
        wait_for_points(tab, points + 1)
        assert (
            tab.evaluate(POINTS) == points + 10 + 10 + 10 + 4
        )  # three step curves, four of epochs
        points = tab.evaluate(POINTS)
    expect(tab.locator(".tm-table tbody tr")).to_have_count(4)
    expect(tab.locator(".tm-card")).to_contain_text("epoch 5 of 50")
    assert tab.frames_received == frames  # nothing came from Streamlit: no script ran


def test_zoom_and_node_outlive_updates_and_a_rerun(tab, server, training):
    open_run(tab, server, training.run.name)
    plot = tab.locator(".js-plotly-plot").first
    box = plot.locator(".nsewdrag").first.bounding_box()
    middle = box["y"] + box["height"] / 2
    tab.mouse.move(box["x"] + 20, middle)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 120, middle + 60, steps=8)
    tab.mouse.up()
    tab.wait_for_timeout(300)
    look = "plot => [plot.layout.xaxis.range, plot.layout.yaxis.range]"
    zoomed = plot.evaluate(look)
    assert zoomed[0][1] < 45  # it did zoom
    plot.evaluate("plot => { window.plot = plot; plot.dataset.mark = 'mine' }")

    points = tab.evaluate(POINTS)
    for epoch in range(2, 7):
        add_epoch(training, epoch)
        wait_for_points(tab, points + 1)
        points = tab.evaluate(POINTS)
    assert plot.evaluate(look) == zoomed
    frames = tab.frames_received
    tab.get_by_role("button", name="Pause").click()
    expect(tab.get_by_role("button", name="Resume")).to_be_visible()
    assert tab.frames_received > frames  # the script did run
    assert tab.evaluate("document.querySelector('.js-plotly-plot') === window.plot")
    assert plot.evaluate(look) == zoomed
    add_epoch(training, 7)
    wait_for_points(tab, points + 1)
    assert plot.evaluate(look) == zoomed


def test_the_page_is_drawn_anew_when_the_run_ends(tab, server, training):
    open_run(tab, server, training.run.name)
    expect(tab.get_by_role("button", name="Stop")).to_be_visible()
    training.update(status="stopped")
    training.close()
    expect(tab.get_by_role("button", name="Resume")).to_be_visible(timeout=6000)
    expect(tab.get_by_role("button", name="Stop")).to_have_count(0)
    settle(tab)
    frames = tab.frames_received
    tab.wait_for_timeout(2000)
    assert tab.frames_received == frames  # once, not for ever


def test_a_run_that_is_deleted_elsewhere_is_said_to_be_gone(tab, server, training):
    open_run(tab, server, training.run.name)
    training.update(status="stopped")
    training.close()
    expect(tab.get_by_role("button", name="Resume")).to_be_visible(timeout=6000)
    training.run.delete()
    expect(tab.get_by_text("was deleted or renamed")).to_be_visible(timeout=20_000)
    expect(tab.locator(".js-plotly-plot")).to_have_count(0, timeout=20_000)


def test_an_empty_chart_has_a_sensible_axis_until_there_are_points(tab, server, training):
    training.cut(None)
    tab.goto(f"{server.url}/train?run={training.run.name}")
    tab.wait_for_function("() => document.querySelectorAll('.js-plotly-plot').length === 3")
    axis = "() => document.querySelector('.js-plotly-plot').layout.yaxis.range"
    assert tab.evaluate(axis) == [0, 1]  # accuracy, not 400 %
    add_epoch(training, 1)
    wait_for_points(tab, 34)
    assert 0.1 < tab.evaluate(axis)[1] < 0.9
    add_epoch(training, 2)
    wait_for_points(tab, 68)
    assert tab.evaluate(POINTS) == 68


def test_a_resume_that_cuts_the_tables_takes_points_back(tab, server, training):
    lengths = training.lengths()
    add_epoch(training, 2)
    add_epoch(training, 3)
    open_run(tab, server, training.run.name)
    assert tab.evaluate(POINTS) == 3 * 34
    training.cut(lengths)
    tab.wait_for_function(f"({POINTS})() === 34", timeout=6000)


def test_without_shared_workers_a_hidden_tab_lets_its_connection_go(tab, server, training):
    """A browser opens six connections to a host, and every stream keeps one."""
    tab.add_init_script("delete window.SharedWorker")
    open_run(tab, server, training.run.name)
    tab.evaluate("""() => {
        Object.defineProperty(document, 'hidden', { value: true, configurable: true })
        window.realTimeout = window.setTimeout
        window.setTimeout = (work, delay) => window.realTimeout(work, Math.min(delay, 50))
        document.dispatchEvent(new Event('visibilitychange'))
    }""")
    tab.wait_for_timeout(500)
    points = tab.evaluate(POINTS)
    add_epoch(training, 2)
    tab.wait_for_timeout(2000)
    assert tab.evaluate(POINTS) == points
    tab.evaluate("""() => {
        Object.defineProperty(document, 'hidden', { value: false, configurable: true })
        document.dispatchEvent(new Event('visibilitychange'))
    }""")
    wait_for_points(tab, points + 34)
    assert tab.evaluate(POINTS) == points + 34  # what it missed, and nothing twice


def wait_for_streams(server, number: int) -> None:
    deadline = time.monotonic() + 40
    while (now := server.streams()) != number and time.monotonic() < deadline:
        time.sleep(0.2)
    assert now == number


def test_eight_tabs_are_live_with_one_stream(tab, server, training):
    open_run(tab, server, training.run.name)
    add_epoch(training, 2)
    wait_for_points(tab, 2 * 34)
    late = [tab.context.new_page() for _ in range(7)]
    for one in late:
        one.goto(f"{server.url}/train?run={training.run.name}")
    for one in late:  # each has the whole history, from the worker that they share
        one.wait_for_function(f"({POINTS})() === {2 * 34}", timeout=60_000)
        assert one.evaluate("tinymodelLive.shared")
    add_epoch(training, 3)
    for one in (tab, *late):
        one.wait_for_function(f"({POINTS})() === {3 * 34}", timeout=30_000)
    assert server.streams() == 1
    for one in late:
        one.close()
    add_epoch(training, 4)
    wait_for_points(tab, 4 * 34)  # the others' end is not this one's
    tab.goto("about:blank")
    wait_for_streams(server, 0)  # nobody looks on


def test_where_shared_workers_cannot_start_every_tab_has_a_stream_of_its_own(tab, server, training):
    tab.add_init_script(
        "window.SharedWorker = class { constructor() { throw new DOMException('private') } }"
    )
    other = tab.context.new_page()
    other.add_init_script("""window.SharedWorker = class { constructor() {
        this.port = new MessageChannel().port1
        setTimeout(() => this.onerror(), 50)  // its script did not come
    } }""")
    for one in (tab, other):
        one.goto(f"{server.url}/train?run={training.run.name}")
        one.wait_for_function(f"({POINTS})() === 34", timeout=60_000)
        assert one.evaluate("tinymodelLive.shared") is False
    wait_for_streams(server, 2)
    add_epoch(training, 2)
    for one in (tab, other):
        wait_for_points(one, 68)


def test_curves_go_on_by_themselves_after_a_restart_of_the_server(tab, server, training):
    open_run(tab, server, training.run.name)
    tab.evaluate("document.querySelector('.js-plotly-plot').dataset.mark = 'mine'")
    server.terminate()
    add_epoch(training, 2)
    lost = tab.get_by_text("The connection to the server is lost: trying again")
    expect(lost.first).to_be_visible(timeout=30_000)
    expect(tab.get_by_text("Is Streamlit still running")).to_be_hidden()
    server.start()
    tab.wait_for_function(f"({POINTS})() === 68", timeout=60_000)
    expect(lost.first).to_be_hidden(timeout=10_000)
    add_epoch(training, 3)
    tab.wait_for_function(f"({POINTS})() === {3 * 34}", timeout=30_000)


def test_a_run_that_has_ended_plays_again_without_a_script_run(tab, server, training):
    epochs = 20  # of 1.2 s
    for epoch in range(2, epochs + 1):
        add_epoch(training, epoch)
    training.update(status="finished")
    training.close()
    open_run(tab, server, training.run.name)
    assert tab.evaluate(POINTS) == epochs * 34
    tab.get_by_role("button", name="Play it again").click()
    expect(tab.locator(".tm-replay")).to_have_text("Replay, as fast as it was", timeout=20_000)
    tab.wait_for_function(f"({POINTS})() < {epochs * 34}", timeout=20_000)
    settle(tab)
    frames, points = tab.frames_received, tab.evaluate(POINTS)
    wait_for_points(tab, points + 2 * 34)
    assert tab.frames_received == frames  # no script ran

    ends_soon = f"1x-since-{time.time() - (epochs - 2) * 1.2:.3f}"
    tab.goto(f"{server.url}/train?run={training.run.name}&replay={ends_soon}")
    expect(tab.locator(".tm-replay")).to_have_text("Replay, at its end", timeout=30_000)
    expect(tab.get_by_role("button", name="Play it again")).to_be_visible(timeout=20_000)
    tab.wait_for_function(f"({POINTS})() === {epochs * 34}", timeout=20_000)


def test_a_replay_is_moved_to_a_moment_and_its_charts_stay(tab, server, finished_run):
    tab.goto(f"{server.url}/train?run={finished_run.name}&replay=1x-at-0.000")
    tab.wait_for_function(f"({POINTS})() === 0", timeout=60_000)
    settle(tab)
    tab.evaluate("window.plot = document.querySelector('.js-plotly-plot')")
    tab.get_by_role("slider", name="Moment").fill("2.5")
    tab.wait_for_function(f"({POINTS})() > 68", timeout=30_000)
    tab.wait_for_url("**replay=1x-at-2.5*")
    figure = tab.get_by_role("figure", name="Accuracy")
    expect(figure).to_have_attribute("aria-label", re.compile("After epoch 2 of 3: training"))
    assert tab.evaluate("document.querySelector('.js-plotly-plot') === window.plot")
    whole = tab.get_by_role("progressbar", name="Whole training")
    expect(whole).to_have_attribute("aria-valuenow", re.compile("[67].|8[0-5]"))
    sizes = tab.evaluate("""() => [...document.querySelectorAll('.xtick text, .ytick text, .legendtext')]
        .map((text) => parseFloat(getComputedStyle(text).fontSize))""")
    assert len(sizes) > 10 and min(sizes) >= 14  # pixels: from the last row
    other = tab.context.new_page()  # whoever opens the address sees the same
    other.goto(tab.url)
    other.wait_for_function(f"({POINTS})() === {tab.evaluate(POINTS)}", timeout=60_000)


def test_the_end_of_the_server_saves_the_training_and_ends_open_streams(tab, server, small_dataset):
    tab.goto(f"{server.url}/train?dataset=small")
    tab.get_by_text("images per second").wait_for(timeout=60_000)  # measured
    epochs = tab.get_by_role("spinbutton", name="Epochs")
    epochs.fill("1000")
    epochs.press("Enter")
    expect(tab.get_by_text("Changed from the preset: epochs")).to_be_visible()
    tab.get_by_role("button", name="Start training").click()
    tab.wait_for_function(f"({POINTS})() > 0", timeout=30_000)
    run = list_runs()[0]
    deadline = time.monotonic() + 20
    while run.status != "running" and time.monotonic() < deadline:
        time.sleep(0.1)
    seconds = server.terminate()
    assert Run.open(run.name).status == "stopped"
    assert (run.folder / "last.pt").is_file()
    assert seconds < 5  # within three seconds after its checkpoint
