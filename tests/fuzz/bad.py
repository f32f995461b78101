"""Bad inputs, each made from a seed: the same seed gives the same input, on every machine."""

import functools
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from urllib.parse import quote

import numpy as np
from PIL import Image

STRINGS = (
    "",
    " ",
    "-1",
    "0",
    "1e309",
    "NaN",
    "None",
    "9" * 30,
    "9" * 5000,
    "1.5",
    "0x10",
    "²",
    "٣",
    "../../etc/passwd",
    "..\\..\\windows",
    "/etc/passwd",
    "C:\\con",
    "~root",
    "~nobody-here/x",
    ".",
    "..",
    ".hidden",
    "nul",
    "COM1.txt",
    "a/b",
    "a\x00b",
    "a\nb\r\nSet-Cookie: x=1",
    "\x1b[31mred",
    "\u202egnp.exe",
    "\ufeff",
    "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
    "é" * 300,
    "🦋" * 40,
    "x" * 5000,
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![](http://127.0.0.1:1/x.png)",
    "[click](javascript:alert(1))",
    "**bold** `code` $x^2$ :red[hi] :material/home:",
    "'; DROP TABLE runs; --",
    "{{7*7}} ${7*7} %s %d {0}",
    "run:a.b.c,run:a.1.2",
    "0-100-200",
    "100-0",
    "-5--1",
    ",,,,",
    "a,b,c" * 200,
    "true",
    "[]",
    '{"a": 1}',
    "%00%ff%zz",
    "&run=x&run=y",
    "#fragment?query=1",
)


def text(rng: np.random.Generator) -> str:
    """A string that somebody might type to see what happens."""
    kind = rng.integers(4)
    if kind < 2:
        return STRINGS[rng.integers(len(STRINGS))]
    if kind == 2:  # any letters of any script
        points = rng.integers(1, 0x3000, rng.integers(1, 30))
        return "".join(chr(point) for point in points)
    return text(rng)[: rng.integers(1, 40)] + text(rng)[: rng.integers(1, 40)]


def broken(rng: np.random.Generator, data: bytes) -> bytes:
    """The data cut short, with bits turned, with parts doubled, moved or filled; or, seldom, as it is."""
    if not data:
        return data
    values = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        place, length = rng.integers(len(values)), rng.integers(1, 64)
        match rng.integers(6):
            case 0:
                del values[place:]
            case 1:
                values[place] ^= 1 << rng.integers(8)
            case 2:
                values[place : place + length] = rng.bytes(length)
            case 3:
                values[place:place] = values[:length]
            case 4:
                values[place : place + 4] = b"\xff" * 4
            case 5:
                early = rng.integers(min(64, len(values)))  # headers are what is believed
                values[early] = rng.integers(256)
        if not values:
            break
    return bytes(values)


# Pictures


@functools.cache
def pictures() -> tuple[bytes, ...]:
    """Good ones of every kind."""
    noise = Image.effect_noise((40, 30), 90)
    colour = Image.merge("RGB", [noise, noise.rotate(90), noise.rotate(180)])
    wanted = [
        (colour, "PNG", {}),
        (colour, "JPEG", {}),
        (colour.convert("CMYK"), "JPEG", {}),
        (colour.convert("P"), "PNG", dict(transparency=0)),
        (colour.convert("LA"), "PNG", {}),
        (noise.convert("I;16"), "PNG", {}),
        (noise.convert("1"), "PNG", {}),
        (colour, "GIF", dict(save_all=True, append_images=[colour.rotate(90)] * 3)),
        (colour, "BMP", {}),
        (colour, "PPM", {}),
        (colour, "TIFF", dict(compression="tiff_deflate")),
        (noise.convert("F"), "TIFF", {}),
        (colour, "WEBP", {}),
        (colour, "TGA", {}),
        (colour, "JPEG2000", {}),
    ]
    found = []
    for image, kind, options in wanted:
        stream = io.BytesIO()
        try:
            image.save(stream, kind, **options)
        except (OSError, KeyError, ValueError):  # a Pillow without it
            continue
        found.append(stream.getvalue())
    return tuple(found)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    """A few hundred bytes that say they are so many pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(100_000)))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + pixels + png_chunk(b"IEND", b"")


def picture(rng: np.random.Generator) -> bytes:
    """What somebody might send as a photograph."""
    match rng.integers(12):
        case 0:
            return text(rng).encode("utf-8", "replace")
        case 1:
            return rng.bytes(rng.integers(0, 400))
        case 2:
            sizes = (0, 1, 7, 65_535, 30_000, 2**31 - 1)
            width, height = rng.choice(sizes, 2)
            return png_bomb(
                int(width), int(height), int(rng.choice([1, 8, 16])), int(rng.integers(8))
            )
        case 3:
            return b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg">' + text(
                rng
            ).encode("utf-8", "replace")
        case 4:  # the head of one kind and the body of another
            first, second = (pictures()[i] for i in rng.integers(len(pictures()), size=2))
            return first[: rng.integers(1, 40)] + second[rng.integers(40) :]
        case _:
            return broken(rng, pictures()[rng.integers(len(pictures()))])


# Zips


def zip_of(files: dict[str, bytes], rng: np.random.Generator | None = None) -> bytes:
    """A zip; with a generator, one with flaws that `zipfile` would not write."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            if rng is not None and rng.integers(8) == 0:
                entry.external_attr = 0o120777 << 16  # a symbolic link
            archive.writestr(entry, data)
    content = bytearray(stream.getvalue())
    if rng is not None and rng.integers(3) == 0:  # in the table of contents: sizes, flags, methods
        place = content.rfind(b"PK\x01\x02")
        field = int(rng.choice([8, 10, 16, 20, 24, 28, 42]))
        content[place + field : place + field + 2] = rng.bytes(2)
    return bytes(content)


def name_in_zip(rng: np.random.Generator, good: list[str]) -> str:
    """Of an entry: mostly a good one, else one that climbs out, is hidden, or is no name anywhere."""
    if rng.integers(3):
        return good[rng.integers(len(good))]
    shapes = (
        "../{}",
        "/{}",
        "C:/{}",
        "{}/../../x",
        "a/{}/b.png",
        ".{}",
        "{}",
        "{}\\x",
        "cat/{}.png",
    )
    return shapes[rng.integers(len(shapes))].format(text(rng)[:100]) or "x"


def pictures_zip(rng: np.random.Generator) -> bytes:
    """What somebody might send as folders of pictures."""
    good = [f"{name}/{number}.png" for name in ("cat", "dog") for number in range(3)]
    files = {name: pictures()[0] for name in good if rng.integers(12)}
    for _ in range(rng.integers(0, 4)):
        files[name_in_zip(rng, good)] = picture(rng)
    if rng.integers(8) == 0:
        files["cat/large.png"] = bytes(3_000_000)  # a thousand times smaller in the zip
    content = zip_of(files, rng)
    return broken(rng, content) if rng.integers(3) == 0 else content


def run_zip(rng: np.random.Generator, run: dict[str, bytes]) -> bytes:
    """What somebody might send as a run, made from the files of a good one."""
    files = {f"a-run/{name}": data for name, data in run.items()}
    for _ in range(rng.integers(1, 3)):
        name = list(files)[rng.integers(len(files))]
        match rng.integers(5):
            case 0:
                files[name] = broken(rng, files[name])
            case 1:
                del files[name]
                if not files:
                    files["x"] = b""
            case 2:
                files[name_in_zip(rng, list(files))] = picture(rng)
            case 3:
                files[name] = picture(rng)
            case 4 if "a-run/run.json" in files:
                files["a-run/run.json"] = broken_json(rng, run["run.json"])
    content = zip_of(files, rng)
    return broken(rng, content) if rng.integers(4) == 0 else content


def value(rng: np.random.Generator):
    """Anything that JSON can say."""
    choices = (None, True, -1, 0, 1e300, 10**30, "", [], {}, [[]], {"a": {}}, float("nan"))
    return text(rng) if rng.integers(3) == 0 else choices[rng.integers(len(choices))]


def broken_json(rng: np.random.Generator, data: bytes) -> bytes:
    """A good document with one value, somewhere in it, changed or gone."""
    whole = json.loads(data)
    place = whole
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = keys[rng.integers(len(keys))]
        if isinstance(place[key], (dict, list)) and place[key] and rng.integers(3):
            place = place[key]
            continue
        if rng.integers(4):
            place[key] = value(rng)
        else:
            del place[key]
        break
    return json.dumps(whole).encode()


# Addresses


def address(rng: np.random.Generator, names: tuple[str, ...], good: dict[str, list[str]]) -> str:
    """A query string of some of these names, with values of which some are good."""
    parts = []
    for _ in range(rng.integers(1, 6)):
        name = names[rng.integers(len(names))] if rng.integers(10) else text(rng)[:40]
        known = good.get(name, [])
        chosen = known[rng.integers(len(known))] if known and rng.integers(3) == 0 else text(rng)
        parts.append(f"{quote(name)}={quote(chosen[:2000])}")
    return "&".join(parts)


def each(
    count: int, seed: int, make: Callable[[np.random.Generator], object]
) -> Iterator[tuple[str, object]]:
    """`count` inputs, each with how it is made again."""
    for number in range(count):
        yield f"seed [{seed}, {number}]", make(np.random.default_rng([seed, number]))
