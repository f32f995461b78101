"""The very first start, in a real server: the sample appears by itself, and every page has something to show."""

from playwright.sync_api import expect

from tinymodel.data import list_datasets


def test_pictures_appear_by_themselves_while_somebody_looks_on(tab, first_start):
    tab.goto(f"{first_start.url}/data")
    expect(tab.get_by_text("pictures for every page")).to_be_visible(timeout=60_000)
    expect(tab.get_by_role("heading", name="Pictures", exact=True)).to_be_visible(timeout=120_000)
    expect(tab.get_by_text("pictures for every page")).to_have_count(0)
    assert list_datasets() == ["sample"]
    assert "Traceback" not in first_start.log.read_text()
