"""The Data page: every way to get pictures, what is shown of them, and a sentence for whatever goes wrong."""

import io
import json
import zipfile

import conftest
import numpy as np
import pytest
from conftest import write_small_dataset
from PIL import Image

from tinymodel import jobs
from tinymodel.data import ClassInfo, list_datasets, open_dataset
from tinymodel.data.prepared import PreparedWriter
from tinymodel.errors import UserError
from tinymodel.paths import data_folder

JOB = "prepare a dataset"


@pytest.fixture(autouse=True)
def no_job():
    yield
    jobs.stop_all()
    jobs.forget(JOB)


@pytest.fixture(autouse=True)
def no_archive(monkeypatch):
    monkeypatch.setenv("TINY_IMAGENET_ARCHIVE", "none.zip")


def open_page(app, **query):
    app.run()
    app.switch_page("views/data.py")
    for name, value in query.items():
        app.query_params[name] = value
    return checked(app.run())


def checked(app):
    assert not app.exception
    return app


def texts(app) -> str:
    kinds = ("title", "subheader", "markdown", "caption", "error", "info", "warning")
    return " | ".join(item.value for kind in kinds for item in app.get(kind))


def button(app, label):
    (found,) = [item for item in app.button if item.label == label]
    return found


def grid(app, number=0) -> dict:
    grids = [
        item for item in app.get("bidi_component") if item.proto.component_name == "picture_grid"
    ]
    return json.loads(grids[number].proto.json)


def address(app, name: str) -> str:
    """What the address says; a list if the test put it there, text if the page did."""
    value = app.query_params[name]
    return value[0] if isinstance(value, list) else value


def finish(app):
    """Wait for the preparation, then see the page after it."""
    job = jobs.find(JOB).wait(60)
    assert not job.active
    return checked(app.run())


def picture() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (90, 70), (200, 100, 50)).save(stream, "PNG")
    return stream.getvalue()


def make_pets(folder, broken=()):
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for i in range(10):
            (folder / name / f"{i}.png").write_bytes(picture())
    for name in broken:
        (folder / name).write_bytes(b"no picture")
    return folder


def test_empty_room_offers_the_sample_and_one_click_makes_it(app, monkeypatch):
    def prepare(name="sample", *, progress=None, **_):
        progress(0.5, "Drawing")
        return write_small_dataset(name)

    monkeypatch.setattr("components.preparing.prepare_sample", prepare)
    open_page(app)
    assert "No pictures yet" in texts(app) and "of disk space" in texts(app)
    button(app, "Make the sample").click()
    finish(app.run())
    assert address(app, "dataset") == "sample"
    assert "No pictures yet" not in texts(app)
    assert [metric.value for metric in app.metric] == ["3", "36", "12", "100.0 %"]


def test_all_classes_are_shown_by_one_picture_each(app, small_dataset):
    open_page(app)
    pictures = grid(app)["pictures"]
    assert [item["caption"] for item in pictures] == ["colour 0", "colour 1", "colour 2"]
    assert grid(app)["side"] >= 96
    assert "Every class has 12 training images and 4 validation images" in texts(app)


def test_address_leads_to_a_class_a_split_and_a_picture(app, small_dataset):
    row = small_dataset.indices("val", 1)[2]
    open_page(app, **{"class": "n00000001", "split": "val", "image": str(row)})
    shown = grid(app)
    assert len(shown["pictures"]) == 4 and shown["selected"] == 2
    assert "Images of colour 1 · id n00000001" in texts(app)
    assert f"(image {row}). The box says where the thing is" in texts(app)


def test_link_to_a_picture_on_a_later_page_goes_there(app, folders):
    dataset = write_small_dataset("many", train=60)
    row = dataset.indices("train", 0)[40]
    open_page(app, **{"class": "n00000000", "image": str(row)})
    assert address(app, "page") == "2"
    assert grid(app)["selected"] == 40 - 27


@pytest.mark.parametrize(
    "query",
    [
        {"dataset": "nonsense"},
        {"class": "n99999999"},
        {"split": "test"},
        {"image": "-5"},
        {"image": "x"},
        {"page": "999"},
        {"changes": "?"},
    ],
)
def test_nonsense_in_the_address_breaks_nothing(app, small_dataset, query):
    open_page(app, **query)
    assert len(grid(app)["pictures"]) == 3


def test_draws_of_one_picture_differ_and_renew(app, small_dataset):
    open_page(app, changes="shift")
    first = [item["source"] for item in grid(app, 1)["pictures"]]
    assert len(set(first)) > 4
    checked(button(app, "Draw again").click().run())
    again = [item["source"] for item in grid(app, 1)["pictures"]]
    assert first != again
    open_page(app, changes="mirror")
    assert len({item["source"] for item in grid(app, 1)["pictures"]}) == 2


def test_sample_says_openly_where_its_trap_is_to_who_asks(app, folders):
    notes = dict(
        shortcut_class="cow",
        shortcut="It stands in a meadow.",
        look_alikes=[["apple", "tomato"], ["bus", "lorry"]],
    )
    images = np.zeros((4, 64, 64, 3), np.uint8)
    classes = [ClassInfo("s0", "cow"), ClassInfo("s1", "bus")]
    with PreparedWriter(
        "sample", kind="sample", classes=classes, capacity=4, notes=notes
    ) as writer:
        rows = [dict(split=s, label=k, source="") for s in ("train", "val") for k in (0, 1)]
        writer.add(images, rows)
    open_page(app)
    (trap,) = [each for each in app.expander if "on purpose" in each.label]
    assert "cow" not in trap.label  # who wants to find it alone can
    for words in (
        "the class cow",
        "It stands in a meadow.",
        "apple with tomato and bus with lorry",
    ):
        assert words in trap.markdown[0].value
    assert "It has no box" in texts(app)


def test_own_folder_is_prepared_and_what_was_left_out_is_named(app, folders):
    pets = make_pets(folders / "my pets", broken=["cat/bad.jpg"])
    open_page(app)
    app.text_input(key="own-folder").set_value(str(pets)).run()
    assert app.text_input(key="own-name").placeholder == "my-pets"
    app.slider(key="own-validation").set_value(30).run()
    button(app, "Prepare them").click()
    finish(checked(app.run()))
    assert address(app, "dataset") == "my-pets"
    assert open_dataset("my-pets").info["counts"] == dict(train=14, val=6)
    assert [item.label for item in app.expander] == ["One file was left out"]
    assert app.dataframe[0].value["source"].tolist() == ["cat/bad.jpg"]


def test_uploaded_zip_is_prepared(app, folders):
    pets = make_pets(folders / "pets")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for item in pets.rglob("*.png"):
            archive.write(item, item.relative_to(folders))
    open_page(app)
    app.file_uploader(key="own-zip").upload("pets.zip", stream.getvalue(), "application/zip").run()
    button(app, "Prepare them").click()
    finish(checked(app.run()))
    assert list_datasets() == ["pets"]


def test_archive_that_is_not_there_is_said_at_once(app, folders):
    open_page(app)
    app.text_input(key="archive").set_value(str(folders / "none.zip")).run()
    assert "There is no file or folder" in texts(checked(app))
    assert button(app, "Prepare it").disabled
    (folders / "foreign.zip").write_bytes(b"no zip")
    app.text_input(key="archive").set_value(str(folders / "foreign.zip")).run()
    assert "foreign.zip is not a zip file" in texts(app)


def test_download_without_a_connection_fails_with_its_sentence(app, monkeypatch):
    def fail(*_):
        raise UserError("This address is often down.")

    monkeypatch.setattr("components.preparing.download", fail)
    open_page(app)
    button(app, "Download and prepare it").click()
    finish(app.run())
    assert [error.value for error in app.error] == ["This address is often down."]
    checked(button(app, "All right").click().run())
    assert not app.error


def test_name_that_is_taken_is_said_at_once(app, folders):
    pets = make_pets(folders / "small")
    (data_folder() / "small").mkdir(parents=True)  # not listed, but there
    open_page(app)
    app.text_input(key="own-folder").set_value(str(pets)).run()
    checked(button(app, "Prepare them").click().run())
    assert "'small' is already prepared" in texts(app)
    assert jobs.find(JOB) is None


def test_removing_asks_first(app, small_dataset):
    open_page(app)
    checked(button(app, "Remove").click().run())
    assert list_datasets() == ["small"]
    checked(button(app, "Remove small").click().run())
    assert list_datasets() == []
    assert "No pictures yet" in texts(app)


def test_after_removing_one_the_next_is_shown(app, small_dataset):
    write_small_dataset("other")
    open_page(app, dataset="small")
    button(app, "Remove").click().run()
    checked(button(app, "Remove small").click().run())
    assert app.selectbox(key="choice-dataset").value == "other"
    assert not app.warning


def test_damaged_dataset_is_a_sentence_and_can_be_removed(app, small_dataset):
    (small_dataset.folder / "samples.parquet").write_bytes(b"nonsense")
    open_page(app)
    assert "is damaged" in app.error[0].value
    checked(button(app, "Remove").click().run())
    checked(button(app, "Remove small").click().run())
    assert list_datasets() == []


def test_two_hundred_classes_are_all_named_in_the_chart(app, folders):
    conftest.write_small_dataset("wide", classes=200, train=1, val=1)
    open_page(app)
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert len(figure["data"][0]["y"]) == 200 and figure["data"][0]["orientation"] == "h"
    assert figure["layout"]["yaxis"]["dtick"] == 1 and figure["layout"]["height"] > 200 * 14
    assert len(grid(app)["pictures"]) == 27
