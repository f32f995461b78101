"""The prepared form: written whole or not at all, opened fast, chosen from without copying."""

import json
import os

import numpy as np
import pytest
from conftest import write_small_dataset
from filelock import FileLock

from tinymodel.data.prepared import (
    ClassInfo,
    PreparedWriter,
    bytes_needed,
    list_datasets,
    open_dataset,
    remove_dataset,
)
from tinymodel.errors import UserError
from tinymodel.paths import data_folder

CLASSES = [ClassInfo("a", "ant"), ClassInfo("b", "Bee")]


def writer(name="new", **kwargs):
    return PreparedWriter(
        name, kind="folder", classes=CLASSES, fingerprint="f", capacity=4, **kwargs
    )


def row(split, label, number=0, box=(None,) * 4):
    return dict(split=split, label=label, source=str(number)) | dict(
        zip(("x0", "y0", "x1", "y1"), box, strict=True)
    )


def test_fewer_images_than_announced_and_missing_boxes_come_back(folders):
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    with writer(notes=dict(shortcut="none")) as new:
        new.add(images[:1], [row("train", 0, 0, (1, 2, 3, 4))])
        new.add(images[1:], [row("val", 1, 1), row("train", 1, 2)])
        new.leave_out("b/7.jpg", "is empty")
    dataset = open_dataset("new")
    np.testing.assert_array_equal(dataset.images, images)
    assert dataset.images.shape == (3, 64, 64, 3) and not dataset.images.flags.writeable
    assert dataset.samples["x1"].tolist()[0] == 3 and dataset.samples["x1"].isna().sum() == 2
    assert dataset.classes == tuple(CLASSES) and dataset.fingerprint == "f"
    assert dataset.left_out == [dict(source="b/7.jpg", reason="is empty")]
    assert dataset.info["notes"] == dict(shortcut="none")
    assert dataset.info["counts"] == dict(train=2, val=1)
    kept = images[[0, 2]] / 255
    np.testing.assert_allclose(dataset.mean, kept.mean((0, 1, 2)))
    np.testing.assert_allclose(dataset.std, kept.std((0, 1, 2)))


def test_files_on_disk_take_what_was_announced(small_dataset):
    size = sum(item.stat().st_size for item in small_dataset.folder.iterdir())
    assert 0.5 * size < bytes_needed(len(small_dataset.images)) < 1.2 * size


def test_exception_while_writing_leaves_nothing_behind(folders):
    with pytest.raises(KeyboardInterrupt), writer() as new:
        new.add(np.zeros((1, 64, 64, 3), np.uint8), [row("train", 0)])
        raise KeyboardInterrupt
    assert list(data_folder().iterdir()) == []


def test_nothing_is_listed_before_it_is_whole(folders):
    with writer() as new:
        new.add(np.zeros((1, 64, 64, 3), np.uint8), [row("train", 0)])
        assert list_datasets() == []
    assert list_datasets() == ["new"]


def test_name_taken_meanwhile_is_refused_and_kept(folders):
    with pytest.raises(UserError, match="already prepared"), writer("small"):
        write_small_dataset("small")
    assert open_dataset("small").kind == "sample"
    assert [item.name for item in data_folder().iterdir()] == ["small"]


def test_replacing_that_fails_at_the_last_moment_puts_the_old_one_back(small_dataset, monkeypatch):
    rename = os.replace

    def fail(source, target):
        if ".preparing-" in str(source):
            raise PermissionError(13, "somebody reads it")
        rename(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(UserError, match="somebody reads it"), writer("small", replace=True) as new:
        new.add(np.zeros((1, 64, 64, 3), np.uint8), [row("train", 0)])
    assert open_dataset("small").kind == "sample"
    assert [item.name for item in data_folder().iterdir()] == ["small"]


def test_remains_of_a_killed_process_are_swept_and_living_work_is_not(small_dataset):
    for name in ("dead", "living"):
        (data_folder() / f".preparing-{name}-1").mkdir()
        (data_folder() / f".preparing-{name}-1" / "images.npy").write_bytes(b"half")
        (data_folder() / f".preparing-{name}-1.lock").touch()
    with FileLock(data_folder() / ".preparing-living-1.lock"), writer() as new:
        new.add(np.zeros((1, 64, 64, 3), np.uint8), [row("train", 0)])
    left = sorted(item.name for item in data_folder().iterdir() if "dead" in item.name)
    assert left == []
    assert (data_folder() / ".preparing-living-1" / "images.npy").exists()


def test_folder_that_cannot_be_written_is_one_sentence(folders, monkeypatch):
    (folders / "file").touch()
    monkeypatch.setenv("TINYMODEL_DATA", str(folders / "file" / "data"))
    with pytest.raises(UserError, match=r"cannot be written|Nothing can be written"), writer():
        pass


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "con", "a" * 61, "ü"])
def test_names_that_are_no_folder_names_are_refused(folders, name):
    with pytest.raises(UserError, match="cannot be the name of a dataset"):
        writer(name)


def test_rows_are_found_by_split_and_class(small_dataset):
    samples = small_dataset.samples
    for split in ("train", "val"):
        expected = np.flatnonzero(samples["split"] == split)
        np.testing.assert_array_equal(small_dataset.indices(split), expected)
        for label in range(3):
            expected = np.flatnonzero((samples["split"] == split) & (samples["label"] == label))
            np.testing.assert_array_equal(small_dataset.indices(split, label), expected)
    assert len(small_dataset.indices("train", 99)) == len(small_dataset.indices("test")) == 0
    small_dataset.indices("train", 0)[:] = -1  # a copy: nobody spoils it for the next
    assert small_dataset.indices("train", 0).min() >= 0


def test_subset_takes_first_ids_first_images_and_renumbers(small_dataset):
    subset = small_dataset.subset(classes=["colour 2", "n00000000"], per_class=5)
    assert [item.name for item in subset.classes] == ["colour 0", "colour 2"]
    assert subset.train_labels.tolist() == [0] * 5 + [1] * 5
    assert (small_dataset.samples["label"][subset.train] == [0] * 5 + [2] * 5).all()
    assert subset.train.tolist()[:5] == small_dataset.indices("train", 0)[:5].tolist()
    assert len(subset.val) == 8
    held = small_dataset.subset(hold_out=1)
    assert [item.name for item in held.held_out] == ["colour 2"] and len(held.classes) == 2


def test_subset_of_one_class_or_of_unknown_ones_is_refused(small_dataset):
    for arguments, words in (
        (dict(classes=1), "At least two classes"),
        (dict(hold_out=2), "keep fewer for later"),
        (dict(classes=9), "has 3 classes; 9 were asked for"),
        (dict(classes=["zebra", "colour 1"]), "no class 'zebra'"),
    ):
        with pytest.raises(UserError, match=words):
            small_dataset.subset(**arguments)


def test_removed_dataset_is_gone_and_others_stay(small_dataset):
    write_small_dataset("other")
    remove_dataset("small")
    assert list_datasets() == ["other"]
    assert [item.name for item in data_folder().iterdir()] == ["other"]
    for function in (remove_dataset, open_dataset):
        with pytest.raises(UserError, match="no prepared dataset 'small'"):
            function("small")


def truncate(folder):
    os.truncate(folder / "images.npy", 5000)


def drop_images(folder):
    os.truncate(folder / "images.npy", 0)


def spoil_table(folder):
    (folder / "samples.parquet").write_bytes(b"PAR1 not really")


def spoil_description(folder):
    (folder / "dataset.json").write_text('{"format": 1, "classes"', encoding="utf-8")


def swap_table(folder):
    write_small_dataset("larger", train=13)
    os.replace(folder.parent / "larger" / "samples.parquet", folder / "samples.parquet")


@pytest.mark.parametrize(
    "damage", [truncate, drop_images, spoil_table, spoil_description, swap_table]
)
def test_damaged_dataset_is_one_sentence_and_can_be_removed(small_dataset, damage):
    damage(small_dataset.folder)
    with pytest.raises(UserError, match=r"'small' is damaged.*prepare it again"):
        open_dataset("small")
    remove_dataset("small")


def test_dataset_of_a_newer_version_is_refused(small_dataset):
    file = small_dataset.folder / "dataset.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | dict(format=99)), encoding="utf-8")
    with pytest.raises(UserError, match="newer version"):
        open_dataset("small")
