"""Studying answers with mouse, keyboard and phone: matrix, pages, one picture, and nothing wider than the screen."""

import re

import pytest
from conftest import write_scored_run
from playwright.sync_api import expect

from tinymodel import scores
from tinymodel.data import open_dataset

PHONE = dict(width=390, height=844)
SOON = dict(timeout=60_000)  # milliseconds, on a machine that has other work


@pytest.fixture
def other_run(scored_run):
    return write_scored_run(open_dataset("six"), "other", seed=1)


def open_page(tab, server, address: str) -> None:
    tab.goto(f"{server.url}/{address}")
    expect(tab.get_by_role("heading", level=1)).to_be_visible(**SOON)


def test_a_click_in_the_confusion_matrix_opens_its_images(tab, server, scored_run):
    open_page(tab, server, "confusion?run=scored")
    pair = scores.confused_pairs(scores.confusion(scored_run.predictions(), 6)).iloc[0]
    true, predicted, count = (int(pair[name]) for name in ("true", "predicted", "count"))
    cell = tab.locator(f"rect[data-true='{true}'][data-predicted='{predicted}']")
    cell.hover(**SOON)
    expect(tab.locator(".says")).to_contain_text(f"{count} of 15, ", **SOON)
    cell.click()
    heading = tab.get_by_role("heading", name=f"true: colour {true} / says: colour {predicted}")
    expect(heading).to_be_visible(**SOON)
    pictures = tab.locator(".grid .cell")
    expect(pictures).to_have_count(min(12, count), **SOON)
    expect(pictures.first).to_contain_text(f"says: colour {predicted}", **SOON)
    expect(tab).to_have_url(re.compile(f"true=n{true:08d}&predicted=n{predicted:08d}"), **SOON)

    tab.locator(".scroll").focus()  # the same without a mouse
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("Enter")
    expect(heading).to_be_visible(**SOON)
    tab.reload()  # the address holds it all
    expect(heading).to_be_visible(**SOON)


def test_arrow_keys_turn_pages_and_step_through_pictures(tab, server, scored_run):
    wrong = scores.mistakes(scored_run.predictions())
    open_page(tab, server, "mistakes?run=scored")
    first = tab.locator(".grid .cell").first
    expect(first).to_have_attribute(
        "href", f"mistakes?run=scored&page=1&image={wrong['index'][0]}", **SOON
    )
    tab.keyboard.press("ArrowRight")
    expect(tab).to_have_url(f"{server.url}/mistakes?run=scored&page=2", **SOON)
    expect(first).to_have_attribute(
        "href", f"mistakes?run=scored&page=2&image={wrong['index'][24]}", **SOON
    )
    tab.keyboard.press("ArrowLeft")
    expect(tab).to_have_url(f"{server.url}/mistakes?run=scored&page=1", **SOON)

    first.click()
    dialog = tab.get_by_role("dialog")
    expect(dialog).to_contain_text(f"1 of {len(wrong)}", **SOON)
    expect(
        dialog.get_by_text("looked here for").or_(dialog.get_by_text("nothing speaks"))
    ).to_be_visible(**SOON)
    tab.keyboard.press("ArrowRight")
    expect(dialog).to_contain_text(f"2 of {len(wrong)}", **SOON)
    expect(tab).to_have_url(
        f"{server.url}/mistakes?run=scored&page=1&image={wrong['index'][1]}", **SOON
    )
    tab.keyboard.press("Escape")
    expect(dialog).to_have_count(0, **SOON)
    expect(tab).to_have_url(f"{server.url}/mistakes?run=scored&page=1", **SOON)


def test_ticked_pictures_are_in_the_address_and_show_their_heat_maps(tab, server, scored_run):
    open_page(tab, server, "mistakes?run=scored")
    for place in (2, 5):
        tab.locator(".tick").nth(place).click(**SOON)
        expect(tab.locator(".tick[aria-pressed=true]")).to_have_count(
            1 if place == 2 else 2, **SOON
        )
    picked = scores.mistakes(scored_run.predictions())["index"][[2, 5]]
    expect(tab).to_have_url(re.compile(f"pick={picked.iloc[0]}%2C{picked.iloc[1]}$"), **SOON)
    tab.get_by_role("button", name="See their heat maps").click()
    expect(tab.locator(".figures")).to_have_count(2, **SOON)
    assert tab.locator(".figures img").count() == 4


ADDRESSES = (
    "mistakes?run=scored",
    "mistakes?run=scored&show=suspicious",
    "mistakes?run=scored&guess=true",
    "confusion?run=scored",
    "confusion?run=scored&true=n00000001",
    "confusion?run=scored&view=classes",
    "confusion?run=scored&view=calibration",
    "compare?run=scored&other=other",
)


def test_nothing_is_wider_than_a_phone_and_no_title_is_clipped(tab, server, scored_run, other_run):
    tab.set_viewport_size(PHONE)
    for address in ADDRESSES:
        open_page(tab, server, address)
        tab.locator("[data-stale=true]").first.wait_for(state="detached", **SOON)
        tab.wait_for_timeout(800)
        assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], address
        main = tab.locator("[data-testid=stMain]")
        assert main.evaluate("node => node.scrollWidth - node.clientWidth") == 0, address
        clipped = tab.evaluate("""() => {
            const roots = [document, ...[...document.querySelectorAll('*')].map((node) => node.shadowRoot).filter(Boolean)]
            const titles = roots.flatMap((root) => [...root.querySelectorAll('h1, h2, h3, h4, h5, .caption, .says')])
            return titles.filter((title) => title.scrollWidth > title.clientWidth + 1 && title.clientWidth > 0)
                .map((title) => title.textContent)
        }""")
        assert not clipped, (address, clipped)
