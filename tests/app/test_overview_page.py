"""Home: the one next step fits what is there."""

import json
import shutil
import threading

import pytest
from components import preparing
from conftest import add_epoch

from tinymodel import jobs
from tinymodel.data import list_datasets
from tinymodel.paths import ROOT
from tinymodel.run_writer import RunWriter
from tinymodel.runs import list_runs
from tinymodel.training.supervisor import supervisor


@pytest.fixture(autouse=True)
def no_job():
    yield
    jobs.stop_all()
    supervisor.shutdown()
    jobs.forget("train on the sample")


def texts(app) -> str:
    return " ".join(item.value for item in [*app.subheader, *app.markdown, *app.caption])


def labels(app) -> list[str]:
    """Of the buttons, without the one that shares the app with a room."""
    return [button.label for button in app.button if "QR code" not in button.label]


def links(app) -> dict[str, str]:
    return {link.proto.label: link.proto.query_string for link in app.get("page_link")}


def test_an_empty_room_offers_one_click(app):
    app.run()
    assert labels(app) == ["Train on the sample"]
    assert "Nothing has been trained yet" in texts(app)


def test_networks_that_come_along_are_offered_until_there_is_a_run_of_ones_own(app, folders):
    runs = folders / "runs"
    for name in ("sample", "tiny-imagenet-200"):
        shutil.copytree(ROOT / "checkpoints" / name, runs / name)
    app.run()
    assert "10 kinds of drawn things" in texts(app) and "200 kinds of things" in texts(app)
    assert "See where it looks" not in links(app)  # their pictures are not here
    assert links(app)["Ask it about your photo"] == "run=tiny-imagenet-200&source=upload"
    (run,) = [item for item in list_runs() if item.name == "sample"]
    assert f"Right about {100 * run.best_accuracy:.1f} %" in texts(app)
    info = json.loads((runs / "sample" / "run.json").read_text(encoding="utf-8"))
    own = runs / "own"
    shutil.copytree(runs / "sample", own)
    (own / "run.json").write_text(json.dumps(info | dict(name="own", shipped=False)))
    assert "kinds of drawn things" not in texts(app.run())


def test_pictures_that_are_being_made_are_named(app, folders):
    going = threading.Event()
    jobs.submit(preparing.JOB, lambda report: going.wait(20), label="Drawing the sample")
    assert "Pictures are being made this moment" in texts(app.run())
    going.set()
    jobs.find(preparing.JOB).wait(10)
    jobs.forget(preparing.JOB)
    assert "no pictures yet" in texts(app.run())


def test_a_run_that_goes_is_the_next_step(app, finished_run):
    writer = RunWriter.reopen(finished_run.name)
    writer.update(status="running")
    app.run()
    assert "Watch it learn" in labels(app)
    assert "Train on the sample" not in labels(app)
    writer.close()


def test_a_trained_run_leads_to_grad_cam(app, finished_run):
    (finished_run.folder / "best.pt").touch()
    app.run()
    assert labels(app) == ["See where it looks (Grad-CAM)"]
    best = finished_run.best_accuracy
    assert f"{100 * best:.1f} %" in texts(app)
    assert any(metric.value == f"{100 * best:.1f} %" for metric in app.metric)


def test_a_run_without_weights_leads_to_the_run(app, finished_run):
    assert labels(app.run()) == ["Go to the run"]


def test_one_click_makes_the_sample_and_trains_on_it(app, monkeypatch, folders):
    """With the real sample replaced by a small one: the real one is for the browser test."""
    import conftest

    def prepare(name="sample", *, progress=None, **_):
        progress(0.5, "Drawing")
        return conftest.write_small_dataset(name)

    monkeypatch.setattr("tinymodel.data.sample.prepare_sample", prepare)
    formats = dict(precision="fp32", memory_format="channels-last", compiled=False)
    monkeypatch.setattr("tinymodel.training.loop.choose_formats", lambda *_: formats)
    app.run()
    app.button[0].click().run()
    assert not app.exception
    jobs.find("train on the sample").wait(60)
    assert list_datasets() == ["sample"]
    run = list_runs()[0]
    assert run.config.preset == "classroom" and run.config.dataset == "sample"
    app.run()
    assert not app.exception
    assert app.title[0].value == "Train"


def test_a_failed_click_says_why_and_offers_another(app, monkeypatch):
    from tinymodel.errors import UserError

    def prepare(**_):
        raise UserError("The disk is full.")

    monkeypatch.setattr("tinymodel.data.sample.prepare_sample", prepare)
    app.run()
    app.button[0].click().run()
    jobs.find("train on the sample").wait(10)
    app.run()
    assert [error.value for error in app.error] == ["The disk is full."]
    assert labels(app) == ["Try again"]


def test_the_best_run_is_the_one_with_the_highest_accuracy(app, finished_run, small_dataset):
    from conftest import run_info

    from tinymodel.config import TrainConfig

    worse = RunWriter.create(run_info(small_dataset, TrainConfig(dataset="small", epochs=1)))
    add_epoch(worse, 1)
    worse.update(status="finished")
    worse.close()
    app.run()
    best = next(metric for metric in app.metric if "on small" in metric.label)
    assert best.label.startswith(finished_run.name)
