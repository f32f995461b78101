"""Where it looks: measured once, beside its baselines, and four fields that lead to pictures."""

import json
import os

import pandas as pd
import pytest

from tinymodel import jobs
from tinymodel.data.prepared import remove_dataset
from tinymodel.explain import findings, localisation


@pytest.fixture
def measured(run):
    localisation.localise_run(run)
    return run


def open_page(app, **query):
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page("views/looks.py").run()
    assert not app.exception
    return app


def texts(app) -> str:
    kinds = ("error", "warning", "info", "markdown", "subheader", "caption")
    return " | ".join(item.value for kind in kinds for item in app.get(kind))


def component(app, name: str) -> dict | None:
    found = [item for item in app.get("bidi_component") if item.proto.component_name == name]
    return json.loads(found[0].proto.json) if found else None


def test_without_runs_the_page_invites_to_train(app):
    assert "No network yet" in texts(open_page(app))


def test_a_run_without_weights_says_when_they_come(app, finished_run):
    assert "no weights yet" in texts(open_page(app))


def test_it_is_measured_at_the_press_of_a_button_and_kept(app, run):
    open_page(app)
    assert "Not measured yet" in texts(app)
    assert component(app, "four_fields") is None
    (button,) = [b for b in app.button if b.label == "Measure 48 pictures"]
    button.click().run()
    for job in jobs.active():
        job.wait(30)
    app.run()
    assert not app.exception
    assert component(app, "four_fields") is not None
    for split in localisation.SPLITS:
        assert localisation.kept(run, split) is not None


def test_when_the_network_has_learned_more_the_former_measures_stay_in_sight(app, measured):
    weights = measured.folder / "best.pt"
    later = weights.stat().st_mtime + 10
    os.utime(weights, (later, later))
    open_page(app)
    assert "The network has learned more since this was measured" in texts(app)
    assert component(app, "four_fields") is not None
    next(b for b in app.button if b.label == "Measure again").click().run()
    for job in jobs.active():
        job.wait(30)
    app.run()
    assert not app.exception
    assert "learned more" not in texts(app)
    assert component(app, "four_fields") is not None


def test_the_network_stands_beside_its_baselines_with_intervals(app, measured):
    open_page(app)
    gain, pointing, classes = (
        json.loads(chart.proto.spec)["data"][0] for chart in app.get("plotly_chart")
    )
    for chart in (gain, pointing):
        assert chart["y"] == ["The network", "Edges of the picture", "Random map", "Centre pixel"]
        assert "error_x" in chart
    assert sorted(classes["y"]) == ["colour 0", "colour 1", "colour 2"]


def test_the_four_fields_count_every_picture_and_say_how(app, measured):
    open_page(app)
    fields = component(app, "four_fields")["fields"]
    counts = findings.fields(localisation.kept(measured, "val")).value_counts()
    expected = [(name, str(counts.get(name, 0))) for name in findings.FIELDS]
    assert [(field["name"], field["count"]) for field in fields] == expected
    assert "is denser inside the box than outside it" in texts(app)
    assert "A random map does that in" in texts(app)


@pytest.mark.parametrize("field", findings.FIELDS)
def test_a_field_opens_its_pictures_which_lead_to_gradcam(app, measured, field):
    open_page(app, field=field)
    assert component(app, "four_fields")["selected"] == field
    table = localisation.kept(measured, "val")
    expected = set(table["index"][findings.fields(table) == field])
    gallery = component(app, "picture_grid")
    if not expected:
        assert "No picture is of this kind" in texts(app)
        return
    links = [picture["link"] for picture in gallery["pictures"]]
    assert set(links) == {f"gradcam?run={measured.name}&image={index}" for index in expected}


def test_one_class_alone_can_be_looked_at(app, measured):
    open_page(app, **{"class": "n00000001"})
    fields = component(app, "four_fields")["fields"]
    table = localisation.kept(measured, "val")
    expected = findings.fields(table[table["label"] == 1]).notna().sum()
    assert sum(int(field["count"]) for field in fields) == expected <= 4


def test_a_class_that_is_right_for_the_wrong_reason_is_named(app, measured):
    table = localisation.kept(measured, "train")
    table["prediction"] = table["label"]
    table["inside"] = (table["label"] != 2) * 1.0
    table.to_parquet(measured.folder / localisation.file_name("train"))
    open_page(app)
    assert "**colour 2**, training pictures: 100.0 % of the right answers look elsewhere" in texts(
        app
    )
    next(b for b in app.button if b.label.startswith("colour 2: show its 12")).click().run()
    assert not app.exception
    assert app.query_params["split"] == "train"
    assert len(component(app, "picture_grid")["pictures"]) == 12


def test_without_boxes_there_is_an_invitation(app, run, small_dataset):
    file = small_dataset.folder / "samples.parquet"
    samples = pd.read_parquet(file)
    samples[localisation.BOX] = pd.NA
    samples.to_parquet(file)
    assert "have no boxes that say where the things are" in texts(open_page(app))


def test_without_its_dataset_the_page_says_so(app, run):
    remove_dataset("small")
    assert "is not here; prepare it on the Data page" in texts(open_page(app))


def test_without_its_dataset_what_was_measured_is_still_shown(app, measured):
    remove_dataset("small")
    table = localisation.kept(measured, "val")
    open_page(app, field=findings.fields(table).value_counts().index[0])
    assert component(app, "four_fields") is not None
    assert "The pictures are not here" in texts(app)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (dict(split="test"), "Pictures: there is no 'test'"),
        ({"class": "n99"}, "Only pictures of the class: there is no 'n99'"),
        (dict(field="nowhere", page="99"), "Right for the wrong reason?"),
    ],
)
def test_nonsense_in_the_address_is_said(app, measured, query, sentence):
    open_page(app, **query)
    assert sentence in texts(app)
    assert component(app, "four_fields") is not None
