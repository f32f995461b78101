"""The tour leads from the pictures to the mistakes, whatever there is and whatever is going on."""

import re

import pytest
from conftest import write_scored_run, write_small_dataset

from tinymodel import jobs
from tinymodel.run_writer import RunWriter

PAGES = ("data", "train", "train", "gradcam", "mistakes")
TITLES = ("Look at", "Let it learn", "Watch it learn", "See where", "Find what")
PATHS = {"data": "Data", "train": "Train", "gradcam": "Grad-CAM", "mistakes": "Mistakes"}


def at(app, step: int | str, page: str = ""):
    app.run()
    if page:
        app.switch_page(f"views/{page}.py")
    app.query_params["tour"] = str(step)
    return app.run()


def said(app) -> str:
    found = [item.value for item in app.markdown if item.value.startswith("Step ")]
    return found[0] if found else ""


def press(app, label: str):
    next(button for button in app.button if button.label == label).click().run()
    names = {title: name for name, title in PATHS.items()}
    app.switch_page(f"views/{names.get(app.title[0].value, 'overview')}.py")  # as a browser stays
    return app


def query(app, name: str) -> str:
    value = app.query_params[name]
    return value if isinstance(value, str) else value[0]


def labels(app) -> list[str]:
    return [button.label for button in app.button]


@pytest.fixture(autouse=True)
def no_job():
    yield
    jobs.stop_all()  # the heat map of the fourth step


@pytest.fixture
def nothing(folders):
    """No data, no runs."""


@pytest.fixture
def data(folders):
    write_small_dataset("sample")


@pytest.fixture
def going(data):
    """A run in its first epoch, without weights yet."""
    run = write_scored_run(write_small_dataset("sample-2", 3, 2, 6), "going")
    (run.folder / "best.pt").unlink()
    writer = RunWriter.reopen("going")
    writer.update(status="running")
    yield run
    writer.close()


@pytest.fixture
def finished(folders):
    return write_scored_run(write_small_dataset("sample", 3, 2, 6), "done")


@pytest.mark.parametrize("room", ["nothing", "data", "going", "finished"])
def test_every_step_opens_and_leads_to_the_next(app, room, request):
    request.getfixturevalue(room)
    at(app, 1, "data")
    for number, (page, title) in enumerate(zip(PAGES, TITLES, strict=True), 1):
        assert not app.exception
        assert app.title[0].value == PATHS[page]
        assert re.match(rf"Step {number} of 5 · \*\*{title}", said(app))
        assert "This step is on the page" not in said(app)
        assert query(app, "tour") == str(number)
        press(app, "Done" if number == 5 else "Next")
    assert not app.exception
    assert "That was the whole way" in " ".join(item.value for item in app.markdown)
    assert query(app, "tour") == "end"
    press(app, "Close")
    assert "tour" not in app.query_params
    assert not any("whole way" in item.value for item in app.markdown)


def test_each_step_shows_what_there_is_to_see(app, finished):
    at(app, 2, "train")
    assert query(app, "tour") == "2"
    press(app, "Next")
    assert query(app, "run") == "done"
    assert "is played back, faster" in said(app)
    assert query(app, "replay").startswith("1x-since-")
    del app.query_params["replay"]
    app.run()
    assert f"reached {100 * finished.best_accuracy:.1f} %" in said(app)
    press(app, "Next")
    answers = finished.predictions().query("label == prediction").sort_values("confidence")
    assert query(app, "image") == str(answers["index"].iloc[-1])
    press(app, "Next")
    assert query(app, "run") == "done"


def test_a_run_that_goes_is_watched_first(app, going):
    at(app, 2, "train")
    assert "“going” is learning right now" in said(app)
    press(app, "Next")
    assert query(app, "run") == "going"
    press(app, "Next")
    assert "comes with the first finished round" in said(app)


def test_a_run_whose_pictures_are_not_here_leads_to_ones_own_photo(app, finished):
    from tinymodel.data.prepared import remove_dataset

    remove_dataset("sample")
    at(app, 3, "train")
    press(app, "Next")
    assert query(app, "source") == "upload"
    assert "a photo of your own" in said(app)


def test_the_end_stays_on_home(app, finished):
    at(app, "end")
    assert any("whole way" in item.value for item in app.markdown)
    app.switch_page("views/data.py").run()
    assert not any("whole way" in item.value for item in app.markdown)
    assert "tour" not in app.query_params


def test_a_pupil_is_not_sent_to_a_button_of_the_presenter(app, finished, monkeypatch):
    monkeypatch.setenv("TINYMODEL_PRESENTER_CODE", "only-the-teacher")
    at(app, 2, "train")
    assert "Here the presenter starts a training" in said(app)
    press(app, "Next")
    assert said(app).startswith("Step 3 of 5")


def test_a_way_back(app, finished):
    at(app, 4, "gradcam")
    press(app, "Back")
    assert said(app).startswith("Step 3 of 5") and app.title[0].value == "Train"
    press(app, "Back")
    press(app, "Back")
    assert said(app).startswith("Step 1 of 5") and app.title[0].value == "Data"
    assert "Back" not in labels(app)


@pytest.mark.parametrize("page", ["runs", "network"])
def test_another_page_keeps_the_step_and_leads_back_to_it(app, finished, page):
    at(app, 4, "gradcam")
    app.switch_page(f"views/{page}.py")
    app.query_params.clear()
    app.query_params["run"] = "done"  # both pages may know the name, which must not collide
    app.run()
    assert query(app, "tour") == "4"
    assert "This step is on the page Grad-CAM" in said(app)
    press(app, "Go there")
    assert not app.exception
    assert app.title[0].value == "Grad-CAM"
    assert query(app, "tour") == "4" and query(app, "run") == "done"


def test_skipping_is_remembered(app, finished):
    app.run()
    offers = [link.label for link in app.get("page_link")]
    assert any(label.startswith("First time here?") for label in offers)
    at(app, 2, "train")
    press(app, "Skip the tour")
    assert said(app) == "" and "tour" not in app.query_params
    app.switch_page("views/overview.py").run()
    offers = [link.label for link in app.get("page_link")]
    assert not any(label.startswith("First time here?") for label in offers)
    assert "Take the tour again" in offers


@pytest.mark.parametrize(("text", "step"), [("0", 1), ("99", 5), ("x", 0), ("-1", 0), ("²", 0), ("1" * 50, 0)])  # fmt: skip
def test_nonsense_in_the_address_breaks_nothing(app, finished, text, step):
    at(app, text, "data")
    assert not app.exception
    assert said(app).startswith(f"Step {step} of 5") if step else said(app) == ""


def test_no_tour_no_bar(app, finished):
    app.run()
    assert said(app) == ""
    app.switch_page("views/mistakes.py").run()
    assert said(app) == "" and "tour" not in app.query_params
