"""Small pictures shown large: one at a time, or a grid that can be clicked.

64×64 pixels are enlarged by whole pixels, which is honest, or smoothly, which is easier on the eye.
"""

import base64
import io
from collections.abc import Callable, Sequence
from functools import lru_cache

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
.clickable .cell:hover img, .selected img { outline: 3px solid var(--st-primary-color); outline-offset: -3px; }
.cell:focus-visible { outline: 2px solid var(--st-text-color); outline-offset: 3px; border-radius: 4px; }
.figures { display: flex; gap: 6px; align-items: start; }
.figures > * { flex: 1 1 0; min-width: 0; }
.figures img { width: 100%; }
.place { position: relative; min-width: 0; }
.tick { position: absolute; top: 4px; left: 4px; width: 26px; height: 26px; border-radius: 50%; cursor: pointer;
        border: 2px solid #fff; background: rgba(0, 0, 0, 0.25); color: transparent; font: bold 15px/1 sans-serif;
        padding: 0; box-shadow: 0 0 0 1px rgba(0, 0, 0, 0.35); }
.tick[aria-pressed=true] { background: var(--st-primary-color); color: #fff; }
.tick:focus-visible { outline: 2px solid var(--st-text-color); outline-offset: 2px; }
.ticked .cell img { opacity: 0.75; }
""",
    js="""
export default function ({ data, parentElement, setTriggerValue }) {
  const make = (tag, className, text) =>
    Object.assign(document.createElement(tag), { className, textContent: text ?? '' })
  const figure = (source, caption, hint) => {
    const image = make('img')
    image.src = source
    image.width = image.height = data.side
    image.style.height = 'auto'
    image.alt = hint
    if (!caption) image.title = hint
    const lines = caption ? caption.split('\\n').map((line) => make('div', 'caption', line.replaceAll(' %', '\u00a0%'))) : []
    for (const line of lines.slice(1)) line.style.marginTop = 0
    return [image, ...lines]
  }
  const grid = parentElement.querySelector('.grid')
  grid.className = `grid ${data.smooth ? '' : 'crisp'} ${data.clickable ? 'clickable' : ''}`
  if (!data.pictures.some((picture) => picture.caption)) grid.classList.add('bare')
  const abreast = 1 + Math.max(0, ...data.pictures.map((picture) => picture.beside.length))
  const width = abreast * data.side + (abreast - 1) * 6
  grid.style.gridTemplateColumns = `repeat(auto-fill, minmax(min(${width}px, ${abreast > 1 ? 100 : 45}%), 1fr))`
  if (abreast > 1) grid.style.columnGap = '1.8rem'  // wider than within a cell
  grid.replaceChildren(...data.pictures.map((picture, index) => {
    const cell = make(data.clickable ? (picture.link ? 'a' : 'button') : 'div', 'cell')
    if ([data.selected].flat().includes(index)) cell.classList.add('selected')
    if (picture.link) cell.href = picture.link
    const first = figure(picture.source, picture.caption, picture.hint)
    if (picture.beside.length) {
      const row = make('div', 'figures')
      for (const parts of [first, ...picture.beside.map((each) => figure(each.source, each.caption, each.caption))]) {
        const column = make('div')
        column.append(...parts)
        row.append(column)
      }
      cell.append(row)
    } else cell.append(...first)
    if (data.clickable) cell.onclick = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return  // a new tab follows the link
      event.preventDefault()
      setTriggerValue('clicked', index)
    }
    if (!data.ticked) return cell
    const place = make('div', data.ticked[index] ? 'place ticked' : 'place')
    const tick = make('button', 'tick', '✓')
    tick.setAttribute('aria-pressed', data.ticked[index])
    tick.setAttribute('aria-label', `Select: ${picture.hint}`)
    tick.title = data.ticked[index] ? 'Take it out of the selection' : 'Select it'
    tick.onclick = () => setTriggerValue('ticked', index)
    place.append(cell, tick)
    return place
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
    selected: int | Sequence[int] | None = None,
    smooth: bool = False,
    beside: Sequence[Sequence[tuple[np.ndarray, str]]] | None = None,
    ticked: Sequence[bool] | None = None,
    on_tick: Callable[[int], None] | None = None,
) -> int | None:
    """Many pictures in as many columns as fit, with captions that wrap; give it 60 at most.

    Signature: `grid(images, captions=None, *, key, side=128, hints=None, clickable=False, links=None,
    selected=None, smooth=False, beside=None, ticked=None, on_tick=None) -> int | None`.

    Args:
        images: uint8 (h, w, 3) each, RGB.
        captions: One each, plain text; a newline begins a new line.
        side: Width of a picture in CSS pixels; multiples of 64 look best.
        hints: One each, shown where the pointer rests, and read aloud, instead of captions.
        clickable: Whether a click (or Enter) reruns the page and returns which picture it was.
        links: Addresses, one each, that a clickable picture opens in a new tab with Ctrl or the middle button.
        selected: The picture to frame, or several.
        beside: Of each, further pictures to its right with their captions, such as heat maps.
        ticked: Which ones have a tick in their corner; without it there are no ticks.
        on_tick: Called with the index of a picture whose tick was clicked, before the page runs again.

    Returns:
        The index of the picture just clicked, in this one run of the script, else None.
    """
    captions = captions or [""] * len(images)
    links = links or [None] * len(images)
    hints = hints or [caption.replace("\n", ", ") for caption in captions]
    beside = beside or [()] * len(images)

    def tick() -> None:
        index = st.session_state[key].ticked
        if on_tick and index is not None and 0 <= int(index) < len(images):
            on_tick(int(index))

    result = _GRID(
        data=dict(
            pictures=[
                dict(
                    source=_data_address(image),
                    caption=caption,
                    hint=hint,
                    link=link,
                    beside=[dict(source=_data_address(each), caption=text) for each, text in more],
                )
                for image, caption, hint, link, more in zip(
                    images, captions, hints, links, beside, strict=True
                )
            ],
            side=side,
            clickable=clickable,
            selected=selected,
            smooth=smooth,
            ticked=None if ticked is None else [bool(each) for each in ticked],
        ),
        key=key,
        on_clicked_change=lambda: None,
        on_ticked_change=tick,
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
    # PNG for crisp pixels, whose edges JPEG smears. Of a smooth picture it would take 90 ms of the processor and 300 kB,
    # at every click of everybody, instead of 2 and 100.
    st.image(
        large,
        caption=caption or None,
        width=side or "stretch",
        alt=alt or caption or "A picture",
        output_format="JPEG" if smooth else "PNG",
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
    encode = _encoded if image.nbytes <= SMALL else _encoded.__wrapped__
    return encode(image.tobytes(), image.shape)


SMALL = 64 * 64 * 3  # bytes


@lru_cache(maxsize=1500)  # 30 MB at the most: a strip of sixty is drawn anew at every click
def _encoded(pixels: bytes, shape: tuple[int, ...]) -> str:
    image = Image.fromarray(np.frombuffer(pixels, np.uint8).reshape(shape))
    stream = io.BytesIO()
    # Level 1: 0.4 ms and 10 kB for 64×64; better compression costs more time than it saves on the wire.
    image.save(stream, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
