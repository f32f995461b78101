"""The sample that is drawn at the very first start: once, as the job that pages show, and never a crash."""

import shutil
import threading

import pytest
from components import first_start, preparing

from tinymodel import jobs
from tinymodel.data import list_datasets, prepared, remove_dataset, sample
from tinymodel.paths import ROOT, data_folder


@pytest.fixture(autouse=True)
def few(folders, monkeypatch):
    """A sample of few pictures, and no job of another test."""
    jobs.forget(preparing.JOB)
    draw = sample.prepare_sample
    monkeypatch.setattr(
        first_start, "prepare_sample", lambda progress: draw(train=2, val=1, progress=progress)
    )
    yield
    if job := jobs.find(preparing.JOB):
        job.stop()
        job.wait(20)
        jobs.forget(preparing.JOB)


def begin(until: threading.Event | None = None) -> jobs.Job | None:
    """Start the server's part, its warm-up lasting until the event is set."""
    warming = threading.Thread(target=until.wait if until else int, daemon=True)
    warming.start()
    first_start.begin(after=warming)
    return jobs.find(preparing.JOB)


def test_the_sample_is_drawn_after_the_warm_up_as_the_job_that_the_data_page_shows(app):
    warm = threading.Event()
    job = begin(warm)
    assert job.wait(0.2).active and list_datasets() == []
    page = app.switch_page("views/data.py").run()
    assert "Drawing the sample" in [item.value.strip("*") for item in page.markdown]
    warm.set()
    assert job.wait(20).state == "done"
    assert list_datasets() == ["sample"]
    page.run()
    assert not page.exception and page.metric[0].value == "10"


def test_a_sample_that_was_removed_does_not_come_back_by_itself():
    begin().wait(20)
    remove_dataset("sample")
    jobs.forget(preparing.JOB)
    assert begin() is None


def test_a_click_meanwhile_waits_for_the_same_pictures(app, monkeypatch):
    started = []
    monkeypatch.setattr(
        "tinymodel.training.supervisor.supervisor.start",
        lambda config: started.append((config.dataset, list_datasets())),
    )
    warm = threading.Event()
    begin(warm)
    app.run()
    next(b for b in app.button if b.label == "Train on the sample").click().run()
    job = jobs.find("train on the sample")
    assert job.active and not started
    # what it waits for is named; `progress` is an element that the harness does not know
    texts = [item.proto.text for item in app.main if item.type == "progress"]
    assert any("Waiting for: Drawing the sample" in text for text in texts), texts
    warm.set()
    job.wait(20)
    jobs.forget("train on the sample")
    assert started == [("sample", ["sample"])]
    assert len(prepared.open_dataset("sample").images) == 30  # not drawn a second time, whole


def test_a_stopped_drawing_leaves_nothing_and_the_next_start_tries_again():
    warm = threading.Event()
    job = begin(warm)
    job.wait(0.1)
    job.stop()
    warm.set()
    assert job.wait(20).state == "stopped"
    assert not data_folder().exists()
    assert begin().wait(20).state == "done"


def test_a_full_disk_is_a_sentence(monkeypatch):
    monkeypatch.setattr("tinymodel.data.disk.free_bytes", lambda: 1000)
    job = begin().wait(20)
    assert job.state == "failed" and "1 kB are free" in job.error and "\n" not in job.error
    assert not data_folder().exists()


def test_a_folder_that_nobody_can_write_to_is_a_sentence(folders, monkeypatch):
    (folders / "file").write_text("not a folder")
    monkeypatch.setenv("TINYMODEL_DATA", str(folders / "file" / "data"))
    job = begin().wait(20)
    assert job.state == "failed" and job.error.startswith("Nothing can be written to the folder")


PAGES = (
    "overview data network train runs gradcam looks timelapse mistakes confusion compare bottleneck"
)


def test_once_it_is_drawn_every_page_has_something_to_show(app, folders):
    for run in ("sample", "tiny-imagenet-200"):
        shutil.copytree(ROOT / "checkpoints" / run, folders / "runs" / run)
    sample.prepare_sample()
    for page in PAGES.split():
        app.switch_page(f"views/{page}.py").run(timeout=60)
        assert not app.exception and not app.error, page
        said = " ".join(item.value for item in [*app.info, *app.warning])
        assert "is not here" not in said, page
        if page == "overview":  # the one that knows photographs, of the two
            links = {item.proto.label: item.proto.query_string for item in app.get("page_link")}
            assert "tiny-imagenet-200" in links["Ask it about your photo"]
    for job in jobs.active():  # of the Bottleneck page
        job.stop()
        job.wait(30)
