"""The tour at the very first start, clicked through by somebody in a hurry, and on a phone."""

import re
import shutil
import time

import pytest
from playwright.sync_api import expect

from tinymodel.paths import ROOT

from .test_live import POINTS

LONGEST = 180  # seconds for all of it
PAGES = ("data", "train", "train", "gradcam", "mistakes")


@pytest.fixture
def shipped(folders):
    """What comes with the program, before its first start."""
    shutil.copytree(ROOT / "checkpoints" / "sample", folders / "runs" / "sample")


def step(tab, number: int):
    """Wait for this step and return its box."""
    box = tab.locator(".st-key-tour")
    expect(box).to_contain_text(f"Step {number} of 5", timeout=60_000)
    expect(tab).to_have_url(re.compile(rf"/{PAGES[number - 1]}\?.*tour={number}\b"))
    return box


def press(tab, name: str) -> None:
    tab.locator(".st-key-tour").get_by_role("button", name=name).click()


def test_five_steps_in_three_minutes(tab, shipped, first_start):
    tab.goto(first_start.url)
    began = time.monotonic()
    tab.get_by_role("link", name="First time here?").click()
    step(tab, 1)
    # Drawn meanwhile, and then there by themselves.
    expect(tab.get_by_role("heading", name="Pictures", exact=True)).to_be_visible(timeout=120_000)
    expect(step(tab, 1)).to_contain_text("Leaf through these")
    tab.reload()
    step(tab, 1)

    press(tab, "Next")
    expect(step(tab, 2)).to_contain_text("Press “Start training”")
    expect(tab.get_by_role("button", name="Start training")).to_be_visible(timeout=60_000)

    press(tab, "Next")
    expect(step(tab, 3)).to_contain_text("played back")
    tab.wait_for_function(f"({POINTS})() > 0", timeout=60_000)
    tab.get_by_role("link", name="Runs").first.click()  # a look elsewhere, and back
    expect(tab.locator(".st-key-tour")).to_contain_text("on the page Train", timeout=30_000)
    expect(tab).to_have_url(re.compile(r"/runs\?tour=3$"))
    press(tab, "Go there")
    step(tab, 3)

    press(tab, "Next")
    step(tab, 4)
    expect(tab.get_by_text("How sure it is (confidence)")).to_be_visible(timeout=90_000)
    assert tab.locator("[data-testid=stMain] img").count() >= 3

    press(tab, "Next")
    step(tab, 5)
    expect(tab.get_by_text("says:").first).to_be_visible(timeout=90_000)

    press(tab, "Done")
    box = tab.locator(".st-key-tour")
    expect(box).to_contain_text("That was the whole way", timeout=30_000)
    expect(tab).to_have_url(re.compile(r"/\?tour=end$"))
    assert time.monotonic() - began < LONGEST
    press(tab, "Close")
    expect(box).to_have_count(0)
    expect(tab).not_to_have_url(re.compile("tour"))
    expect(tab.get_by_role("link", name="Take the tour again")).to_be_visible()

    on_a_phone(tab, first_start.url)


def on_a_phone(tab, url: str) -> None:
    """Every step, opened by its address: nothing is wider than the screen, every button can be reached."""
    tab.set_viewport_size(dict(width=390, height=844))
    for number, page in enumerate(PAGES, 1):
        tab.goto(f"{url}/{page}?run={'new' if number == 2 else 'sample'}&tour={number}")
        box = step(tab, number)
        expect(tab.get_by_role("heading", level=1)).to_be_visible()
        expect(box.get_by_role("button", name="Skip the tour")).to_be_in_viewport()
        frame = box.bounding_box()
        assert frame["x"] >= 0 and frame["x"] + frame["width"] <= 390
        assert frame["height"] < 400  # half of the screen is the page's
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
