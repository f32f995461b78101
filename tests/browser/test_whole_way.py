"""The main job in one go: one click, curves that move, Grad-CAM, mistakes."""

from playwright.sync_api import expect

from .test_live import POINTS


def test_the_whole_way_from_one_click_to_the_mistakes(tab, first_start):
    tab.goto(first_start.url)
    tab.get_by_role("button", name="Train on the sample").click()
    tab.wait_for_url("**/train?run=*", timeout=90_000)

    tab.wait_for_function(f"({POINTS})() > 0", timeout=120_000)
    points = tab.evaluate(POINTS)
    tab.wait_for_function(f"({POINTS})() > {points + 20}", timeout=90_000)
    expect(tab.locator(".tm-card")).to_contain_text("of 10")

    tab.get_by_role("link", name="Where does it look?").wait_for(
        timeout=240_000
    )  # the first epoch, 6 s alone
    tab.get_by_role("button", name="Stop").click()
    expect(tab.get_by_role("button", name="Resume")).to_be_visible(timeout=30_000)

    tab.get_by_role("link", name="Where does it look?").click()
    expect(tab.get_by_role("heading", name="Grad-CAM")).to_be_visible()
    expect(tab.get_by_text("How sure it is (confidence)")).to_be_visible(timeout=90_000)
    assert tab.locator("[data-testid=stMain] img").count() >= 3

    tab.get_by_role("link", name="Mistakes").click()
    expect(tab.get_by_role("heading", name="Mistakes")).to_be_visible()
    expect(tab.get_by_text("says:").first).to_be_visible(timeout=90_000)
    expect(tab.get_by_text("not found")).to_have_count(0)
