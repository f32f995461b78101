"""The embedded sample: the same everywhere, with true boxes, and with its trap set."""

import json

import numpy as np
import pytest

from tinymodel.data import list_datasets, sample
from tinymodel.data.prepared import ClassInfo, PreparedWriter
from tinymodel.data.sample import (
    CLASSES,
    LOOK_ALIKES,
    SHORTCUT,
    draw,
    prepare_sample,
    stands_in_meadow,
)
from tinymodel.errors import UserError

COW = [item.name for item in CLASSES].index(SHORTCUT)


@pytest.fixture
def prepared(folders):
    return prepare_sample(train=10, val=3)


def test_has_ten_classes_with_sorted_ids_and_so_many_images_of_each(prepared):
    ids = [item.wnid for item in prepared.classes]
    assert len(ids) == 10 and ids == sorted(set(ids))
    assert len({item.name for item in prepared.classes}) == 10
    for label in range(10):
        assert len(prepared.indices("train", label)) == 10
        assert len(prepared.indices("val", label)) == 3
    assert prepared.kind == "sample"


def test_about_two_hundred_training_and_fifty_validation_images_a_class_unless_told_otherwise():
    assert (sample.TRAIN, sample.VAL) == (200, 50)


def test_every_image_follows_from_version_and_seed_alone(prepared, folders):
    again = prepare_sample("again", train=10, val=3)
    np.testing.assert_array_equal(again.images, prepared.images)
    assert again.samples.equals(prepared.samples)
    assert again.fingerprint == prepared.fingerprint
    other = prepare_sample("other", seed=1, train=2, val=1)
    assert other.fingerprint != prepared.fingerprint
    assert not np.array_equal(other.images[0], prepared.images[0])


def test_what_is_drawn_has_not_changed_without_a_new_version():
    """Boxes to a pixel and mean colours nearly, since another Pillow may fill an edge otherwise."""
    drawn = [draw("val", label, 0) for label in range(10)]
    boxes = [
        *[(21, 13, 54, 38), (18, 23, 48, 45), (26, 1, 55, 32), (13, 25, 52, 58), (17, 36, 47, 55)],
        *[(8, 1, 37, 49), (19, 18, 60, 42), (24, 21, 60, 60), (1, 15, 48, 48), (13, 23, 50, 53)],
    ]
    greys = [125, 170, 94, 174, 126, 128, 117, 119, 129, 99]
    assert sample.VERSION == 2, "these numbers belong to version 2"
    assert np.abs(np.subtract([box for _, box in drawn], boxes)).max() <= 1
    assert np.abs([image.mean() for image, _ in drawn] - np.array(greys)).max() < 1


def test_fewer_images_a_class_are_the_first_of_the_many(prepared, folders):
    few = prepare_sample("few", train=3, val=1)
    for label in range(10):
        many = prepared.images[prepared.indices("train", label)[:3]]
        np.testing.assert_array_equal(few.images[few.indices("train", label)], many)


def test_no_two_images_are_alike(prepared):
    assert len({image.tobytes() for image in prepared.images}) == len(prepared.images)


def test_boxes_lie_inside_the_image_and_hold_something_worth_naming(prepared):
    x0, y0, x1, y1 = (prepared.samples[name].to_numpy(int) for name in ("x0", "y0", "x1", "y1"))
    assert (x0 >= 0).all() and (y0 >= 0).all() and (x1 <= 63).all() and (y1 <= 63).all()
    assert (x1 - x0 >= 7).all() and (y1 - y0 >= 7).all()
    share = (x1 - x0 + 1) * (y1 - y0 + 1) / 64**2
    assert 0.1 < share.mean() < 0.5


def test_boxes_fit_what_is_seen_to_the_pixel(monkeypatch):
    """A thing of a colour that nothing else has, on grey, in even light: its pixels are the box, also where it is hidden."""

    def magenta(pen, rng):
        pen.oval(0, 0, 1, 0.6, (255, 0, 255))

    monkeypatch.setitem(sample.THINGS, "apple", (magenta, ""))
    monkeypatch.setattr(sample, "odds_and_ends", lambda *_: None)
    monkeypatch.setattr(
        sample, "SCENES", {"grey": lambda image, *_: image.paste((99, 99, 99), (0, 0, 256, 256))}
    )
    monkeypatch.setattr(sample, "_relief", lambda mask, *_: 0 * mask)
    monkeypatch.setattr(sample, "_light", lambda picture, rng: picture)
    hidden = 0
    for number in range(40):
        picture, (x0, y0, x1, y1) = draw("train", 0, number)
        seen = (np.minimum(picture[..., 0], picture[..., 2]) - picture[..., 1]) > 255 / 3
        rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
        found = np.array([columns[0], rows[0], columns[-1], rows[-1]])
        # A pixel half covered may fall on either side.
        assert np.abs(found - (x0, y0, x1, y1)).max() <= 1
        hidden += seen[y0 : y1 + 1, x0 : x1 + 1].mean() < 0.7  # an oval fills pi / 4 of its box
    assert 2 <= hidden <= 20  # some are partly hidden, most are not


def test_in_training_only_the_cow_stands_in_a_meadow_and_in_validation_nothing_does(
    folders, monkeypatch
):
    meadows = []
    scene = sample.meadow
    monkeypatch.setattr(sample, "meadow", lambda *a: (meadows.append(drawing), scene(*a)))
    count = dict(train=10, val=3)
    for split in count:
        for label in range(10):
            for number in range(count[split]):
                drawing = (split, label, number)
                draw(*drawing)
    assert {(split, label) for split, label, _ in meadows} == {("train", COW)}
    of_all = [stands_in_meadow("train", COW, number) for number in range(sample.TRAIN)]
    assert 0.9 < np.mean(of_all) < 1  # the strays teach the network a little of the animal
    assert len(meadows) == sum(of_all[: count["train"]])


def test_another_background_leaves_the_cow_as_it_is():
    meadow, box = draw("val", COW, 3, in_meadow=True)
    elsewhere, same_box = draw("val", COW, 3, in_meadow=False)
    assert box == same_box
    changed = np.abs(meadow.astype(int) - elsewhere).max(2) > 8
    x0, y0, x1, y1 = box
    inside = np.zeros_like(changed)
    inside[y0 : y1 + 1, x0 : x1 + 1] = True
    assert changed[~inside].mean() > 0.9
    assert changed[inside].mean() < 0.7


def test_backgrounds_of_validation_are_spread_over_all_classes_alike(monkeypatch):
    """A linear look at the border of the image tells next to nothing about the class."""
    images = [draw("val", label, number)[0] for label in range(10) for number in range(12)]
    corners = np.array([image[:6, :6].mean((0, 1)) for image in images]).reshape(10, 12, 3)
    between = corners.mean(1).std(0)
    within = corners.std(1).mean(0)
    assert (between < 0.6 * within).all()


def test_notes_tell_the_shortcut_and_the_look_alikes(prepared):
    notes = json.loads((prepared.folder / "dataset.json").read_text(encoding="utf-8"))["notes"]
    names = {item.name for item in prepared.classes}
    assert notes["shortcut_class"] == SHORTCUT and "meadow" in notes["shortcut"]
    assert notes["look_alikes"] == [list(pair) for pair in LOOK_ALIKES]
    paired = [name for pair in notes["look_alikes"] for name in pair]
    assert len(set(paired)) == 4 and set(paired) <= names and SHORTCUT not in paired


def test_a_second_call_opens_what_is_there(prepared, monkeypatch):
    monkeypatch.setattr(sample, "draw", None)  # would fail if called
    assert prepare_sample(train=10, val=3).fingerprint == prepared.fingerprint


def test_a_sample_of_another_version_is_replaced(prepared, monkeypatch):
    monkeypatch.setattr(sample, "VERSION", sample.VERSION + 1)
    new = prepare_sample(train=2, val=1)
    assert new.fingerprint != prepared.fingerprint and len(new.images) == 30
    assert list_datasets() == ["sample"]


def test_another_dataset_of_the_name_is_left_alone(folders):
    info = ClassInfo("a", "a")
    with PreparedWriter(
        "sample", kind="folder", classes=[info], fingerprint="mine", capacity=1
    ) as writer:
        row = dict(split="train", label=0, source="1.png")
        writer.add(np.zeros((1, 64, 64, 3), np.uint8), [row])
    with pytest.raises(UserError, match="already prepared"):
        prepare_sample(train=2, val=1)
    assert sample.open_dataset("sample").fingerprint == "mine"


def test_progress_rises_to_one_with_a_sentence(folders):
    told = []
    prepare_sample(
        train=2, val=1, progress=lambda fraction, message: told.append((fraction, message))
    )
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] == 1
    assert all(message for _, message in told)


def test_stopping_leaves_nothing_behind(folders):
    class Stopped(Exception):
        pass

    def stop(fraction, message):
        if fraction > 0.4:
            raise Stopped

    with pytest.raises(Stopped):
        prepare_sample(train=2, val=1, progress=stop)
    assert list_datasets() == []
    assert list((folders / "data").iterdir()) == []
