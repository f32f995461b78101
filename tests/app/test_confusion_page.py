"""The Confusion page: the matrix that was counted, its cells and pairs, classes in order, and honest confidence."""

import json

import numpy as np
import pytest
from conftest import write_scored_run

from tinymodel import evaluation, scores
from tinymodel.data import open_dataset


def open_page(app, **query):
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page("views/confusion.py").run()
    assert not app.exception
    return app


def component(app, name: str) -> dict | None:
    found = [item for item in app.get("bidi_component") if item.proto.component_name == name]
    return json.loads(found[0].proto.json) if found else None


def texts(app) -> str:
    kinds = ("error", "warning", "info", "success", "markdown", "subheader", "caption")
    return " | ".join(item.value for kind in kinds for item in app.get(kind))


def test_the_matrix_shows_every_image_once(app, scored_run):
    counts = scores.confusion(scored_run.predictions(), 6)
    data = component(open_page(app), "confusion_matrix")
    assert data["images"] == [15] * 6
    drawn = np.zeros((6, 6), dtype=int)
    for row, column, count, strength in data["cells"]:
        drawn[data["labels"][row], data["labels"][column]] = count
        assert 0 <= strength <= 1
    np.testing.assert_array_equal(drawn, counts)


def test_the_order_and_the_choice_of_classes(app, scored_run):
    names = component(open_page(app, order="name"), "confusion_matrix")["names"]
    assert names == sorted(names)
    worst = component(open_page(app, order="worst"), "confusion_matrix")["labels"]
    right = scores.confusion(scored_run.predictions(), 6).diagonal()
    assert right[worst].tolist() == sorted(right.tolist())
    two = component(open_page(app, classes="n00000004,n00000001"), "confusion_matrix")
    assert sorted(two["names"]) == ["colour 1", "colour 4"]
    assert "between these 2 of 6 classes" in texts(app)


def test_many_classes_begin_with_the_most_confused(app, folders):
    from conftest import write_small_dataset

    run = write_scored_run(write_small_dataset("many", classes=30, train=1, val=4), "many")
    counts = scores.confusion(run.predictions(), 30)
    data = component(open_page(app), "confusion_matrix")
    assert set(data["labels"]) == set(scores.most_confused(counts, 20))
    assert len(component(open_page(app, count="all"), "confusion_matrix")["labels"]) == 30
    assert len(component(open_page(app, count="10"), "confusion_matrix")["labels"]) == 10


def test_a_cell_of_the_address_shows_its_pictures(app, scored_run):
    answers = scores.described(scored_run.predictions())
    pair = scores.confused_pairs(scores.confusion(answers, 6)).iloc[0]
    true, predicted = int(pair["true"]), int(pair["predicted"])
    open_page(app, true=f"n{true:08d}", predicted=f"n{predicted:08d}")
    assert f"true: colour {true} / says: colour {predicted}" in texts(app)
    shown = component(app, "picture_grid")["pictures"]
    assert len(shown) == min(12, pair["count"])
    expected = f"true: colour {true}\nsays: colour {predicted}, "
    assert all(picture["caption"].startswith(expected) for picture in shown)
    (back,) = [button for button in app.button if button.label == "All pairs"]
    back.click().run()
    assert "true" not in app.query_params
    assert "Most confused pairs" in texts(app)


def test_a_row_shows_the_mistakes_of_its_class(app, scored_run):
    open_page(app, true="n00000002")
    wrong = scores.mistakes(scored_run.predictions(), true=2)
    assert f"{len(wrong)} wrong answers" in texts(app)
    assert len(component(app, "picture_grid")["pictures"]) == min(12, len(wrong))


def test_the_table_names_the_most_confused_pairs(app, scored_run):
    table = open_page(app).dataframe[0].value
    pairs = scores.confused_pairs(scores.confusion(scored_run.predictions(), 6))
    assert table["count"].tolist() == pairs["count"].tolist()
    assert table["true"].tolist() == [f"colour {label}" for label in pairs["true"]]
    assert table["share"].iloc[0] == pytest.approx(100 * pairs["count"].iloc[0] / 15)


@pytest.mark.parametrize(("order", "rising"), [("worst", True), ("best", False)])
def test_bars_of_classes_come_in_order(app, scored_run, order, rising):
    open_page(app, view="classes", bars=order)
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    (bars,) = [trace for trace in figure["data"] if trace["name"] == "right (top-1)"]
    labels = [int(name.split()[-1]) for name in bars["y"]]
    counts = scores.confusion(scored_run.predictions(), 6)
    share = (counts.diagonal() / counts.sum(1))[labels]
    assert (np.diff(share) >= 0).all() if rising else (np.diff(share) <= 0).all()
    values = [metric.value for metric in app.metric]
    assert f"{100 * scores.accuracy(scored_run.predictions()):.1f} %" in values


def test_the_calibration_error_is_shown_with_its_source(app, scored_run):
    open_page(app, view="calibration")
    error = scores.calibration_error(scores.calibration(scored_run.predictions()))
    assert [metric.value for metric in app.metric] == [f"{100 * error:.1f} %"]
    assert "Guo" in texts(app)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (dict(view="nowhere"), "View: there is no 'nowhere'"),
        (dict(count="17"), "How many classes: there is no '17'"),
        (dict(order="x"), "Order: there is no 'x'"),
        (dict(classes="n1,n00000001"), "Only these classes: there is no 'n1'"),
        (dict(true="cat"), "True class: there is no 'cat'"),
        (dict(predicted="<b>"), "Predicted class: there is no '<b>'"),
    ],
)
def test_nonsense_in_the_address_is_said_and_the_page_goes_on(app, scored_run, query, sentence):
    open_page(app, **query)
    assert sentence in texts(app).replace("\\", "")
    assert component(app, "confusion_matrix")


def test_a_network_without_mistakes_is_praised(app, scored_run):
    table = scored_run.predictions()
    evaluation.write_predictions(scored_run.folder, table.assign(prediction=table["label"]))
    assert "Not one mistake" in texts(open_page(app))


def test_without_its_dataset_the_numbers_are_still_there(app, scored_run):
    import shutil

    shutil.rmtree(open_dataset("six").folder)
    open_page(app, true="n00000002")
    assert "The pictures are not here" in texts(app)
    assert component(app, "confusion_matrix")


def test_a_deleted_run_is_a_sentence(app, scored_run):
    open_page(app, run="scored")
    scored_run.delete()
    app.run()
    assert not app.exception
    assert "No network yet" in texts(app)
