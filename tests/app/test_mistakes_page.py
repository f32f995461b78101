"""The Mistakes page: worst first, in pages, filtered, and with a sentence for whatever is missing."""

import json
import os

import pytest
import torch
from conftest import add_epoch, run_info, write_small_dataset

from tinymodel import checkpoint, evaluation, jobs
from tinymodel.config import TrainConfig
from tinymodel.data.prepared import remove_dataset
from tinymodel.errors import UserError
from tinymodel.evaluation import evaluate_run, mistakes
from tinymodel.network import BottleneckNet
from tinymodel.runs import RunWriter


@pytest.fixture
def run(folders):
    """A finished run of random weights on 90 validation images of three colours: mostly wrong."""
    dataset = write_small_dataset("small", val=30)
    writer = RunWriter.create(run_info(dataset, TrainConfig(dataset="small", epochs=1, width=2)))
    add_epoch(writer, 1)
    writer.update(status="finished")
    writer.close()
    torch.manual_seed(3)
    weights = BottleneckNet(classes=3, width=2).state_dict()
    file = writer.run.folder / "best.pt"
    checkpoint.save(dict(weights=weights, epoch=1, val_accuracy=0.3), file)
    yield writer.run
    for job in jobs.active():
        job.stop()
        job.wait(10)


def open_page(app, **query):
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page("views/mistakes.py").run()
    assert not app.exception
    return app


def captions(app) -> list[str]:
    return [picture["caption"] for picture in grid(app)["pictures"]]


def grid(app) -> dict:
    (element,) = [
        item for item in app.get("bidi_component") if item.proto.component_name == "picture_grid"
    ]
    return json.loads(element.proto.json)


def texts(app) -> str:
    kinds = ("error", "warning", "info", "success", "markdown", "subheader")
    return " | ".join(item.value for kind in kinds for item in app.get(kind))


def test_without_runs_the_page_invites_to_train(app):
    open_page(app)
    assert "No network yet" in texts(app)


def test_a_run_without_weights_says_when_they_come(app, finished_run):
    open_page(app)
    assert "no weights yet: they are saved at the end of its first epoch" in texts(app)


def test_every_mistake_is_shown_worst_first(app, run):
    wrong = mistakes(evaluate_run(run))
    seen, page = [], 1
    while len(seen) < len(wrong):
        open_page(app, page=str(page))
        shown = grid(app)["pictures"]
        assert 0 < len(shown) <= 24
        seen += [int(picture["link"].split("image=")[1].split("&")[0]) for picture in shown]
        page += 1
    assert seen == wrong["index"].tolist()
    row = wrong.iloc[len(wrong) - 1]
    expected = (
        f"true: colour {row.label}\nsays: colour {row.prediction}, {100 * row.confidence:.1f} %"
    )
    assert captions(app)[-1] == expected
    values = [metric.value for metric in app.metric]
    assert f"{len(wrong)} of 90" in values
    assert f"{100 * (1 - len(wrong) / 90):.1f} %" in values


def test_filters_are_in_the_address_and_choose_classes(app, run):
    wrong = mistakes(evaluate_run(run))
    row = wrong.iloc[0]
    open_page(app, true=f"n{row.label:08d}", predicted=f"n{row.prediction:08d}")
    chosen = mistakes(wrong, row.label, row.prediction)
    assert len(captions(app)) == min(24, len(chosen))
    start = f"true: colour {row.label}\nsays: colour {row.prediction}, "
    assert all(text.startswith(start) for text in captions(app))
    app.selectbox("choice-true").set_value("").run()
    assert app.query_params["true"] == ""


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (dict(run="nowhere"), "Run: there is no 'nowhere'"),
        (dict(run="../../etc"), "Run: there is no '../../etc'"),
        (dict(true="n99"), "What it is (true class): there is no 'n99'"),
        (dict(predicted="colour 1"), "What it says (predicted class): there is no 'colour 1'"),
    ],
)
def test_nonsense_in_the_address_is_said(app, run, query, sentence):
    evaluate_run(run)
    open_page(app, **query)
    assert sentence in texts(app)
    assert captions(app)


@pytest.mark.parametrize("page", ["0", "99", "-1", "x"])
def test_a_page_that_is_not_there_is_the_nearest(app, run, page):
    evaluate_run(run)
    open_page(app, page=page)
    assert captions(app)


def test_predictions_are_made_where_none_or_old_ones_are_there(app, run):
    for _ in range(2):
        open_page(app)
        (job := jobs.find(("evaluate", str(run.folder), evaluation.weights_version(run)))).wait(30)
        assert job.state == "done"
        open_page(app)
        assert captions(app)
        later = (run.folder / "predictions.parquet").stat().st_mtime + 60
        os.utime(run.folder / "best.pt", (later, later))


def test_a_failed_evaluation_says_why_and_can_be_tried_again(app, run, monkeypatch):
    monkeypatch.setattr(
        evaluation, "evaluate", lambda *a, **k: (_ for _ in ()).throw(UserError("The disk sleeps."))
    )
    open_page(app)
    jobs.find(("evaluate", str(run.folder), evaluation.weights_version(run))).wait(30)
    open_page(app)
    assert "The disk sleeps." in texts(app)
    monkeypatch.undo()
    monkeypatch.setenv("TINYMODEL_DATA", str(run.folder.parent.parent / "data"))
    monkeypatch.setenv("TINYMODEL_RUNS", str(run.folder.parent))
    (again,) = [button for button in app.button if button.label == "Try again"]
    again.click().run()
    jobs.find(("evaluate", str(run.folder), evaluation.weights_version(run))).wait(30)
    open_page(app)
    assert captions(app)


def test_without_its_dataset_the_page_still_names_the_mistakes(app, run):
    evaluate_run(run)
    remove_dataset("small")
    open_page(app)
    assert "The pictures cannot be shown. The dataset 'small'" in texts(app)
    assert len(app.dataframe[0].value) > 0


def test_a_network_without_mistakes_is_praised(app, run):
    frame = evaluate_run(run)
    evaluation.write_predictions(run.folder, frame.assign(prediction=frame["label"]))
    open_page(app)
    assert "Not one mistake" in texts(app)
