"""Pictures in rows and columns with headings; on a narrow screen it scrolls sideways within itself."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import streamlit as st

from tinymodel.explain import render

SIDES = (192, 160, 128, 112, 96)  # CSS pixels of a picture
ROOM = 1000  # CSS pixels that a row has on a projector

_TABLE = st.components.v2.component(
    "picture_table",
    html='<div class="scroll" tabindex="0" role="group"><table></table></div><div class="legend"></div>',
    css="""
.scroll { overflow-x: auto; max-width: 100%; font-family: var(--st-font); color: var(--st-text-color); }
table { border-spacing: 0; }
th, td { text-align: left; vertical-align: top; padding: 0 0.9rem 0.9rem 0; font-weight: 400; }
thead th { font-size: 0.85rem; line-height: 1.3; padding-bottom: 0.5rem; vertical-align: bottom; }
thead small { display: block; opacity: 0.75; font-size: 0.8rem; }
tbody th { position: sticky; left: 0; z-index: 1; background: var(--st-background-color); }
.cell { display: flex; gap: 4px; }
img { display: block; border-radius: 4px; object-fit: fill; }
.crisp { image-rendering: pixelated; }
.caption { font-size: 0.8rem; line-height: 1.35; margin-top: 0.3rem; overflow-wrap: anywhere; }
.caption + .caption { margin-top: 0; }
a { color: inherit; text-decoration: none; display: block; }
a:hover img { outline: 3px solid var(--st-primary-color); outline-offset: -3px; }
a:focus-visible, .scroll:focus-visible { outline: 2px solid var(--st-text-color); outline-offset: 2px; }
.legend { display: flex; align-items: center; gap: 0.5rem; font: 0.8rem var(--st-font); color: var(--st-text-color);
          flex-wrap: wrap; }
.hint { margin-left: auto; opacity: 0.75; }
.bar { width: 140px; height: 12px; border-radius: 3px; }
""",
    js="""
const watchers = new WeakMap()
export default function ({ data, parentElement, setTriggerValue }) {
  const make = (tag, name, text) => {
    const element = document.createElement(tag)
    if (name) element.className = name
    if (text !== undefined) element.textContent = text
    return element
  }
  const captions = (place, lines) => lines.forEach((line) => place.append(make('div', 'caption', line)))
  const fill = (place, cell) => {
    const row = make('div', 'cell')
    for (const picture of cell.pictures) {
      const image = make('img', picture.crisp ? 'crisp' : '')
      image.src = picture.source
      image.width = image.height = data.side
      image.alt = picture.alt
      row.append(image)
    }
    place.append(row)
    const lines = make('div')
    lines.style.width = `${cell.pictures.length * (data.side + 4) - 4}px`
    captions(lines, cell.lines)
    place.append(lines)
  }
  const scroll = parentElement.querySelector('.scroll')
  scroll.setAttribute('aria-label', data.label)
  const head = make('thead')
  const titles = make('tr')
  for (const [title, small] of data.columns) {
    const heading = make('th', '', title)
    heading.scope = 'col'
    if (small) heading.append(make('small', '', small))
    titles.append(heading)
  }
  head.append(titles)
  const body = make('tbody')
  data.rows.forEach((row, index) => {
    const line = make('tr')
    row.cells.forEach((cell, column) => {
      const box = make(column ? 'td' : 'th')
      if (!column) box.scope = 'row'
      if (!column && row.link) {
        const link = make('a')
        link.href = row.link
        link.onclick = (event) => {
          if (event.ctrlKey || event.metaKey || event.shiftKey) return  // a new tab follows the link
          event.preventDefault()
          setTriggerValue('clicked', index)
        }
        fill(link, cell)
        box.append(link)
      } else fill(box, cell)
      line.append(box)
    })
    body.append(line)
  })
  parentElement.querySelector('table').replaceChildren(head, body)
  const legend = parentElement.querySelector('.legend')
  legend.replaceChildren()
  if (data.legend) {
    const bar = make('span', 'bar')
    bar.style.background = `linear-gradient(90deg, ${data.legend.colours.join(', ')})`
    legend.append(make('span', '', data.legend.low), bar, make('span', '', data.legend.high))
  }
  const hint = make('span', 'hint', 'more to the right: scroll sideways →')
  legend.append(hint)
  const look = () => { hint.hidden = scroll.scrollWidth <= scroll.clientWidth }
  watchers.get(parentElement)?.disconnect()
  const watcher = new ResizeObserver(look)
  watcher.observe(scroll)
  watchers.set(parentElement, watcher)
  return () => watcher.disconnect()
}
""",
)


@dataclass(frozen=True)
class Picture:
    """uint8 (h, w, 3), of any size: the browser enlarges it, by whole pixels if `crisp`."""

    pixels: np.ndarray
    alt: str
    crisp: bool = True


@dataclass(frozen=True)
class Cell:
    pictures: Sequence[Picture]
    lines: Sequence[str] = ()  # below the pictures


@dataclass(frozen=True)
class Row:
    cells: Sequence[Cell] = field(default_factory=list)  # the first is the heading
    link: str = ""  # where a click on the first leads, in a new tab with Ctrl


@dataclass(frozen=True)
class Legend:
    low: str
    high: str
    colours: np.ndarray = field(default_factory=lambda: render.INFERNO)


def show(
    columns: Sequence[tuple[str, str]],
    rows: Sequence[Row],
    *,
    key: str,
    label: str,
    legend: Legend | None = None,
    side: int | None = None,
) -> int | None:
    """Draw it.

    Args:
        columns: Title and a smaller line below it, of each column.
        label: What it is, read aloud.
        side: CSS pixels of a picture; by default as large as fit side by side, and smaller for several rows.

    Returns:
        The row whose link has just been clicked, in this one run of the script, else None.
    """
    side = side or _side(rows)
    result = _TABLE(
        data=dict(
            columns=columns,
            label=label,
            side=side,
            rows=[dict(cells=[_cell(cell) for cell in row.cells], link=row.link) for row in rows],
            legend=legend
            and dict(
                low=legend.low,
                high=legend.high,
                colours=["rgb({:.0f} {:.0f} {:.0f})".format(*c) for c in legend.colours],
            ),
        ),
        key=key,
        on_clicked_change=lambda: None,
    )
    clicked = result.clicked
    return int(clicked) if clicked is not None and 0 <= int(clicked) < len(rows) else None


def _side(rows: Sequence[Row]) -> int:
    across = max(sum(len(cell.pictures) for cell in row.cells) for row in rows)
    sides = SIDES if len(rows) < 3 else SIDES[2:]
    return next((side for side in sides if across * (side + 14) <= ROOM), SIDES[-1])


def _cell(cell: Cell) -> dict:
    pictures = [
        dict(
            source="data:image/png;base64," + base64.b64encode(render.png(p.pixels)).decode(),
            alt=p.alt,
            crisp=p.crisp,
        )
        for p in cell.pictures
    ]
    return dict(pictures=pictures, lines=[line for line in cell.lines if line])
