"""The frame: every page opens on an empty room, and the card of the current run is on all of them."""

import tomllib

import pytest
from conftest import APP

from tinymodel.run_writer import RunWriter

PAGES = sorted(file.stem for file in (APP / "views").glob("*.py"))


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_on_an_empty_room(app, page):
    app.run()
    if page != "overview":
        app.switch_page(f"views/{page}.py").run()
    assert not app.exception
    assert len(app.title) == 1


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_on_a_run_without_weights(app, finished_run, page):
    app.run()
    if page != "overview":
        app.switch_page(f"views/{page}.py")
        app.query_params["run"] = finished_run.name
        app.run()
    assert not app.exception


def test_the_navigation_leads_to_every_page():
    sections = (APP / "components" / "sections.py").read_text(encoding="utf-8")
    assert len(PAGES) > 6
    assert all(f'("{page}", ' in sections for page in PAGES)


def test_the_settings_keep_the_server_private_and_quick():
    settings = tomllib.loads((APP / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert settings["server"]["address"] == "localhost"
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["runner"]["postScriptGC"] is False
    assert settings["client"]["toolbarMode"] == "viewer"


def test_a_broken_run_folder_breaks_no_page(app, finished_run):
    (finished_run.folder / "run.json").write_text("{", encoding="utf-8")
    assert not app.run().exception


def test_a_run_that_is_being_deleted_breaks_no_page(app, finished_run):
    writer = RunWriter.reopen(finished_run.name)
    writer.close()
    for file in ("steps.csv", "epochs.csv"):
        (finished_run.folder / file).unlink()
    assert not app.run().exception
