"""One's own photo: upright, cut to a square within it, and its heat map at full resolution."""

import io

import numpy as np
import pytest
from PIL import Image

from tinymodel.errors import UserError
from tinymodel.explain.photo import LONGEST, Crop, open_photo


def encoded(image: Image.Image, form: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def halves(width: int = 120, height: int = 80) -> Image.Image:
    """Left red, right blue."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 200
    pixels[:, width // 2 :, 2] = 200
    return Image.fromarray(pixels)


def test_a_photo_is_turned_as_its_exif_says():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90° clockwise to see it upright
    photo = open_photo(encoded(halves(), "JPEG", exif=exif, quality=95), "x.jpg")
    assert photo.pixels.shape == (120, 80, 3)
    assert photo.pixels[10, 40, 0] > 150  # red is at the top now
    assert photo.pixels[110, 40, 2] > 150


def test_a_large_photo_is_shrunk_and_a_small_one_is_left_alone():
    large = open_photo(encoded(Image.new("RGB", (4000, 1000)), "JPEG"), "x.jpg")
    assert large.pixels.shape == (LONGEST // 4, LONGEST, 3)
    assert open_photo(encoded(halves()), "x.png").pixels.shape == (80, 120, 3)


@pytest.mark.parametrize(
    ("image", "form", "colour"),
    [
        (Image.new("CMYK", (64, 64), (255, 0, 0, 0)), "JPEG", (0, 255, 255)),
        (Image.fromarray(np.full((64, 64), 32768, np.uint16)), "PNG", (128, 128, 128)),
        (Image.new("L", (64, 64), 70), "PNG", (70, 70, 70)),
        (Image.new("RGBA", (64, 64), (200, 0, 0, 0)), "PNG", (255, 255, 255)),
        (Image.new("1", (64, 64), 1), "PNG", (255, 255, 255)),
    ],
)
def test_unusual_colours_become_rgb(image, form, colour):
    photo = open_photo(encoded(image, form), "x")
    np.testing.assert_allclose(photo.pixels[32, 32].astype(int), colour, atol=8)


def test_a_palette_with_a_transparent_colour_lies_on_white():
    image = Image.new("P", (64, 64), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    photo = open_photo(encoded(image, transparency=1), "x.png")
    assert photo.pixels[5, 5].tolist() == [255, 255, 255]


def test_of_an_animation_the_first_frame_is_used_and_that_is_said():
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    photo = open_photo(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), "x.gif")
    assert photo.pixels[5, 5].tolist() == [255, 0, 0]
    assert photo.note == "This picture moves; only its first frame is used."
    assert not open_photo(encoded(halves()), "x.png").note


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The file 'x' is empty; choose another picture."),
        (b"hello", "is not an image that can be read"),
        (encoded(halves())[:150], "is broken"),
        (encoded(Image.new("RGB", (3, 3))), "has only 3×3 pixels; choose a larger one."),
        (encoded(Image.new("1", (9000, 8000))), "has 72 megapixels, which is too many"),
    ],
)
def test_what_cannot_be_used_is_said(data, sentence):
    with pytest.raises(UserError, match=sentence):
        open_photo(data, "x")


def test_the_square_stays_within_the_photo_whatever_is_asked_for():
    photo = open_photo(encoded(halves(200, 100)), "x.png")
    assert photo.middle == Crop(50, 0, 100)
    assert photo.within(10, 20, 70) == Crop(10, 20, 70)
    assert photo.within(-50, 1e9, 70) == Crop(0, 30, 70)
    assert photo.within(0, 0, 1e9) == Crop(0, 0, 100)
    assert photo.within(0, 0, 1).side == 64
    tiny = open_photo(encoded(halves(20, 12)), "x.png")
    assert tiny.within(5, 5, 64) == Crop(5, 0, 12)


def test_the_network_sees_the_square_alone():
    photo = open_photo(encoded(halves(200, 100)), "x.png")
    seen = photo.seen(Crop(0, 0, 100))
    assert seen.shape == (64, 64, 3)
    assert (seen[..., 0] == 200).all()
    assert (seen[..., 2] == 0).all()


def test_the_heat_lies_over_the_square_at_the_photos_own_resolution():
    photo = open_photo(encoded(halves(1200, 600)), "x.png")
    heat = np.zeros((8, 8), np.float32)
    heat[0, 0] = 1
    drawn = photo.overlay(Crop(300, 0, 600), heat, opacity=1.0, smooth=False)
    assert drawn.shape == (600, 600, 3)
    assert drawn[2, 2].tolist() == [252, 255, 164]  # the hottest colour, in the square's corner
    assert drawn[500, 500].tolist() == [0, 0, 4]  # the coldest
    bare = photo.overlay(Crop(300, 0, 600), heat, opacity=0.0, smooth=False)
    np.testing.assert_array_equal(bare, photo.pixels[:, 300:900])  # every pixel of the photo
