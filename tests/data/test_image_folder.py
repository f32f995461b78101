"""One's own pictures: any size, any format, any mess."""

import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinymodel.__main__ import main
from tinymodel.data.decoding import Unreadable, decode
from tinymodel.data.image_folder import disk_needed, prepare_folder, prepare_zip
from tinymodel.data.pictures import most_left_out
from tinymodel.errors import UserError
from tinymodel.paths import data_folder


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def plain(colour=(200, 100, 50), size=(80, 60)) -> bytes:
    return encoded(Image.new("RGB", size, colour), "PNG")


def make_folder(path: Path, counts: dict[str, int]) -> Path:
    for label, (name, count) in enumerate(counts.items()):
        (path / name).mkdir(parents=True)
        for i in range(count):
            (path / name / f"{i}.png").write_bytes(plain((60 * label, 5 * i, 99)))
    return path


@pytest.fixture
def pets(folders) -> Path:
    return make_folder(folders / "pets", dict(cat=20, dog=10))


def pack(folder: Path, file) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for item in sorted(folder.rglob("*")):
            archive.write(item, item.relative_to(folder.parent))


def leftovers() -> list[str]:
    return [item.name for item in data_folder().iterdir()] if data_folder().is_dir() else []


def test_one_folder_a_class_becomes_a_dataset_split_by_a_seeded_fraction(pets):
    dataset = prepare_folder(pets, "pets")
    assert [item.name for item in dataset.classes] == ["cat", "dog"]
    sizes = {(s, k): len(dataset.indices(s, k)) for s in ("train", "val") for k in (0, 1)}
    assert sizes == {("train", 0): 16, ("val", 0): 4, ("train", 1): 8, ("val", 1): 2}
    for row in dataset.samples.itertuples():
        colour = dataset.images[row.Index].mean((0, 1))
        assert colour.tolist() == [60 * row.label, 5 * int(Path(row.source).stem), 99]
    again = prepare_folder(pets, "again")
    other = prepare_folder(pets, "other", seed=1)
    assert (again.samples["split"] == dataset.samples["split"]).all()
    assert not (other.samples["split"] == dataset.samples["split"]).all()
    assert dataset.fingerprint == again.fingerprint != other.fingerprint


def test_upload_gives_the_same_dataset_as_its_folder(pets):
    upload = io.BytesIO()
    pack(pets, upload)
    first = prepare_folder(pets, "folder")
    second = prepare_zip(upload, "upload", title="pets.zip")  # packed with the folder around it
    np.testing.assert_array_equal(first.images, second.images)
    assert (first.samples["split"] == second.samples["split"]).all()
    assert disk_needed(pets) == disk_needed(upload, "pets.zip") > 30 * 12_288


def test_every_class_has_a_picture_on_either_side_whatever_the_fraction(folders):
    source = make_folder(folders / "few", dict(a=2, b=3))
    for i, fraction in enumerate((0.01, 0.99)):
        dataset = prepare_folder(source, f"few-{i}", validation=fraction)
        for label in (0, 1):
            assert len(dataset.indices("train", label)) and len(dataset.indices("val", label))
    with pytest.raises(UserError, match="between 0 and 1"):
        prepare_folder(source, "never", validation=1.0)


def test_centre_square_is_cut_out_of_any_format():
    stripes = np.zeros((60, 100, 3), np.uint8)
    stripes[:, :20], stripes[:, 80:] = (255, 0, 0), (0, 0, 255)  # beyond the central square
    stripes[:, 20:80] = (0, 200, 0)
    image = Image.fromarray(stripes)
    for kind, options in (
        ("PNG", {}),
        ("BMP", {}),
        ("WEBP", dict(lossless=True)),
        ("TIFF", {}),
        ("GIF", {}),
        ("JPEG", dict(quality=95, subsampling=0)),
    ):
        pixels = decode(encoded(image, kind, **options)).astype(int)
        assert np.abs(pixels[:, 2:-2] - (0, 200, 0)).max() < 6, kind


def test_photograph_lying_on_its_side_is_turned_as_exif_says():
    image = Image.new("RGB", (400, 400), "black")
    image.paste("white", (0, 0, 400, 200))  # white above
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned a quarter to the right
    pixels = decode(encoded(image, "JPEG", exif=exif))
    assert pixels[:, 40:].min() > 240 and pixels[:, :24].max() < 15


def test_deep_transparent_and_printing_colours_come_out_right():
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    pixels = decode(encoded(Image.fromarray(ramp), "PNG"))
    np.testing.assert_allclose(pixels[..., 0], ramp / 257, atol=1)
    clear = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    assert (decode(encoded(clear, "PNG")) == 255).all()
    cmyk = Image.new("CMYK", (64, 64), (0, 255, 255, 0))
    assert np.abs(decode(encoded(cmyk, "JPEG")).astype(int) - (255, 0, 0)).max() < 6


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


BAD_PICTURES = {
    "empty.jpg": (b"", "is empty"),
    "text.jpg": (b"just a text", "is not an image"),
    "half.png": (plain()[:100], "is broken"),
    "bomb.png": (png_that_claims(12_000, 12_000), "has 144 megapixels"),
    "big-bomb.png": (png_that_claims(60_000, 60_000), "megapixels"),
}


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_bad_picture_says_what_is_wrong(name):
    content, reason = BAD_PICTURES[name]
    with pytest.raises(Unreadable, match=reason):
        decode(content)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", BAD_PICTURES)
def test_one_bad_picture_among_twenty_is_left_out_and_named(pets, name):
    content, reason = BAD_PICTURES[name]
    (pets / "cat" / name).write_bytes(content)
    dataset = prepare_folder(pets, "pets")
    (item,) = dataset.left_out
    assert item["source"] == f"cat/{name}" and reason in item["reason"]
    assert len(dataset.images) == 30


def test_more_bad_pictures_are_refused_with_the_first_named(pets):
    for i in range(4):
        (pets / "dog" / f"x{i}.jpg").write_bytes(b"no picture")
    with pytest.raises(
        UserError, match=r"4 of its 34 images.*dog/x0.jpg \(it is not an image that"
    ):
        prepare_folder(pets, "pets")
    assert leftovers() == []


@pytest.mark.parametrize(
    ("count", "most"), [(5, 0), (10, 1), (20, 2), (150, 2), (300, 3), (85_000, 850)]
)
def test_how_many_may_be_broken(count, most):
    assert most_left_out(count) == most


def test_class_that_broken_pictures_leave_empty_is_refused(folders):
    source = make_folder(folders / "pets", dict(cat=20, dog=1))
    (source / "dog" / "7.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"image of the class 'dog' once broken ones like dog/7"):
        prepare_folder(source, "pets")


def test_clutter_is_ignored_and_stray_files_are_named(pets):
    for name in (".DS_Store", "cat/Thumbs.db", "cat/.hidden.png", "stray.png"):
        (pets / name).write_bytes(b"x")
    (pets / "__MACOSX").mkdir()
    dataset = prepare_folder(pets, "pets")
    assert dataset.left_out == [dict(source="stray.png", reason="lies in no class folder")]
    assert len(dataset.classes) == 2


def add_empty_class(pets):
    (pets / "bird").mkdir()


def add_lonely_picture(pets):
    (pets / "bird").mkdir()
    (pets / "bird" / "1.png").write_bytes(plain())


def remove_a_class(pets):
    for item in (pets / "dog").iterdir():
        item.unlink()
    (pets / "dog").rmdir()


def split_already(pets):
    (pets / "cat").rename(pets / "train")
    (pets / "dog").rename(pets / "val")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (add_empty_class, "class folder 'bird' in pets.* has no picture"),
        (add_lonely_picture, "class folder 'bird' in pets.* has only one picture"),
        (remove_a_class, "pets.* has 1 class folder, and two are the least"),
        (split_already, "pets.* is split into train and val"),
    ],
)
def test_folders_that_are_no_classes_are_refused(pets, change, words, capsys):
    change(pets)
    with pytest.raises(UserError, match=words):
        prepare_folder(pets, "pets")
    upload = io.BytesIO()
    pack(pets, upload)
    with pytest.raises(UserError, match=words):
        prepare_zip(upload, "pets", title="pets.zip")
    assert main(["prepare", "--folder", str(pets)]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert leftovers() == []


def test_upload_that_climbs_out_is_damaged_or_locked_is_refused(folders):
    climbing = io.BytesIO()
    with zipfile.ZipFile(climbing, "w") as archive:
        archive.writestr("cat/../../evil.png", plain())
    with pytest.raises(UserError, match=r"x\.zip has an entry that climbs out"):
        prepare_zip(climbing, "x", title="x.zip")
    with pytest.raises(UserError, match=r"x\.zip is not a zip file"):
        prepare_zip(io.BytesIO(b"PK\x03\x04 nothing more"), "x", title="x.zip")
    assert leftovers() == []


def test_zip_bomb_is_left_alone(pets, monkeypatch):
    upload = io.BytesIO()
    pack(pets, upload)
    with zipfile.ZipFile(upload, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pets/cat/huge.png", bytes(3_000_000))
    monkeypatch.setattr("tinymodel.data.file_tree.MAX_BYTES", 2_000_000)
    (item,) = prepare_zip(upload, "pets", title="pets.zip").left_out
    assert item == dict(source="pets/cat/huge.png", reason="is larger than 2 MB")


def test_windows_zip_with_backslashes_is_understood(folders):
    upload = io.BytesIO()
    with zipfile.ZipFile(upload, "w") as archive:
        for name in ("cat", "dog"):
            for i in range(2):
                archive.writestr(f"{name}\\{i}.png", plain())
    dataset = prepare_zip(upload, "pets", title="pets.zip")
    assert [item.name for item in dataset.classes] == ["cat", "dog"]
