"""Official Tiny ImageNet from a zip and from a folder, whole and broken in every way we could think of."""

import errno
import io
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tinymodel.__main__ import main
from tinymodel.data import prepared, tiny_imagenet
from tinymodel.data.file_tree import FileTree
from tinymodel.data.prepared import list_datasets, open_dataset
from tinymodel.data.tiny_imagenet import disk_needed, prepare_tiny_imagenet
from tinymodel.errors import UserError
from tinymodel.paths import archive_path, data_folder

FISH, FROG, TRACTOR = "n01443537", "n01641577", "n04465501"
ROOT = "tiny-imagenet-200/"


def jpeg(colour=(200, 100, 50), mode="RGB", size=(64, 64)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).convert(mode).save(stream, "JPEG")
    return stream.getvalue()


def small_archive(train: int = 12, val: int = 4) -> dict[str, bytes]:
    """The files of an archive in the official layout with three classes, ids in no useful order."""
    files = {
        "wnids.txt": f"{TRACTOR}\n{FISH}\n{FROG}\n",
        "words.txt": f"n00001740\tentity\n{FISH}\tgoldfish, Carassius auratus\n{FROG}\tbullfrog\n{TRACTOR}\ttractor\n",
        "test/images/test_0.JPEG": jpeg(),
    }
    table = []
    for label, wnid in enumerate((FISH, FROG, TRACTOR)):
        boxes = []
        for i in range(train):
            files[f"train/{wnid}/images/{wnid}_{i}.JPEG"] = jpeg((80 * label, 10 * i, 200))
            boxes.append(f"{wnid}_{i}.JPEG\t{i}\t2\t{40 + i}\t63\n")
        files[f"train/{wnid}/{wnid}_boxes.txt"] = "".join(boxes)
        for i in range(val):
            name = f"val_{3 * i + label}.JPEG"
            files[f"val/images/{name}"] = jpeg((80 * label, 10 * i, 100))
            table.append(f"{name}\t{wnid}\t0\t32\t44\t62\n")
    files["val/val_annotations.txt"] = "".join(table)
    return {
        ROOT + name: content.encode() if isinstance(content, str) else content
        for name, content in files.items()
    }


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def leftovers() -> list[str]:
    return sorted(item.name for item in data_folder().iterdir()) if data_folder().is_dir() else []


@pytest.fixture
def archive(folders) -> Path:
    return write_zip(folders / "tiny.zip", small_archive())


def test_zip_and_extracted_folder_give_the_same_dataset(folders, archive):
    first = prepare_tiny_imagenet(archive, "zip")
    second = prepare_tiny_imagenet(write_folder(folders / "out", small_archive()), "folder")
    third = prepare_tiny_imagenet(folders / "out" / ROOT, "inner", workers=1)
    assert first.fingerprint == second.fingerprint == third.fingerprint
    for other in (second, third):
        np.testing.assert_array_equal(first.images, other.images)
        pd.testing.assert_frame_equal(first.samples, other.samples)
    assert first.info["counts"] == dict(train=36, val=12)
    assert leftovers() == ["folder", "inner", "zip"]


def test_classes_are_sorted_by_id_and_named_by_their_first_synonym(archive):
    dataset = prepare_tiny_imagenet(archive)
    assert [(item.wnid, item.name) for item in dataset.classes] == [
        (FISH, "goldfish"),
        (FROG, "bullfrog"),
        (TRACTOR, "tractor"),
    ]
    assert dataset.classes[0].description == "goldfish, Carassius auratus"


def test_every_image_keeps_its_label_colours_and_box(archive):
    dataset = prepare_tiny_imagenet(archive)
    rows = dataset.samples.reset_index()
    for split, blue in (("train", 200), ("val", 100)):
        part = rows[rows["split"] == split]
        for row in part.itertuples():
            number = int(row.source.split("_")[-1].removesuffix(".JPEG"))
            number = number if split == "train" else number // 3
            expected = [80 * row.label, 10 * number, blue]
            np.testing.assert_allclose(dataset.images[row.index].mean((0, 1)), expected, atol=3)
            box = (number, 2, 40 + number, 63) if split == "train" else (0, 32, 44, 62)
            assert (row.x0, row.y0, row.x1, row.y1) == box
    train = rows[(rows["split"] == "train") & (rows["label"] == 1)]
    assert [name.split("_")[-1] for name in train["source"]] == [f"{i}.JPEG" for i in range(12)]


def test_mean_and_spread_are_those_of_the_training_images(archive):
    dataset = prepare_tiny_imagenet(archive)
    train = dataset.images[dataset.indices("train")] / 255
    np.testing.assert_allclose(dataset.mean, train.mean((0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(dataset.std, train.std((0, 1, 2)), rtol=1e-9)


def test_image_without_a_box_and_greyscale_images_are_kept(folders):
    files = small_archive()
    files[f"{ROOT}train/{FISH}/images/{FISH}_500.JPEG"] = jpeg((90, 90, 90), "L")
    dataset = prepare_tiny_imagenet(write_zip(folders / "tiny.zip", files))
    row = dataset.indices("train", 0)[-1]
    assert dataset.samples.loc[row, ["x0", "y0", "x1", "y1"]].isna().all()
    np.testing.assert_array_equal(dataset.images[row], 90)


def test_progress_ends_at_one_and_stopping_leaves_nothing(archive):
    seen = []
    prepare_tiny_imagenet(archive, "whole", progress=lambda *report: seen.append(report))
    assert seen[-1] == (1.0, "Read 48 of 48 images")

    class Stopped(Exception):
        pass

    def stop(fraction, message):
        raise Stopped

    with pytest.raises(Stopped):
        prepare_tiny_imagenet(archive, "stopped", progress=stop)
    assert leftovers() == ["whole"]
    prepare_tiny_imagenet(archive, "stopped")


def remove(name):
    return lambda files: files.pop(ROOT + name)


def put(name, content):
    return lambda files: files.update({ROOT + name: content})


BOXES = f"train/{FISH}/{FISH}_boxes.txt"
TABLE = "val/val_annotations.txt"
# What is wrong → what to do to the files of a good archive, then what the sentence must say.
BAD_ARCHIVES = {
    "no wnids": (remove("wnids.txt"), "no wnids.txt in it", "choose the official zip"),
    "empty wnids": (put("wnids.txt", b"\n"), "wnids.txt", "fewer than two"),
    "malformed wnids": (
        put("wnids.txt", f"{FISH}\nfrog\n".encode()),
        "Line 2 of",
        "wnids.txt",
        "'frog'",
    ),
    "repeated wnids": (
        put("wnids.txt", f"{FISH}\n{FISH}\n".encode()),
        "Line 2 of",
        "wnids.txt",
        "new",
    ),
    "no words": (remove("words.txt"), "words.txt is missing"),
    "malformed words": (put("words.txt", b"n01443537 goldfish\n"), "Line 1 of", "words.txt", "tab"),
    "binary words": (put("words.txt", b"\xff\xfe\x00\x01"), "words.txt", "not a text file"),
    "words without a class": (put("words.txt", f"{FISH}\tgoldfish\n".encode()), "no name", TRACTOR),
    "no boxes": (remove(BOXES), f"{FISH}_boxes.txt is missing"),
    "short box": (put(BOXES, f"{FISH}_0.JPEG\t1\t2\t3\n".encode()), "Line 1", f"{FISH}_boxes.txt"),
    "box outside": (put(BOXES, f"{FISH}_0.JPEG\t1\t2\t64\t3\n".encode()), f"{FISH}_boxes.txt"),
    "box inside out": (put(BOXES, f"{FISH}_0.JPEG\t9\t2\t8\t3\n".encode()), f"{FISH}_boxes.txt"),
    "no table": (remove(TABLE), "val_annotations.txt is missing"),
    "table of an unknown class": (
        put(TABLE, b"val_0.JPEG\tn99999999\t0\t0\t9\t9\n"),
        "Line 1",
        "val_annotations.txt",
    ),
    "table without an image": (
        put(TABLE, f"val_0.JPEG\t{FISH}\t0\t0\t9\t9\n".encode()),
        "no line in val_annotations.txt",
        "val_1.JPEG",
    ),
    "class without training images": (
        lambda files: [files.pop(name) for name in list(files) if f"/{FROG}/images/" in name],
        FROG,
        "bullfrog",
        f"train/{FROG}/images",
    ),
    "class without validation images": (
        lambda files: [files.pop(f"{ROOT}val/images/val_{3 * i}.JPEG") for i in range(4)],
        FISH,
        "val/images",
    ),
    "entry that climbs out": (
        lambda files: files.update({"../../etc/evil.txt": b"evil"}),
        "climbs out",
        "../../etc/evil.txt",
    ),
    "entry with an absolute path": (lambda files: files.update({"/etc/evil": b""}), "climbs out"),
    "entry with a drive": (lambda files: files.update({"C:\\evil.txt": b""}), "climbs out"),
    "too many broken images": (
        put(f"train/{FISH}/images/{FISH}_3.JPEG", b"not an image"),
        put(f"train/{FISH}/images/{FISH}_4.JPEG", b""),
        put(f"train/{FISH}/images/{FISH}_5.JPEG", jpeg(size=(32, 64))),
        "3 of its 48 images",
        f"{FISH}_3.JPEG (it is not an image",
    ),
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_bad_archive_is_refused_with_one_sentence_that_names_the_file(folders, case):
    files = small_archive()
    words = [part for part in BAD_ARCHIVES[case] if isinstance(part, str)]
    for change in BAD_ARCHIVES[case][: -len(words)]:
        change(files)
    source = write_zip(folders / "tiny.zip", files)
    with pytest.raises(UserError) as caught:
        prepare_tiny_imagenet(source)
    sentence = str(caught.value)
    assert all(word in sentence for word in [*words, "tiny.zip"]), sentence
    assert sentence.endswith(".") and "\n" not in sentence
    assert leftovers() == []


def test_truncated_foreign_and_absent_archives_are_refused(folders, archive, capsys):
    half = folders / "half.zip"
    half.write_bytes(archive.read_bytes()[:20_000])
    page = folders / "page.zip"
    page.write_text("<html>404</html>")
    other = write_zip(folders / "other.zip", {"cat.jpg": jpeg()})
    empty = folders / "empty"
    empty.mkdir()
    for source, words in (
        (half, "half.zip is not a zip file or only part of one"),
        (page, "page.zip is not a zip file"),
        (other, "other.zip is not Tiny ImageNet"),
        (empty, "empty is not Tiny ImageNet"),
        (folders / "none.zip", "There is no file or folder"),
    ):
        with pytest.raises(UserError, match=words):
            disk_needed(source)
        assert main(["prepare", "--archive", str(source)]) == 2
        error = capsys.readouterr().err
        assert words in error and "Traceback" not in error
    assert leftovers() == []


def test_few_broken_images_are_left_out_and_named(folders):
    files = small_archive()
    name = f"{ROOT}train/{FISH}/images/{FISH}_3.JPEG"
    files[name] = files[name][:200]
    empty = f"{ROOT}val/images/val_0.JPEG"
    files[empty] = b""
    dataset = prepare_tiny_imagenet(write_zip(folders / "tiny.zip", files))
    assert {item["source"] for item in dataset.left_out} == {name, empty}
    reasons = {item["source"]: item["reason"] for item in dataset.left_out}
    assert "is broken" in reasons[name] and reasons[empty] == "is empty"
    assert dataset.info["counts"] == dict(train=35, val=11)
    sources = dataset.samples["source"].tolist()
    assert name.removeprefix(ROOT) not in sources
    last = sources.index(f"train/{FISH}/images/{FISH}_11.JPEG")  # nothing slipped by one
    np.testing.assert_allclose(dataset.images[last].mean((0, 1)), [0, 110, 200], atol=3)


def test_image_damaged_inside_the_zip_is_left_out(folders, archive):
    content = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as opened:
        entry = opened.getinfo(f"{ROOT}train/{FROG}/images/{FROG}_7.JPEG")
    content[entry.header_offset + 400] ^= 0xFF
    archive.write_bytes(content)
    dataset = prepare_tiny_imagenet(archive)
    (item,) = dataset.left_out
    assert f"{FROG}_7.JPEG" in item["source"] and "damaged in the zip" in item["reason"]


def test_second_preparation_is_refused_and_the_first_untouched(folders, archive):
    first = prepare_tiny_imagenet(archive)
    files = {item: item.stat().st_mtime_ns for item in first.folder.iterdir()}
    with pytest.raises(UserError, match="'tiny-imagenet' is already prepared"):
        prepare_tiny_imagenet(archive)
    assert files == {item: item.stat().st_mtime_ns for item in first.folder.iterdir()}
    broken = small_archive()
    broken[ROOT + "words.txt"] = b"nothing"
    with pytest.raises(UserError):
        prepare_tiny_imagenet(write_zip(folders / "bad.zip", broken), replace=True)
    assert files == {item: item.stat().st_mtime_ns for item in first.folder.iterdir()}
    larger = write_zip(folders / "larger.zip", small_archive(train=13))
    assert prepare_tiny_imagenet(larger, replace=True).info["counts"]["train"] == 39
    assert leftovers() == ["tiny-imagenet"]


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is a file on a full disk")
def test_full_disk_is_one_sentence_and_leaves_nothing(archive, monkeypatch):
    def open_full(*_):
        return open("/dev/full", "wb")

    monkeypatch.setattr(prepared, "open", open_full, raising=False)
    with pytest.raises(UserError, match="The disk became full"):
        prepare_tiny_imagenet(archive)
    assert leftovers() == []


def test_disk_that_fills_up_at_the_very_end_leaves_the_previous_dataset(archive, monkeypatch):
    first = prepare_tiny_imagenet(archive).images.copy()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    with pytest.raises(UserError, match="The disk became full"):
        prepare_tiny_imagenet(archive, replace=True)
    assert leftovers() == ["tiny-imagenet"]
    np.testing.assert_array_equal(open_dataset("tiny-imagenet").images, first)


def test_too_little_free_space_is_said_before_it_starts(archive, monkeypatch):
    needed = disk_needed(archive)
    assert 48 * 12_288 < needed < 48 * 12_288 + 200_000
    monkeypatch.setattr("tinymodel.data.disk.free_bytes", lambda: needed - 1)
    with pytest.raises(UserError, match=r"needs \d+ kB of disk space and only \d+ kB are free"):
        prepare_tiny_imagenet(archive)
    assert leftovers() == []


def test_death_of_a_decoding_process_is_one_sentence(archive, monkeypatch):
    monkeypatch.setattr("tinymodel.data.decoding.__file__", str(archive))  # Python cannot run it
    with pytest.raises(UserError, match="a process that reads pictures ended unexpectedly"):
        prepare_tiny_imagenet(archive)
    assert leftovers() == []


needs_archive = pytest.mark.skipif(
    not archive_path().is_file(), reason="the genuine archive is not there"
)


@needs_archive
def test_genuine_archive_is_understood_as_a_whole():
    with FileTree(archive_path()) as tree:
        classes, rows = tiny_imagenet._contents(tree)
    table = pd.DataFrame(rows.values())
    assert len({item.name for item in classes}) == len(classes) == 200
    assert classes[0].name == "goldfish"
    assert table.groupby("split")["label"].nunique().to_dict() == dict(train=200, val=200)
    assert not table.isna().any(axis=None)  # every image has a box
    images = sum(name.endswith(".JPEG") for name in tree.files if "/test/" not in name)
    assert len(table) == images


@needs_archive
def test_genuine_images_come_out_as_pillow_reads_them(folders):
    with FileTree(archive_path()) as tree:
        root = tiny_imagenet._root(tree)
        classes, rows = tiny_imagenet._contents(tree)
        kept = [classes[3].wnid, classes[150].wnid]
        files = {root + "words.txt": tree.read(root + "words.txt")}
        files[root + "wnids.txt"] = "\n".join(kept).encode()
        table = tree.read(root + "val/val_annotations.txt").decode().splitlines()
        lines = [line for line in table if line.split("\t")[1] in kept]
        files[root + "val/val_annotations.txt"] = "\n".join(lines).encode()
        for name in tree.files:
            if (name in rows and rows[name]["label"] in (3, 150)) or (
                name.endswith("_boxes.txt") and any(wnid in name for wnid in kept)
            ):
                files[name] = tree.read(name)
    dataset = prepare_tiny_imagenet(write_zip(folders / "two.zip", files))
    assert [item.wnid for item in dataset.classes] == kept
    assert not dataset.left_out
    for row in (0, 200, len(dataset.images) - 1):
        image = Image.open(io.BytesIO(files[root + dataset.samples["source"][row]])).convert("RGB")
        np.testing.assert_array_equal(dataset.images[row], np.asarray(image))


def test_large_dataset_opens_in_under_100_ms(folders, archive):
    folder = prepare_tiny_imagenet(archive, "large").folder
    samples = pd.read_parquet(folder / "samples.parquet")
    many = pd.concat([samples] * 2292, ignore_index=True)  # 110,016 rows, as many as the whole
    many["source"] = [f"{source}-{i}" for i, source in enumerate(many["source"])]
    many.to_parquet(folder / "samples.parquet", index=False)
    np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (len(many), 64, 64, 3))
    seconds = []
    for _ in range(7):
        started = time.perf_counter()
        dataset = open_dataset("large")
        seconds.append(time.perf_counter() - started)
    assert len(dataset.images) == 110_016
    assert min(seconds) < 0.1  # the others may have waited for the processor
    assert list_datasets() == ["large"]
