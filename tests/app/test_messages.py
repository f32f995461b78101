"""Names and sentences from elsewhere are shown as they are, whatever Markdown would make of them."""

import pytest
from components.messages import plain


@pytest.mark.parametrize(
    "text",
    [
        "**bold** <b>",
        "$x$ :red[hi] [link](address)",
        "use '_' or '-', '_' again",
        "`code` ~~gone~~ #1",
    ],
)
def test_plain_text_has_no_bare_mark_left(text):
    shown = plain(text)
    assert shown.replace("\\", "") == text
    for mark in "*_`[]$<>~#":
        assert f"\\{mark}" in shown or mark not in text


def test_a_plain_sentence_stays_as_it_is():
    sentence = "There is no run 'small-classroom-1' (it was deleted): choose another."
    assert plain(sentence) == sentence


def test_very_long_numbers_in_the_address_are_nonsense_not_a_crash(app, finished_run):
    app.query_params["run"] = finished_run.name
    for page, key in (("mistakes", "page"), ("gradcam", "image"), ("data", "image")):
        app.query_params[key] = "9" * 5000
        app.switch_page(f"views/{page}.py").run()
        assert not app.exception
