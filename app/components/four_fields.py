"""A table of two by two counts whose fields can be clicked."""

from collections.abc import Mapping, Sequence

import streamlit as st

_FIELDS = st.components.v2.component(
    "four_fields",
    html='<div class="table" role="group"></div>',
    css="""
.table { display: grid; grid-template-columns: minmax(4.5rem, auto) 1fr 1fr; gap: 8px; max-width: 720px;
         font-family: var(--st-font); color: var(--st-text-color); }
.head { font-size: 0.9rem; align-self: end; padding-bottom: 2px; }
.side { font-size: 0.9rem; align-self: center; }
.field { text-align: left; font: inherit; color: inherit; cursor: pointer; padding: 0.8rem 1rem; min-width: 0;
         background: var(--st-secondary-background-color); border: 2px solid transparent;
         border-left: 6px solid var(--colour); border-radius: 6px; }
.field:hover, .field[aria-pressed=true] { border-color: var(--st-primary-color); border-left-color: var(--colour); }
.field:focus-visible { outline: 2px solid var(--st-text-color); outline-offset: 2px; }
.count { font-size: 1.5rem; font-weight: 600; }
.share { opacity: 0.75; font-size: 0.9rem; margin-left: 0.4rem; white-space: nowrap; }
.name { display: block; font-size: 0.9rem; line-height: 1.3; overflow-wrap: anywhere; }
""",
    js="""
export default function ({ data, parentElement, setTriggerValue }) {
  const make = (tag, name, text) => {
    const element = document.createElement(tag)
    element.className = name
    element.textContent = text
    return element
  }
  const table = parentElement.querySelector('.table')
  table.setAttribute('aria-label', data.label)
  const parts = [make('div', '', ''), ...data.columns.map((title) => make('div', 'head', title))]
  data.rows.forEach((title, row) => {
    parts.push(make('div', 'side', title))
    for (const field of data.fields.slice(2 * row, 2 * row + 2)) {
      const button = make('button', 'field', '')
      button.style.setProperty('--colour', field.colour)
      button.setAttribute('aria-pressed', field.name === data.selected)
      button.dataset.field = field.name
      button.append(make('span', 'count', field.count), make('span', 'share', field.share))
      button.append(make('span', 'name', field.title))
      button.onclick = () => setTriggerValue('clicked', field.name)
      parts.push(button)
    }
  })
  table.replaceChildren(...parts)
}
""",
)


def show(
    fields: Mapping[str, tuple[str, str, str, str]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    selected: str | None,
    label: str,
    key: str,
) -> str | None:
    """Draw it.

    Args:
        fields: Name → count, share, words and colour, row by row.
        selected: The name of the field that is open.
        label: What the table is, read aloud.

    Returns:
        The name of the field just clicked, in this one run of the script, else None.
    """
    result = _FIELDS(
        data=dict(
            fields=[
                dict(name=name, count=count, share=share, title=title, colour=colour)
                for name, (count, share, title, colour) in fields.items()
            ],
            rows=list(rows),
            columns=list(columns),
            selected=selected,
            label=label,
        ),
        key=key,
        on_clicked_change=lambda: None,
    )
    return result.clicked if result.clicked in fields else None
