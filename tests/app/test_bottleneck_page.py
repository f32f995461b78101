"""The bottleneck page: see it, measure it, teach it; a sentence for whatever is missing or wrong."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from representation.conftest import make_run

from tinymodel import jobs
from tinymodel.data.prepared import remove_dataset
from tinymodel.representation.features import study_run
from tinymodel.representation.ladder import measure_ladder
from tinymodel.representation.teaching import save, teach
from tinymodel.runs import Run, list_runs

OTHERS = [
    "train", "runs", "network", "gradcam", "looks", "timelapse", "mistakes", "confusion", "compare"
]  # fmt: skip


@pytest.fixture
def run(folders) -> Run:
    return make_run()


def open_page(app, page="bottleneck", **query):
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page(f"views/{page}.py").run()
    return wait(app)


def wait(app):
    """Until no job is left, then as the browser does: once more."""
    while waiting := jobs.active():
        for job in waiting:
            job.wait(30)
        app.run()
    assert not app.exception
    return app


def texts(app) -> str:
    kinds = ("error", "warning", "info", "success", "markdown", "subheader", "caption")
    return " | ".join(item.value for kind in kinds for item in app.get(kind))


def component(app, name: str) -> list[dict]:
    found = [c.proto for c in app.get("bidi_component") if c.proto.component_name == name]
    return [json.loads(proto.json) for proto in found]


def click(app, label: str):
    next(button for button in app.button if button.label == label).click().run()
    return wait(app)


def photograph(colour, seed: int = 0) -> bytes:
    noise = np.random.default_rng(seed).integers(-20, 20, (80, 100, 3))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_the_map_has_every_layer_and_marks_classes_never_seen(app, run):
    open_page(app)
    (shown,) = component(app, "feature_map")
    assert [layer["title"] for layer in shown["layers"]][:2] == ["Raw pixels", "First block"]
    assert len(shown["layers"]) == 11
    names = [group["name"] for group in shown["groups"]]
    assert names == [
        "colour 0", "colour 1", "colour 2", "colour 3 (never seen)", "colour 4 (never seen)"
    ]  # fmt: skip
    assert sum(len(group["members"]) for group in shown["groups"]) == shown["count"] == 20
    assert "directions hold" in shown["layers"][3]["note"]
    assert len(component(app, "picture_grid")) == 3  # neighbours by pixels, early and late


def test_a_chosen_few_classes_and_a_map_in_space_are_in_the_address(app, run):
    open_page(app, classes="n00000000,n00000004", map="pca3", k="7")
    (shown,) = component(app, "feature_map")
    assert shown["dimensions"] == 3
    assert shown["k"] == 7
    assert [group["name"] for group in shown["groups"]] == ["colour 0", "colour 4 (never seen)"]
    app.toggle("others").set_value(True).run()
    (shown,) = component(app, "feature_map")
    assert shown["groups"][0]["name"] == "other classes"
    assert shown["count"] == 20


def test_the_answer_comes_after_the_guess_and_stays(app, run):
    open_page(app)
    assert "appears here once you have guessed" in texts(app)
    app.select_slider[0].set_value(3).run()
    click(app, "This is my guess: show the answer")
    assert app.query_params["guess"] == "3"
    assert "separates colour 0 best" in texts(app)
    app.run()
    assert "separates colour 0 best" in texts(app)
    click(app, "Guess again")
    assert "appears here once you have guessed" in texts(app)


def test_the_ladder_is_measured_after_a_guess_and_kept(app, run):
    open_page(app, part="measure")
    assert "The ladder appears here once you have guessed" in texts(app)
    click(app, "This is my guess: show the answer")
    click(app, "Measure every layer")
    assert "On classes the network has never seen, layer" in texts(app)
    ladder, dimensions = (json.loads(chart.proto.spec) for chart in app.get("plotly_chart"))
    assert {trace.get("name") for trace in ladder["data"]} >= {
        "trained",
        "the same network, untrained",
    }
    assert [trace["name"].split(":")[0] for trace in dimensions["data"]] == ["nominal", "effective"]
    assert (run.folder / "ladder.csv").is_file()
    app.segmented_control[1].set_value("neighbours").run()
    assert not app.exception


def test_new_classes_are_taught_and_saved_as_a_run(app, run):
    open_page(app, part="teach")
    (metric,) = app.metric
    assert metric.value == "100.0 %"
    assert "from 5 pictures a class" in texts(app)
    assert "true: colour 3" in json.dumps(component(app, "picture_grid"))
    app.text_input("taught-name").set_value("two-colours").run()
    click(app, "Save as a run")
    assert "Saved as the run 'two-colours'" in texts(app)
    saved = Run.open("two-colours")
    assert [item.name for item in saved.classes] == ["colour 3", "colour 4"]
    click(app, "Save as a run")
    assert "already a run 'two-colours'" in texts(app)


@pytest.mark.parametrize("layer", ["stage1.residual2", "stage3.residual2"])
def test_every_page_understands_a_stacked_run(app, run, layer):
    saved = save(teach(run, study_run(run), layer, [3, 4], {}, shots=5))
    for page in [*OTHERS, "bottleneck"]:
        open_page(app, page, run=saved.name)
        if page != "compare":  # with no second run of the same classes it says so
            assert not app.error, page


def test_every_page_understands_a_run_taught_from_photographs(app, run):
    own = {
        name: np.full((6, 64, 64, 3), colour, np.uint8)
        for name, colour in (("red", (220, 20, 20)), ("blue", (20, 20, 220)))
    }
    saved = save(teach(run, None, "stage1.residual2", [], own, shots=5))
    for page in OTHERS:
        open_page(app, page, run=saved.name)
        assert not app.exception, page
    open_page(app, run=saved.name)
    assert "is not here" in texts(app)


def teach_own(app, files: list[tuple[str, bytes]], second: list[tuple[str, bytes]] = ()):
    open_page(app, part="teach", pick="")
    app.number_input("own-count").set_value(2).run()
    for number, pictures in ((0, files), (1, second)):
        if pictures:
            app.file_uploader[number].set_value(
                [(name, content, "image/png") for name, content in pictures]
            ).run()
    return wait(app)


def test_photographs_are_taught_and_nothing_of_them_stays_in_the_jobs(app, run):
    red = [(f"r{seed}.png", photograph((220, 30, 30), seed)) for seed in range(6)]
    blue = [(f"b{seed}.png", photograph((30, 30, 220), seed)) for seed in range(6)]
    teach_own(app, red, blue)
    (metric,) = app.metric
    assert metric.value == "100.0 %"
    assert "Of your photographs nothing is kept" in texts(app)
    mine = [key[0] for key in jobs._jobs if str(run.folder) in key]
    assert "features" in mine
    assert not {"lessons", "answers"} & set(mine)


def test_what_is_not_a_picture_is_said_and_left_out(app, run):
    teach_own(app, [("x.png", b"no picture"), ("r.png", photograph((220, 30, 30)))])
    assert "The file 'x.png' is not an image that can be read; it is left out" in texts(app)
    assert "Choose or add two classes or more" in texts(app)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (dict(run="nowhere"), "Run: there is no 'nowhere'"),
        (dict(part="dance"), "What to do: there is no 'dance'"),
        (dict(classes="n00000001,moon"), "Some classes in the address are not known to this run"),
        (dict(classes=""), "Choose two classes or more to see where their pictures lie"),
        (dict(classes="n00000001"), "A map needs at least 5 images"),
        (dict(map="globe"), "Kind of map: there is no 'globe'"),
        (dict(early="99"), "Early layer: there is no '99'"),
        (dict(part="teach", pick="n00000003"), "Choose or add two classes or more"),
        (dict(part="teach", pick="n00000001,n00000003"), "they are left out"),
        (dict(part="teach", layer="pixels"), "there is no 'pixels'"),
    ],
)
def test_nonsense_in_the_address_is_a_sentence(app, run, query, sentence):
    open_page(app, **query)
    assert sentence in texts(app)


def test_a_run_whose_dataset_is_gone_can_still_be_taught_photographs(app, run):
    remove_dataset("small")
    open_page(app)
    assert "is not here; prepare it on the Data page" in texts(app)
    assert not component(app, "feature_map")
    open_page(app, part="teach")
    assert [item.label for item in app.expander][:1] == ["Add classes of your own"]


def test_a_run_that_has_seen_everything_says_how_to_hold_classes_out(app, run):
    file = run.folder / "run.json"
    info = json.loads(file.read_text())
    info["stacked_on"] = dict(
        run="x", layer="first", classes=[dict(wnid=f"n{i:08d}", name="x") for i in (3, 4)]
    )
    file.write_text(json.dumps(info | dict(held_out=[])))
    open_page(app, part="teach")
    assert "Classes kept for later" in texts(app)


def test_two_runs_stand_side_by_side(app, run):
    open_page(app, part="widen")
    assert "There is no second run" in texts(app)
    import shutil

    second = run.folder.parent / "second"
    measure_ladder(run)
    shutil.copytree(run.folder, second)
    info = json.loads((second / "run.json").read_text()) | dict(name="second")
    (second / "run.json").write_text(json.dumps(info))
    assert len(list_runs()) == 2
    open_page(app, part="widen", run=run.name)
    (chart,) = app.get("plotly_chart")
    assert {trace.get("name") for trace in json.loads(chart.proto.spec)["data"]} >= {
        run.name,
        "second",
    }


def test_another_run_of_its_kind_is_filled_in_on_the_train_page(app, run):
    open_page(app, part="widen")
    next(button for button in app.button if button.label == "Twice as wide (8)").click().run()
    assert not app.exception
    assert app.title[0].value == "Train"
    assert app.number_input("classroom-width").value == 8
    assert app.number_input("classroom-small-5-held").value == 2
    jobs.stop_all(60)  # the Train page measures how long it will take
