"""Runs, clicked through: ticked, renamed, packed, deleted, and brought back."""

import pytest
from conftest import add_epoch, run_info
from playwright.sync_api import expect

from tinymodel.config import TrainConfig
from tinymodel.run_writer import RunWriter
from tinymodel.runs import list_runs

from .test_live import settle

ROW = 35  # pixels


@pytest.fixture
def runs(small_dataset):
    for name in ("first", "second"):
        config = TrainConfig(dataset="small", epochs=2, width=4)
        writer = RunWriter.create(run_info(small_dataset, config), name)
        for epoch in (1, 2):
            add_epoch(writer, epoch)
        writer.update(status="finished")
        writer.close()


def tick(tab, name: str) -> None:
    """Click the box of a run in the table, which is drawn on a canvas."""
    row = [run.name for run in list_runs()].index(name) + 1
    box = tab.get_by_test_id("stDataFrame").first.bounding_box()
    tab.mouse.click(box["x"] + ROW / 2, box["y"] + ROW * (row + 0.5))


def test_runs_are_compared_renamed_packed_deleted_and_brought_back(tab, server, runs, tmp_path):
    tab.goto(f"{server.url}/runs")
    expect(tab.get_by_text("Tick one run")).to_be_visible(timeout=30_000)
    tab.wait_for_timeout(500)  # the canvas has no element to wait for
    tick(tab, "first")
    tab.wait_for_url("**/runs?runs=first")
    tick(tab, "second")
    tab.wait_for_url("**/runs?runs=first%2Csecond")
    expect(tab.locator(".js-plotly-plot")).to_have_count(2, timeout=30_000)
    tick(tab, "first")
    tab.wait_for_url("**/runs?runs=second")

    tab.get_by_role("button", name="Rename").click()
    tab.get_by_label("New name").fill("my-second")
    tab.get_by_test_id("stFormSubmitButton").get_by_role("button").click()
    tab.wait_for_url("**/runs?runs=my-second")
    settle(tab)  # a download asked for while the page is drawn anew is lost

    tab.get_by_role("button", name="Download", exact=True).click()
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name="The whole run (zip)").click()
    file = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(file)
    assert file.name == "my-second.zip"
    tab.keyboard.press("Escape")

    tab.get_by_role("button", name="Delete", exact=True).click()
    tab.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(tab.get_by_text("Tick one run")).to_be_visible()
    assert [run.name for run in list_runs()] == ["first"]
    tab.wait_for_timeout(700)
    assert "runs=" not in tab.url  # the row that moved up is not ticked in its place

    tab.get_by_role("button", name="Import a run").click()
    tab.locator("input[type=file]").set_input_files(file)
    tab.get_by_role("button", name="Import it").click()
    tab.wait_for_url("**/runs?runs=my-second", timeout=30_000)
    assert {run.name for run in list_runs()} == {"first", "my-second"}
