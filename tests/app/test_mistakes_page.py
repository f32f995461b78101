"""The Mistakes page: worst first, in pages, filtered, and with a sentence for whatever is missing."""

import json
import os

import pandas as pd
import pytest
import pytorch_grad_cam  # noqa: F401  (seconds: now, and not while a page waits for its first map)
import torch
from conftest import add_epoch, run_info, write_small_dataset

from tinymodel import checkpoint, evaluation, jobs, scores
from tinymodel.config import TrainConfig
from tinymodel.data.prepared import remove_dataset
from tinymodel.errors import UserError
from tinymodel.evaluation import evaluate_run
from tinymodel.network import BottleneckNet
from tinymodel.run_writer import RunWriter
from tinymodel.runs import Run
from tinymodel.scores import mistakes


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
    assert "The pictures are not here" in texts(app)
    assert len(app.dataframe[0].value) > 0


def test_a_network_without_mistakes_is_praised(app, run):
    frame = evaluate_run(run)
    evaluation.write_predictions(run.folder, frame.assign(prediction=frame["label"]))
    open_page(app)
    assert "Not one mistake" in texts(app)


# Kinds, order, one picture, several, guessing


def order_of(app) -> list[int]:
    return [
        int(picture["link"].split("image=")[1].split("&")[0]) for picture in grid(app)["pictures"]
    ]


@pytest.mark.parametrize("kind", ["mistakes", "near", "suspicious", "lucky", "right", "all"])
def test_every_kind_shows_the_answers_that_the_package_selects(app, scored_run, kind):
    answers = scores.described(scored_run.predictions())
    open_page(app, run="scored", show=kind, sort="margin", confidence="30-90")
    wanted = scores.select(answers, kind, sort="margin", confidence=(0.3, 0.9))["index"].tolist()
    assert len(wanted) > 3
    assert order_of(app) == wanted[:24]


def test_the_caveat_stands_above_suspicious_labels(app, scored_run):
    open_page(app, run="scored", show="suspicious")
    assert "That does not make the label wrong" in texts(app)
    open_page(app, run="scored", show="mistakes")
    assert "That does not make the label wrong" not in texts(app)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (dict(show="funny"), "Show: there is no 'funny'"),
        (dict(sort="$x$"), "Order: there is no"),
        (dict(confidence="90-20"), "'90-20' is no range such as 20-80"),
        (dict(confidence="--"), "'--' is no range"),
        (dict(image="7777777"), "There is no validation image '7777777'"),
        (dict(image="cat"), "There is no validation image 'cat'"),
        (dict(pick="1,x,99999"), "Of the 3 selected pictures 0 are kept"),
    ],
)
def test_nonsense_in_the_new_parts_of_the_address_is_said(app, scored_run, query, sentence):
    open_page(app, run="scored", **query)
    assert sentence in texts(app).replace("\\", "")
    assert captions(app)


def test_a_link_to_one_picture_opens_it_on_its_page(app, scored_run):
    last = scores.mistakes(scored_run.predictions()).iloc[-1]
    open_page(app, run="scored", image=str(last["index"]))
    assert last["index"] in order_of(app)
    true, says = (f"colour {int(last[name])}" for name in ("label", "prediction"))
    assert f"true: **{true}** / says: **{says}**" in texts(app)
    row = scores.select(scores.described(scored_run.predictions()))["index"].tolist()
    assert [button.disabled for button in app.button if button.label == "Next"] == [True]
    (previous,) = [button for button in app.button if button.label == "Previous"]
    previous.click().run()
    assert app.query_params["image"] == str(row[-2])


def test_several_pictures_show_their_heat_maps_in_one_grid(app, scored_run):
    picked = scored_run.val_indices[[3, 8, 20]].tolist()
    open_page(app, run="scored", pick=",".join(map(str, picked)), heat="on")
    for job in jobs.active():
        job.wait(30)
    app.run()
    shown = grid(app)["pictures"]
    assert len(shown) == 3
    for picture in shown:
        (heat,) = picture["beside"]
        assert heat["source"] != picture["source"]
        assert heat["caption"].startswith(("looked here for colour", "nothing speaks for colour"))
    (back,) = [button for button in app.button if button.label == "Back to the list"]
    back.click().run()
    assert "heat" not in app.query_params
    assert sum(grid(app)["ticked"]) == len(set(picked) & set(order_of(app)))


def test_names_are_hidden_until_the_student_has_guessed(app, scored_run):
    open_page(app, run="scored", show="all", guess="true")
    before = texts(app)
    assert "The network says" not in before
    assert not [item for item in app.get("bidi_component") if item.proto.component_name == "picture_grid"]  # fmt: skip
    offered = [button for button in app.button if button.label[:2] in ("1.", "2.", "3.", "4.")]
    assert len({button.label[3:] for button in offered}) == 4
    first = scores.select(scores.described(scored_run.predictions()), "all", sort="shuffled").iloc[0]  # fmt: skip
    true = f"colour {first['label']}"
    (right,) = [button for button in offered if button.label[3:] == true]
    right.click().run()
    assert f"Yes, {true}" in texts(app)
    assert "The network says" in texts(app)
    assert [metric.value for metric in app.metric] == ["1 of 1", f"{int(first['right'])} of 1"]
    (following,) = [button for button in app.button if button.label == "Next picture"]
    following.click().run()
    assert "The network says" not in texts(app)
    (again,) = [button for button in app.button if button.label == "Start over"]
    again.click().run()
    assert [metric.value for metric in app.metric] == ["0 of 0", "0 of 0"]


def test_predictions_of_another_network_are_made_anew(app, scored_run):
    table = scored_run.predictions()
    evaluation.write_predictions(scored_run.folder, table.assign(prediction=77))
    open_page(app, run="scored")
    for job in jobs.active():
        job.wait(30)
    app.run()
    assert captions(app)
    assert scored_run.predictions()["prediction"].max() < 6


def test_a_checkpoint_whose_classes_do_not_fit_is_a_sentence(app, scored_run):
    info = scored_run.info()
    info["classes"] = info["classes"][:4]
    (scored_run.folder / "run.json").write_text(json.dumps(info))
    (scored_run.folder / "predictions.parquet").unlink()
    open_page(app, run="scored")
    for job in jobs.active():
        job.wait(30)
    app.run()
    assert "does not fit its dataset: the network tells 6 classes apart, 4 " in texts(app)
    assert not app.exception


def test_a_run_that_is_deleted_while_the_page_shows_it_is_a_sentence(app, scored_run, run):
    open_page(app, run="scored")
    assert captions(app)
    evaluate_run(run)
    scored_run.delete()
    app.run()
    assert "Run: there is no 'scored'" in texts(app)
    assert captions(app)


def test_a_page_of_10000_images_reads_them_once_and_draws_24(app, scored_run, monkeypatch):
    """Of what takes time there is as much as for a small run: no second read, no more pictures."""
    table = scored_run.predictions()
    big = pd.concat([table] * 112, ignore_index=True).head(10_000)
    evaluation.write_predictions(scored_run.folder, big)
    reads, real = [], Run.predictions
    monkeypatch.setattr(Run, "predictions", lambda self: reads.append(1) or real(self))
    for page in ("1", "7", "200"):
        open_page(app, run="scored", page=page)
        assert len(captions(app)) == 24
    assert len(reads) == 1
