"""Small pictures shown large: one at a time, or a grid that can be clicked.

64×64 pixels are enlarged by whole pixels, which is honest, or smoothly, which is easier on the eye.
"""

import base64
import io
from collections.abc import Sequence

import numpy as np
import streamlit as st
from PIL import Image

SIDE = 128  # CSS pixels of a picture in a grid: twice 64, so that every pixel becomes equally large

_GRID = st.components.v2.component(
    "picture_grid",
    html='<div class="grid"></div>',
    css="""
.grid { display: grid; gap: 1.1rem 0.9rem; align-items: start; }
.bare { gap: 0.7rem; }
.cell { display: block; text-align: left; color: var(--st-text-color); text-decoration: none; background: none;
        border: 0; padding: 0; margin: 0; font-family: var(--st-font); min-width: 0; }
.cell img { display: block; max-width: 100%; aspect-ratio: 1; border-radius: 4px; }
.crisp img { image-rendering: pixelated; }
.caption { margin-top: 0.35rem; font-size: 0.85rem; line-height: 1.35; overflow-wrap: anywhere; }
.clickable .cell { cursor: pointer; }
.clickable .cell:hover img, .cell:focus-visible img, .selected img
  { outline: 3px solid var(--st-primary-color); outline-offset: -3px; }
.cell:focus-visible { outline: none; }
""",
    js="""
export default function ({ data, parentElement, setTriggerValue }) {
  const grid = parentElement.querySelector('.grid')
  grid.className = `grid ${data.smooth ? '' : 'crisp'} ${data.clickable ? 'clickable' : ''}`
  if (!data.pictures.some((picture) => picture.caption)) grid.classList.add('bare')
  grid.style.gridTemplateColumns = `repeat(auto-fill, minmax(min(${data.side}px, 45%), 1fr))`
  grid.replaceChildren(...data.pictures.map((picture, index) => {
    const cell = document.createElement(data.clickable ? (picture.link ? 'a' : 'button') : 'div')
    cell.className = 'cell' + (index === data.selected ? ' selected' : '')
    if (picture.link) cell.href = picture.link
    const image = document.createElement('img')
    image.src = picture.source
    image.width = image.height = data.side
    image.style.height = 'auto'
    image.alt = picture.hint
    if (!picture.caption) image.title = picture.hint
    cell.append(image)
    for (const line of picture.caption ? picture.caption.split('\\n') : []) {
      const element = document.createElement('div')
      element.className = 'caption'
      element.textContent = line
      if (cell.childElementCount > 1) element.style.marginTop = 0
      cell.append(element)
    }
    if (data.clickable) cell.onclick = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return  // a new tab follows the link
      event.preventDefault()
      setTriggerValue('clicked', index)
    }
    return cell
  }))
}
""",
)


def grid(
    images: Sequence[np.ndarray],
    captions: Sequence[str] | None = None,
    *,
    key: str,
    side: int = SIDE,
    hints: Sequence[str] | None = None,
    clickable: bool = False,
    links: Sequence[str] | None = None,
    selected: int | None = None,
    smooth: bool = False,
) -> int | None:
    """Many pictures in as many columns as fit, with captions that wrap; give it 60 at most.

    Signature: `grid(images, captions=None, *, key, side=128, hints=None, clickable=False, links=None,
    selected=None, smooth=False) -> int | None`.

    Args:
        images: uint8 (h, w, 3) each, RGB.
        captions: One each, plain text; a newline begins a new line.
        side: Width of a picture in CSS pixels; multiples of 64 look best.
        hints: One each, shown where the pointer rests, and read aloud, instead of captions.
        clickable: Whether a click (or Enter) reruns the page and returns which picture it was.
        links: Addresses, one each, that a clickable picture opens in a new tab with Ctrl or the middle button.
        selected: The picture to frame.

    Returns:
        The index of the picture just clicked, in this one run of the script, else None.
    """
    captions = captions or [""] * len(images)
    links = links or [None] * len(images)
    hints = hints or [caption.replace("\n", ", ") for caption in captions]
    result = _GRID(
        data=dict(
            pictures=[
                dict(source=_data_address(image), caption=caption, hint=hint, link=link)
                for image, caption, hint, link in zip(images, captions, hints, links, strict=True)
            ],
            side=side,
            clickable=clickable,
            selected=selected,
            smooth=smooth,
        ),
        key=key,
        on_clicked_change=lambda: None,
    )
    clicked = result.clicked
    return int(clicked) if clicked is not None and 0 <= int(clicked) < len(images) else None


def picture(
    image: np.ndarray,
    *,
    caption: str = "",
    side: int | None = 256,
    smooth: bool = False,
    alt: str = "",
) -> None:
    """One picture, enlarged, with a caption below: `picture(image, *, caption="", side=256, smooth=False, alt="")`.

    Args:
        image: uint8 (h, w, 3), RGB.
        side: Its width in CSS pixels; None fills the column.
    """
    large = enlarge(image, 2 * (side or 320), smooth)
    # PNG: Streamlit would choose JPEG, which smears the edges of pixels.
    st.image(
        large,
        caption=caption or None,
        width=side or "stretch",
        alt=alt or None,
        output_format="PNG",
    )


def enlarge(image: np.ndarray, side: int, smooth: bool = False) -> Image.Image:
    """`image`, uint8 (h, w, 3), as a picture at least `side` pixels wide: whole pixels repeated, or smoothed."""
    height, width = image.shape[:2]
    factor = max(1, -(-side // width))
    method = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return Image.fromarray(np.ascontiguousarray(image)).resize(
        (factor * width, factor * height), method
    )


def _data_address(image: np.ndarray) -> str:
    stream = io.BytesIO()
    # Level 1: 0.4 ms and 10 kB for 64×64; better compression costs more time than it saves on the wire.
    Image.fromarray(np.ascontiguousarray(image)).save(stream, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
