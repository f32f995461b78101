"""A photo with a square on it that can be moved and resized: with the mouse, a finger or the arrow keys."""

import base64
import io

import streamlit as st
from PIL import Image

from tinymodel.explain.photo import Crop, Photo

LONGEST = 720  # pixels of the photo that is shown

_CROP = st.components.v2.component(
    "crop",
    html="""
<div class="stage">
  <img alt="Your picture">
  <div class="square" tabindex="0" role="group"><div class="corner" aria-hidden="true"></div></div>
</div>
""",
    css="""
.stage { position: relative; overflow: hidden; border-radius: 4px; line-height: 0; user-select: none; }
.stage img { width: 100%; pointer-events: none; }
.square { position: absolute; box-sizing: border-box; border: 2px solid #fff; outline: 1px solid #000; cursor: move;
          box-shadow: 0 0 0 4000px rgba(0, 0, 0, 0.55); touch-action: none; }
.square:focus-visible { border-style: dashed; border-width: 4px; }
.corner { position: absolute; right: -2px; bottom: -2px; width: 26px; height: 26px; cursor: nwse-resize;
          background: linear-gradient(135deg, transparent 50%, #fff 50%); touch-action: none; }
""",
    js="""
export default function ({ data, parentElement, setStateValue }) {
  const stage = parentElement.querySelector('.stage')
  const [picture, square, corner] = ['img', '.square', '.corner'].map((name) => stage.querySelector(name))
  if (picture.src !== data.source) picture.src = data.source
  stage.style.maxWidth = `${data.shown}px`
  stage.style.aspectRatio = `${data.width} / ${data.height}`
  square.setAttribute('aria-label', 'What the network sees. Arrow keys move the square, plus and minus resize it.')
  const longest = Math.min(data.width, data.height)
  const shortest = Math.min(64, longest)
  let [x, y, side] = data.crop
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high)
  const place = () => {
    side = clamp(side, shortest, longest)
    x = clamp(x, 0, data.width - side)
    y = clamp(y, 0, data.height - side)
    square.style.left = `${(100 * x) / data.width}%`
    square.style.top = `${(100 * y) / data.height}%`
    square.style.width = `${(100 * side) / data.width}%`
    square.style.height = `${(100 * side) / data.height}%`
  }
  const tell = () => setStateValue('crop', [Math.round(x), Math.round(y), Math.round(side)])
  place()
  square.onpointerdown = (event) => {
    event.preventDefault()
    square.focus({ preventScroll: true })
    square.setPointerCapture(event.pointerId)
    const scale = data.width / stage.clientWidth
    const from = { x, y, side, atX: event.clientX, atY: event.clientY }
    const resize = event.target === corner
    square.onpointermove = (move) => {
      const [right, down] = [(move.clientX - from.atX) * scale, (move.clientY - from.atY) * scale]
      if (resize) {
        const room = Math.min(data.width - from.x, data.height - from.y)
        side = clamp(from.side + Math.max(right, down), shortest, room)
      } else {
        x = from.x + right
        y = from.y + down
      }
      place()
    }
    square.onpointerup = square.onpointercancel = () => {
      square.onpointermove = square.onpointerup = square.onpointercancel = null
      tell()
    }
  }
  let waiting
  square.onkeydown = (event) => {
    const step = longest / 40
    const moves = { ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, -1, 0], ArrowDown: [0, 1, 0],
                    '+': [-0.5, -0.5, 1], '-': [0.5, 0.5, -1] }
    const move = moves[event.key]
    if (!move) return
    event.preventDefault()
    x += step * move[0]
    y += step * move[1]
    side += step * move[2]
    place()
    clearTimeout(waiting)
    waiting = setTimeout(tell, 250)
  }
}
""",
)


def choose_square(photo: Photo, *, key: str) -> Crop:
    """The square of a photo that the network is to see; at first the largest one in the middle.

    Args:
        key: Of this photo alone.
    """
    height, width = photo.pixels.shape[:2]
    middle = photo.middle
    kept = st.session_state.get(key, {}).get("crop") or [middle.x, middle.y, middle.side]
    small = Image.fromarray(photo.pixels)
    small.thumbnail((LONGEST, LONGEST))
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=85)
    result = _CROP(
        data=dict(
            source="data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode(),
            width=width,
            height=height,
            shown=max(160, min(560, round(400 * width / height))),  # CSS pixels: 400 high at most
            crop=kept,
        ),
        key=key,
        on_crop_change=lambda: None,
    )
    try:
        return photo.within(*(float(value) for value in result.crop or kept))
    except (TypeError, ValueError, OverflowError):  # a browser may send anything
        return middle
