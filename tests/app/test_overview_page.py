"""Home: the one next step fits what is there."""

import pytest
from conftest import add_epoch

from tinymodel import jobs
from tinymodel.data import list_datasets
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
    return [button.label for button in app.button]


def test_an_empty_room_offers_one_click(app):
    app.run()
    assert labels(app) == ["Train on the sample"]
    assert "Nothing has been trained yet" in texts(app)


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
