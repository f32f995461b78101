"""The Grad-CAM page: any image, any class, and a sentence for whatever is missing."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from tinymodel import checkpoint, jobs
from tinymodel.data.prepared import remove_dataset
from tinymodel.explain.gradcam import METHODS
from tinymodel.network import BottleneckNet


@pytest.fixture
def run(finished_run):
    torch.manual_seed(1)
    weights = BottleneckNet(classes=3, width=4).state_dict()
    file = finished_run.folder / "best.pt"
    checkpoint.save(dict(weights=weights, epoch=2, val_accuracy=0.3), file)
    yield finished_run
    for job in jobs.active():
        job.wait(10)


def open_page(app, **query):
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page("views/gradcam.py").run()
    assert not app.exception
    return app


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
    assert [link.proto.label for link in app.get("page_link")] == ["Find this run's mistakes first"]


@pytest.mark.parametrize("gone", [False, True])
def test_ones_own_picture_is_explained_even_without_the_dataset(app, run, gone):
    if gone:
        remove_dataset("small")
    open_page(app, source="upload")
    assert ("not here; prepare it on the Data page. Until then" in texts(app)) is gone
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


def test_while_training_goes_on_the_page_says_whose_weights_these_are(app, run):
    from tinymodel.runs import RunWriter

    writer = RunWriter.reopen(run.name)
    try:
        writer.update(status="running")
        open_page(app)
        assert "Training goes on; this is the network after epoch 2 of 3." in texts(app)
        assert len(shown(app)) == 3
    finally:
        writer.close()
