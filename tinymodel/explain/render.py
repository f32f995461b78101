"""Heat maps as pictures: one colour scale, crisp or smooth, over the image as it was before normalisation."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Inferno (van der Walt and Smith 2015), ten of its colours, between which plotly's scale of that name is linear too:
# perceptually uniform, and readable in grey and by people with colour blindness.
INFERNO = np.array(
    [
        (0, 0, 4),
        (27, 12, 65),
        (74, 12, 107),
        (120, 28, 109),
        (165, 44, 96),
        (207, 68, 70),
        (237, 105, 37),
        (251, 155, 6),
        (247, 209, 61),
        (252, 255, 164),
    ],
    dtype=np.float32,
)
# For and against: Okabe and Ito's blue and vermillion with a light grey between, told apart by everybody.
DIVERGING = np.array([(0, 114, 178), (242, 242, 242), (213, 94, 0)], dtype=np.float32)
GAP = 12  # pixels between the pictures of a triptych


def scale(heat: np.ndarray, top: float | None = None) -> np.ndarray:
    """To [0, 1] by `top`, or its own maximum; a map without positive values stays zero. float32, same shape."""
    positive = np.maximum(heat, 0).astype(np.float32)
    top = positive.max() if top is None else top
    return np.minimum(positive / top, 1) if top > 0 else positive


def colour(values: np.ndarray, colours: np.ndarray = INFERNO) -> np.ndarray:
    """Values in [0, 1], (…), as colours of a scale, by default the heat scale: uint8 (…, 3)."""
    positions = np.linspace(0, 1, len(colours))
    channels = [np.interp(values, positions, colours[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def enlarge(values: np.ndarray, side: int, smooth: bool) -> np.ndarray:
    """A map (h, w) or picture uint8 (h, w, 3) at `side`×`side` pixels: whole cells repeated, or bicubic.

    Bicubic values of a map may lie a little below its least or above its greatest; bilinear ones show creases.
    """
    method = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(np.ascontiguousarray(values)).resize((side, side), method))


def heat_map(
    heat: np.ndarray, *, side: int = 512, smooth: bool = False, top: float | None = None
) -> np.ndarray:
    """A map float32 (h, w) as a picture, uint8 (side, side, 3); `top` as of `scale`."""
    return colour(enlarge(scale(heat, top), side, smooth))


def overlay(
    image: np.ndarray,
    heat: np.ndarray,
    *,
    opacity: float,
    side: int = 512,
    smooth: bool = False,
    top: float | None = None,
) -> np.ndarray:
    """The heat map over the image.

    Args:
        image: uint8 (n, n, 3), RGB, never normalised.
        heat: float32 (h, w), of any size.
        opacity: Of the heat map, in [0, 1]. A blank map hides nothing.
        top: As of `scale`.

    Returns:
        uint8 (side, side, 3).
    """
    below = enlarge(image, side, smooth)
    if not (heat > 0).any():
        return below
    above = heat_map(heat, side=side, smooth=smooth, top=top)
    return ((1 - opacity) * below + opacity * above.astype(np.float32)).round().astype(np.uint8)


def difference_map(
    difference: np.ndarray,
    *,
    image: np.ndarray | None = None,
    side: int = 512,
    smooth: bool = False,
    top: float | None = None,
) -> np.ndarray:
    """A signed map: orange where it is positive, blue where it is negative.

    Args:
        difference: float32 (h, w).
        image: uint8 (n, n, 3): laid under the map in grey, and seen where the difference is small.
        top: The size of a difference that gets the full colour; by default the greatest there is.

    Returns:
        uint8 (side, side, 3).
    """
    top = np.abs(difference).max() if top is None else top
    values = np.clip(difference / top, -1, 1) if top > 0 else np.zeros_like(difference)
    values = np.clip(enlarge(np.float32(values), side, smooth), -1, 1)
    colours = colour((values + 1) / 2, DIVERGING)
    if image is None:
        return colours
    grey = np.asarray(Image.fromarray(enlarge(image, side, smooth)).convert("L"), np.float32)
    strength = np.sqrt(np.abs(values))[..., None]
    return ((1 - strength) * grey[..., None] + strength * colours).round().astype(np.uint8)


def with_box(picture: np.ndarray, box: Sequence[int], colour: str) -> np.ndarray:
    """A copy of a picture with a box around these inclusive pixels of the 64×64 image, dark-rimmed to be seen anywhere.

    Args:
        picture: uint8 (n, n, 3), n a multiple of 64, at least 192.
        box: x0, y0, x1, y1.
    """
    image = Image.fromarray(picture)
    factor = image.width // 64
    x0, y0, x1, y1 = (int(value) for value in box)
    corners = (x0 * factor, y0 * factor, (x1 + 1) * factor - 1, (y1 + 1) * factor - 1)
    pen = ImageDraw.Draw(image)
    pen.rectangle(corners, outline="black", width=4)
    inner = (corners[0] + 1, corners[1] + 1, corners[2] - 1, corners[3] - 1)
    pen.rectangle(inner, outline=colour, width=2)
    return np.asarray(image)


def triptych(
    image: np.ndarray,
    heat: np.ndarray,
    lines: Sequence[str],
    *,
    opacity: float,
    smooth: bool = False,
    side: int = 384,
) -> bytes:
    """Image, heat map and overlay side by side under some lines of text, as a PNG file.

    Args:
        lines: The first is the title; long ones are wrapped.
    """
    pictures = (
        enlarge(image, side, smooth),
        heat_map(heat, side=side, smooth=smooth),
        overlay(image, heat, opacity=opacity, side=side, smooth=smooth),
    )
    width = 3 * side + 4 * GAP
    texts = [
        (text, font)
        for number, line in enumerate(lines)
        for font in [ImageFont.load_default(26 if number == 0 else 18)]
        for text in _wrap(line, font, width - 2 * GAP)
    ]
    top = GAP + sum(round(1.35 * font.size) for _, font in texts)
    canvas = Image.new("RGB", (width, top + side + 2 * GAP), "white")
    draw, y = ImageDraw.Draw(canvas), GAP
    for text, font in texts:
        draw.text((GAP, y), text, fill="black", font=font)
        y += round(1.35 * font.size)
    for number, picture in enumerate(pictures):
        canvas.paste(Image.fromarray(picture), (GAP + number * (side + GAP), top + GAP))
    return png(np.asarray(canvas))


def png(picture: np.ndarray) -> bytes:
    """uint8 (h, w, 3) as a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def _wrap(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Lines of at most `width` pixels, broken between words."""
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
