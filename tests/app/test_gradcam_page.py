"""The Grad-CAM page: any image, any class, and a sentence for whatever is missing."""

import io
import json

import numpy as np
import pytest
import pytorch_grad_cam  # noqa: F401  (seconds: now, and not while a page waits for its first map)
import torch
from conftest import APP
from PIL import Image

from tinymodel import checkpoint, jobs
from tinymodel.data.prepared import remove_dataset
from tinymodel.explain.gradcam import METHODS
from tinymodel.network import BottleneckNet


def open_page(app, **query):
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page("views/gradcam.py").run()
    assert not app.exception
    return app


def table(app) -> dict:
    """What the table of pictures shows."""
    (element,) = [
        item for item in app.get("bidi_component") if item.proto.component_name == "picture_table"
    ]
    return json.loads(element.proto.json)


def press(app, label: str) -> None:
    """Press a button and let the jobs that it begins end."""
    next(button for button in app.button if button.label == label).click().run()
    for job in jobs.active():
        job.wait(30)
    app.run()
    assert not app.exception


def texts(app) -> str:
    kinds = ("error", "warning", "info", "success", "markdown", "subheader", "caption")
    return " | ".join(item.value for kind in kinds for item in app.get(kind))


def shown(app) -> list[str]:
    """Captions of the pictures."""
    return [image.caption for item in app.get("image") for image in item.proto.imgs]


def thumbnails(app) -> dict:
    (element,) = [
        item for item in app.get("bidi_component") if item.proto.component_name == "picture_grid"
    ]
    return json.loads(element.proto.json)


def picture(size=(90, 60)) -> bytes:
    stream = io.BytesIO()
    Image.effect_noise(size, 80).convert("RGB").save(stream, "PNG")
    return stream.getvalue()


def test_without_runs_the_page_invites_to_train(app):
    open_page(app)
    assert "No network yet" in texts(app)


def test_a_run_without_weights_says_when_they_come(app, finished_run):
    open_page(app)
    assert "no weights yet: they are saved at the end of its first epoch" in texts(app)


def test_three_pictures_the_answer_and_the_five_most_probable_are_shown(app, run, small_dataset):
    index = int(small_dataset.indices("val", label=2)[1])
    open_page(app, run=run.name, image=str(index))
    first, second, third = shown(app)
    assert first == "What the network sees"
    assert second.startswith("Heat map for colour ")
    assert second.endswith(": 8×8 cells")
    assert third == "Both together"
    assert "true: **colour 2** / says: **colour " in texts(app)
    bars = json.loads(app.get("plotly_chart")[0].proto.spec)["data"][0]
    assert len(bars["y"]) == 3
    assert thumbnails(app)["selected"] == 1


@pytest.mark.parametrize("method", METHODS)
def test_the_address_says_layer_method_and_target(app, run, method):
    open_page(app, layer="stage1.residual2", method=method, target="n00000001")
    subject = "colour 1" if METHODS[method].uses_target else "every class alike"
    assert shown(app)[1] == f"Heat map for {subject}: 32×32 cells"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (dict(run="nowhere"), "Run: there is no 'nowhere'"),
        (dict(image="99999"), "There is no image '99999' in the dataset 'small'"),
        (dict(image="-1"), "There is no image '-1'"),
        (dict(image="cat"), "There is no image 'cat'"),
        (dict(layer="stage9"), "Block of the network (layer): there is no 'stage9'"),
        (dict(method="magic"), "Method: there is no 'magic'"),
        (dict(target="n99"), "Look for (target class): there is no 'n99'"),
        (dict(source="moon"), "Picture: there is no 'moon'"),
    ],
)
def test_nonsense_in_the_address_is_said(app, run, query, sentence):
    open_page(app, **query)
    assert sentence in texts(app)
    assert len(shown(app)) == 3


def test_choosing_a_class_goes_to_its_first_image(app, run, small_dataset):
    open_page(app)
    app.selectbox("image-class").set_value(1).run()
    assert app.query_params["image"] == str(small_dataset.indices("val", label=1)[0])
    assert "true: **colour 1**" in texts(app)


def test_without_predictions_the_mistakes_are_linked(app, run):
    open_page(app, source="mistakes")
    links = [link.proto.label for link in app.get("page_link")]
    assert "Find this run's mistakes first" in links


@pytest.mark.parametrize("gone", [False, True])
def test_ones_own_picture_is_explained_even_without_the_dataset(app, run, gone):
    if gone:
        remove_dataset("small")
    open_page(app, source="upload")
    assert ("The pictures are not here" in texts(app)) is gone
    assert not shown(app)
    app.file_uploader[0].upload("cat.png", picture(), "image/png").run()
    assert not app.exception
    assert "The network says: **colour " in texts(app)
    assert shown(app)[0] == "The square in 64×64 pixels"
    assert shown(app)[-1] == "Both together, as sharp as your picture is"


def bomb() -> bytes:
    """A PNG that claims 60,000×60,000 pixels."""
    content = bytearray(picture((2, 2)))
    content[16:24] = (60_000).to_bytes(4) * 2
    import zlib

    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file 'x.png' is empty; choose another picture."),
        (b"not an image", "The file 'x.png' is not an image that can be read; choose another"),
        (picture()[:200], "The file 'x.png' is broken"),
        (bomb(), "megapixels"),
    ],
)
def test_what_is_not_a_picture_is_said(app, run, content, sentence):
    open_page(app, source="upload")
    app.file_uploader[0].upload("x.png", content, "image/png").run()
    assert not app.exception
    assert sentence in texts(app)
    assert not shown(app)


def test_an_empty_heat_map_is_said_in_words(app, run, monkeypatch):
    from tinymodel.explain import gradcam

    nothing = np.zeros((1, 8, 8), dtype=np.float32)
    monkeypatch.setattr(
        gradcam, "raw_maps", lambda *a, **k: (torch.tensor([[1.0, 0, 0]]), [-nothing - 1])
    )
    open_page(app)
    assert (
        "The heat map is empty: at this block nothing in the picture speaks for colour 0"
        in texts(app)
    )


VIEWS = ["layers", "methods", "contrast", "many"]


def test_layers_stand_side_by_side_from_the_fine_grid_to_the_coarse_one(app, run):
    open_page(app, view="layers", images="36,40")
    found = table(app)
    sizes = [small.removesuffix(" cells") for _, small in found["columns"][1:]]
    assert sizes == ["64×64", "32×32", "16×16", "8×8"]
    assert len(found["rows"]) == 2
    assert found["rows"][0]["cells"][0]["lines"][0] == "true: colour 0"
    assert found["rows"][1]["link"] == f"gradcam?run={run.name}&image=40"


def test_all_ten_blocks_can_be_shown(app, run):
    open_page(app, view="layers", all="true")
    assert len(table(app)["columns"]) == 11


@pytest.mark.parametrize(("draw", "pictures"), [("both", 2), ("cells", 1), ("over", 1)])
def test_cells_and_the_smooth_map_can_stand_beside_one_another(app, run, draw, pictures):
    open_page(app, view="layers", draw=draw)
    assert len(table(app)["rows"][0]["cells"][1]["pictures"]) == pictures


def test_on_one_scale_the_strength_of_a_column_is_compared(app, run):
    open_page(app, view="layers", images="36,40,44", scale="same")
    for column in range(1, 5):
        lines = [row["cells"][column]["lines"] for row in table(app)["rows"]]
        shares = [line[0] for line in lines if line and "strongest" in line[0]]
        empty = [line[0] for line in lines if line and line[0].startswith("empty: nothing here")]
        assert len(shares) + len(empty) == 3
        assert not shares or "100.0 % of the strongest" in shares


def test_quick_methods_stand_side_by_side_and_slow_ones_wait_for_a_click(app, run):
    open_page(app, view="methods")
    titles = [title for title, _ in table(app)["columns"]][1:]
    assert titles == [method.title for method in METHODS.values()]
    assert "Score-CAM and Ablation-CAM ask the network hundreds of times" in texts(app)
    press(app, "Compute these 2 maps")
    assert [title for title, _ in table(app)["columns"]][-2:] == ["Score-CAM", "Ablation-CAM"]
    app.query_params["view"] = "one"
    app.query_params["method"] = "scorecam"  # it is there already
    app.run()
    assert "hundreds of times" not in texts(app)
    assert len(shown(app)) == 3


def test_a_slow_method_warns_before_it_begins(app, run):
    open_page(app, method="ablationcam", layer="stage2.residual1")
    assert "Ablation-CAM asks the network hundreds of times" in texts(app)
    assert not shown(app)
    assert not jobs.active()


def test_this_and_that_are_never_the_same_class(app, run):
    open_page(app, view="contrast", images="36,40,44")
    for row in table(app)["rows"]:
        one, other = (row["cells"][column]["lines"][0].split(":")[0] for column in (1, 2))
        assert one != other
        assert f"true: {one}" in row["cells"][0]["lines"]
        assert row["cells"][3]["lines"] == [f"orange: {one}", f"blue: {other}"]
    app.query_params["this"] = app.query_params["that"] = "n00000002"
    app.run()
    one, other = (table(app)["rows"][0]["cells"][column]["lines"][0] for column in (1, 2))
    assert one.startswith("colour 2: ")
    assert not other.startswith("colour 2: ")


def test_many_pictures_are_added_and_taken_away(app, run):
    open_page(app, view="many", images="36,40")
    grids = [
        json.loads(item.proto.json)
        for item in app.get("bidi_component")
        if item.proto.component_name == "picture_grid"
    ]
    assert [len(grid["pictures"]) for grid in grids] == [4, 2]  # to choose from, and chosen
    assert grids[0]["selected"] == [0]
    assert "2 chosen, 48 at most" in texts(app)
    press(app, "Add 6 by chance")
    assert len(app.query_params["images"].split(",")) == 8
    press(app, "Only the first")
    assert app.query_params["images"] == "36"


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        ("36,cat", "There is no image 'cat' in the dataset 'small'; it is left out."),
        ("36,-1,99999", "There is no image '-1'"),
    ],
)
def test_nonsense_among_the_images_is_said_and_the_rest_is_shown(app, run, images, sentence):
    open_page(app, view="many", images=images)
    assert sentence in texts(app)
    assert "1 chosen, 48 at most" in texts(app)


def test_more_images_than_fit_are_cut_off_with_a_word(app, run, monkeypatch):
    from components import image_picker

    monkeypatch.setattr(image_picker, "MOST", 2)
    open_page(app, view="layers", images="36,37,38,38")
    assert "These are the first 2 of 3 images" in texts(app)
    assert len(table(app)["rows"]) == 2


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_takes_ones_own_picture(app, run, view):
    open_page(app, view=view, source="upload")
    app.file_uploader[0].upload("cat.png", picture(), "image/png").run()
    assert not app.exception
    if view != "many":
        assert [row["link"] for row in table(app)["rows"]] == [""]


def test_ones_own_picture_stays_with_its_owner(app, run):
    from streamlit.testing.v1 import AppTest

    before = set(jobs._jobs)
    open_page(app, source="upload")
    app.file_uploader[0].upload("cat.png", picture(), "image/png").run()
    assert len(shown(app)) == 4
    assert set(jobs._jobs) == before  # its map is not among the results that all share
    assert "cat" not in str(dict(app.query_params))
    other = AppTest.from_file(str(APP / "frame.py"), default_timeout=20)
    open_page(other, source="upload")
    assert not shown(other)
    assert len(other.file_uploader) == 1
    press(app, "Another picture")
    assert not shown(app)


def test_the_sanity_check_lets_a_copy_forget(app, run):
    open_page(app)
    press(app, "Let it forget")
    found = table(app)
    assert [title for title, _ in found["columns"]][:2] == ["As trained", "Classifier"]
    assert len(found["columns"]) == 12
    assert found["rows"][1]["cells"][3]["lines"] == ["does not change"]
    assert "is left once the classifier is random" in texts(app)


def test_a_run_deleted_while_the_page_shows_it_is_said(app, run, monkeypatch):
    from components.heat import choices

    def gone(*arguments):
        run.delete()
        return run.info()

    open_page(app)
    monkeypatch.setattr(choices, "layers", gone)
    app.run()
    assert not app.exception
    assert f"There is no run '{run.name}'" in texts(app).replace("\\", "")


def test_weights_of_another_network_are_said(app, run):
    weights = BottleneckNet(classes=5, width=4).state_dict()
    checkpoint.save(dict(weights=weights, epoch=2, val_accuracy=0.3), run.folder / "best.pt")
    open_page(app)
    assert "are of another network" in texts(app)


def test_while_training_goes_on_the_page_says_whose_weights_these_are(app, run):
    from tinymodel.run_writer import RunWriter

    writer = RunWriter.reopen(run.name)
    try:
        writer.update(status="running")
        open_page(app)
        assert "Training goes on; this is the network after epoch 2 of 3." in texts(app)
        assert len(shown(app)) == 3
    finally:
        writer.close()
