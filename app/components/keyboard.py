"""Keys that do something wherever the focus is, but for fields and lists that need them themselves."""

from collections.abc import Callable, Mapping

import streamlit as st

_KEYS = st.components.v2.component(
    "keys",
    html='<div class="hint"></div>',
    css="""
.hint { font-family: var(--st-font); font-size: 0.875rem; color: var(--st-text-color); opacity: 0.68; }
@media (pointer: coarse) { .hint { display: none; } }
""",
    js="""
const OWN = 'input, textarea, select, canvas, [contenteditable=true], [role=slider], [role=radiogroup], [role=tablist],' +
  '[role=listbox], [role=grid], [role=application]'
export default function ({ data, parentElement, setTriggerValue }) {
  parentElement.querySelector('.hint').textContent = data.hint
  parentElement.pressed && document.removeEventListener('keydown', parentElement.pressed)
  parentElement.pressed = (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return
    const mine = parentElement.host.closest('[role=dialog]')
    if (document.querySelector('[role=dialog]') !== mine) return  // an open dialog has the keys to itself
    const target = event.composedPath()[0]  // inside a shadow root too
    if (!data.keys.includes(event.key) || target.closest?.(OWN)) return
    event.preventDefault()
    setTriggerValue('pressed', event.key)
  }
  document.addEventListener('keydown', parentElement.pressed)
  return () => document.removeEventListener('keydown', parentElement.pressed)
}
""",
)


def on_keys(actions: Mapping[str, Callable[[], None]], hint: str, *, key: str) -> None:
    """Call an action when its key ('ArrowLeft', 'Escape') is pressed, before the page runs again.

    Args:
        hint: What the keys do, shown in small letters where there is a keyboard.
    """

    def act() -> None:
        pressed = st.session_state[key].pressed
        if pressed in actions:
            actions[pressed]()

    _KEYS(data=dict(keys=list(actions), hint=hint), key=key, on_pressed_change=act)


def on_pages(page: int, pages: int, hint: str) -> None:
    """← and → turn the page of `?page=`."""

    def go(other: int) -> None:
        st.query_params["page"] = str(other)

    actions = {}
    if page > 1:
        actions["ArrowLeft"] = lambda: go(page - 1)
    if page < pages:
        actions["ArrowRight"] = lambda: go(page + 1)
    on_keys(actions, hint + (" · ← and → turn the page" if pages > 1 else ""), key="page-keys")
