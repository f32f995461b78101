"""The glossary: every word can be found and linked, and leads to where it is seen."""

import ast
import re

import pytest
from components.term_figures import FIGURES
from components.terms import BY_SLUG, GROUPS, TERMS, search, words_of
from conftest import APP

PAGES = {file.stem for file in (APP / "views").glob("*.py")}
STUDIED = PAGES - {"overview", "glossary"}


def sections() -> dict[str, str]:
    """Page → title, as the navigation has them."""
    tree = ast.parse((APP / "components" / "sections.py").read_text(encoding="utf-8"))
    (found,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SECTIONS"
    ]
    return {page: title for pages in ast.literal_eval(found).values() for page, title, *_ in pages}


def open_glossary(app, **query):
    app.run()
    app.switch_page("views/glossary.py")
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def shown(app) -> list[str]:
    return [item.value for item in app.subheader]


def test_all_words_stand_in_their_groups(app):
    open_glossary(app)
    assert shown(app) == [term.name for group in GROUPS for term in TERMS if term.group == group]
    assert [item.value for item in app.header] == list(GROUPS.values())


def test_a_link_shows_one_word_first(app):
    open_glossary(app, term="learning-rate")
    assert shown(app)[0] == "Learning rate"
    assert 1 < len(shown(app)) < 10


def test_a_link_from_a_page_shows_its_words(app):
    open_glossary(app, on="gradcam")
    assert shown(app) == [term.name for term in words_of("gradcam")]
    next(button for button in app.button if button.label == "All words").click().run()
    assert len(shown(app)) == len(TERMS)


def test_a_word_is_found_by_what_it_means(app):
    open_glossary(app)
    app.text_input[0].set_value("STEP size").run()
    assert shown(app)[0] == "Learning rate"
    app.text_input[0].set_value("epoch").run()
    assert shown(app)[0] == "Epoch"
    app.text_input[0].set_value("<b>*x*").run()
    assert shown(app) == [] and "No word here" in app.info[0].value


@pytest.mark.parametrize("query", [dict(term="<script>"), dict(on="../.."), dict(term="", on="")])
def test_nonsense_in_the_address_shows_all_words(app, query):
    assert len(shown(open_glossary(app, **query))) == len(TERMS)


def test_every_word_leads_to_a_page_that_is_there():
    navigation = sections()
    for term in TERMS:
        assert term.group in GROUPS and term.text.endswith(".") and term.pages
        assert set(term.pages) <= STUDIED & set(navigation), term.name
    from_view = (APP / "views" / "glossary.py").read_text(encoding="utf-8")
    titles = dict(re.findall(r'"(\w+)": "([^"]+)",\n', from_view))
    assert titles == {page: navigation[page] for page in STUDIED}


def test_the_addresses_of_words_are_understood_by_their_pages(app, scored_run):
    app.run()
    for term in TERMS:
        if term.query:
            app.switch_page(f"views/{term.pages[0]}.py")
            app.query_params.clear()
            for name, value in term.query.items():
                app.query_params[name] = value
            app.run()
            assert not app.exception, term.name
            assert not [item.value for item in app.warning if "there is no" in item.value]


def test_every_page_has_words_and_every_word_an_address_of_its_own():
    assert all(len(words_of(page)) >= 3 for page in STUDIED)
    assert len(BY_SLUG) == len(TERMS) >= 50
    assert all(re.fullmatch(r"[a-z0-9-]+", slug) for slug in BY_SLUG)
    assert set(FIGURES) <= set(BY_SLUG)


def test_the_most_important_words_are_there():
    for word in [
        "epoch",
        "batch",
        "step",
        "loss",
        "learning rate",
        "accuracy",
        "top-5",
        "validation",
        "overfitting",
        "weights",
        "parameters",
        "convolution",
        "feature map",
        "receptive field",
        "bottleneck",
        "representation",
        "grad-cam",
        "heat map",
        "softmax",
        "confidence",
        "confusion",
        "misclassified",
        "momentum",
        "muon",
        "sgd",
        "label smoothing",
        "augmentation",
        "mixup",
        "cutmix",
        "ricap",
        "weight decay",
        "averaged weights",
        "checkpoint",
        "dropout",
        "batch norm",
        "probe",
        "k-nn",
        "principal components",
        "effective dimension",
    ]:
        assert any(word in f"{term.name} {term.plain}".lower() for term in search(word)), word


@pytest.mark.parametrize("slug", FIGURES)
def test_figures_are_pictures_with_words(slug):
    for image, words in FIGURES[slug]():
        assert image.shape == (64, 64, 3) and image.dtype == "uint8" and image.std() > 1
        assert words


def test_the_foot_of_a_page_leads_to_its_words(app):
    app.run()
    for page in ("overview", "glossary", "mistakes"):  # the last one ends early: there is no run
        app.switch_page(f"views/{page}.py").run()
        links = [link for link in app.get("page_link") if link.label.startswith("Words used here")]
        assert len(links) == (page in STUDIED)
        assert all(f"on={page}" in link.query_string for link in links)
