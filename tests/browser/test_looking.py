"""Grad-CAM and Where it looks in a real browser: one's own photo, the four fields, and a phone."""

import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tinymodel.explain import findings, localisation

SIZES = """() => {
    const main = document.querySelector('[data-testid=stMain]')
    return [main.scrollWidth, main.clientWidth]
}"""
COLOUR = """async (image) => {
    await image.decode()
    const canvas = document.createElement('canvas')
    canvas.width = canvas.height = 1
    const pen = canvas.getContext('2d')
    pen.drawImage(image, 0, 0, 1, 1)
    return [...pen.getImageData(0, 0, 1, 1).data]
}"""


@pytest.fixture
def run(run):
    """The one of every test, with its heat maps measured."""
    localisation.localise_run(run)
    return run


CLIPPED = """() => [...document.querySelectorAll('h1, h2, h3, h5, .caption, [data-testid=stImageCaption]')]
    .filter((title) => title.scrollWidth > title.clientWidth + 1).map((title) => title.textContent)"""


def fits_a_phone(tab) -> bool:
    tab.set_viewport_size(dict(width=390, height=844))
    tab.wait_for_timeout(800)
    wide, room = tab.evaluate(SIZES)
    return wide <= room and not tab.evaluate(CLIPPED)


def test_a_photo_of_ones_own_is_cut_where_one_drags_the_square(tab, server, run, folders):
    photo = np.zeros((300, 600, 3), np.uint8)
    photo[:, :300, 0] = photo[:, 300:, 2] = 220  # left red, right blue
    Image.fromarray(photo).save(folders / "photo.png")
    tab.goto(f"{server.url}/gradcam?run={run.name}&source=upload")
    tab.locator("input[type=file]").set_input_files(folders / "photo.png", timeout=60_000)
    # The first: while the page is drawn anew the old one may still stand beside it.
    sharp = tab.get_by_text("Both together, as sharp as your picture is").first
    sharp.wait_for(timeout=90_000)
    preview = tab.locator("[data-testid=stImage] img").first
    before = preview.get_attribute("src")
    place = tab.locator(".square").bounding_box()
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + 1000, y, steps=5)  # to the right edge and no farther
    tab.mouse.up()
    expect(preview).not_to_have_attribute("src", before, timeout=30_000)
    red, _, blue, _ = preview.evaluate(COLOUR)
    assert red < 20
    assert blue > 200
    sharp.wait_for(timeout=30_000)
    assert fits_a_phone(tab)


def test_a_click_on_a_field_opens_its_pictures_and_a_picture_opens_gradcam(tab, server, run):
    counts = findings.fields(localisation.kept(run, "val")).value_counts()
    field = next(name for name in counts.index if name != "right-elsewhere")
    tab.goto(f"{server.url}/looks?run={run.name}")
    tab.locator(f"[data-field={field}]").click(timeout=60_000)
    tab.wait_for_url(f"**field={field}*", timeout=30_000)
    expect(tab.locator(f"[data-field={field}]")).to_have_attribute(
        "aria-pressed", "true", timeout=30_000
    )
    pictures = tab.locator("a.cell")
    expect(pictures).to_have_count(int(counts[field]), timeout=30_000)
    assert fits_a_phone(tab)
    pictures.first.click()
    tab.wait_for_url(re.compile(r"gradcam\?.*image=\d+"), timeout=30_000)
    expect(tab.get_by_text("Both together")).to_be_visible(timeout=90_000)
    assert fits_a_phone(tab)


def test_a_wide_table_scrolls_within_itself_on_a_phone(tab, server, run):
    tab.goto(f"{server.url}/gradcam?run={run.name}&view=layers&images=36,40&all=true")
    tab.locator("table img").first.wait_for(timeout=90_000)
    assert fits_a_phone(tab)
    assert tab.locator(".scroll").evaluate("box => box.scrollWidth > box.clientWidth")
    expect(tab.get_by_text("more to the right")).to_be_visible()


def test_no_view_is_wider_than_a_phone(tab, server, run):
    for view in ("methods", "contrast", "many"):
        tab.goto(f"{server.url}/gradcam?run={run.name}&view={view}&images=36,40")
        pictures = tab.locator("table img, .grid img")
        expect(pictures.nth(2)).to_be_visible(timeout=90_000)
        assert fits_a_phone(tab), view
