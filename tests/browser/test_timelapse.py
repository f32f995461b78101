"""Time-lapse in a browser: recorded during a real run, scrubbed with the keyboard, watched pictures chosen by clicks."""

import re

import pytest
from playwright.sync_api import expect

from tinymodel.config import TrainConfig
from tinymodel.explain import timelapse
from tinymodel.training.loop import Training

SOON = dict(timeout=60_000)  # milliseconds, on a machine that has other work


@pytest.fixture
def watched(small_dataset):
    config = TrainConfig(
        dataset="small", width=4, epochs=4, batch_size=8, precision="fp32", learning_rate=0.05
    )
    training = Training.create(config, "watched", (timelapse.record,))
    training.train()
    return training.run


def captions(tab) -> list[str]:
    return tab.locator(".grid").first.locator(".caption").all_text_contents()


def test_the_slider_moves_pictures_answers_and_the_mark_together(tab, server, watched):
    tab.goto(f"{server.url}/timelapse?run=watched")
    slider = tab.get_by_role("slider").first
    expect(slider).to_have_value("4", **SOON)
    mark = tab.locator(".shapelayer path").first
    expect(mark).to_be_attached(**SOON)  # a line has no width, so it never counts as visible
    late, at = captions(tab), mark.get_attribute("d")
    maps = [image.get_attribute("src") for image in tab.locator(".grid img").all()]
    slider.focus()
    for _ in range(3):
        tab.keyboard.press("ArrowLeft")
    expect(tab).to_have_url(re.compile("epoch=1"), **SOON)
    expect(tab.locator(".grid").first.locator(".caption").first).to_be_visible(**SOON)
    moments = timelapse.read_moments(watched)
    first = next(iter(moments.values()))[1]
    wanted = f"{100 * first.true_probability:.1f}\u00a0%"
    expect(tab.locator(".grid").first).to_contain_text(wanted, **SOON)
    assert captions(tab) != late
    expect(tab.locator(".shapelayer path").first).not_to_have_attribute("d", at, **SOON)
    assert [image.get_attribute("src") for image in tab.locator(".grid img").all()] != maps
    tab.reload()  # the address holds it
    expect(tab.get_by_role("slider").first).to_have_value("1", **SOON)


def test_pictures_for_the_next_training_are_chosen_by_a_click(tab, server, watched):
    tab.goto(f"{server.url}/timelapse?run=watched")
    tab.get_by_text("Pictures to watch in the next training").click(**SOON)
    offered = tab.locator("[class*='st-key-offered-'] .cell").first
    expect(offered).to_be_visible(**SOON)
    offered.click()
    expect(tab.get_by_text("these pictures: 1 of 16")).to_be_visible(**SOON)
    assert timelapse.read_next_pins(watched) == [int(watched.val_indices[0])]


def test_nothing_is_wider_than_a_phone(tab, server, watched):
    tab.set_viewport_size(dict(width=390, height=844))
    tab.goto(f"{server.url}/timelapse?run=watched")
    expect(tab.locator(".grid .cell").first).to_be_visible(**SOON)
    width = tab.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    assert width <= 390
