"""Following the presenter: what is published, and what a student's page makes of it. Getting there is in tests/browser."""

import pytest
from components import follow, role, stream
from components.presenter_code import Roles
from streamlit.testing.v1 import AppTest

CODE = "Schlüssel-4711"


@pytest.fixture(autouse=True)
def a_class(monkeypatch):
    monkeypatch.setenv(role.VARIABLE, CODE)
    monkeypatch.setattr(role, "roles", Roles())
    follow.end()
    yield
    follow.end()


@pytest.fixture
def presenter(app):
    app.session_state[role.TOKEN] = role.roles.open(CODE)
    app.run()
    app.toggle(key=follow.SWITCH).set_value(True).run()
    return app


@pytest.fixture
def student(folders):
    from conftest import APP

    return AppTest.from_file(str(APP / "frame.py"), default_timeout=20)


def go(app: AppTest, page: str, **query: str) -> AppTest:
    app.switch_page(f"views/{page}.py")
    for key in list(app.query_params):
        del app.query_params[key]
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    return " ".join(item.value for item in [*app.caption, *app.markdown])


def test_what_the_presenter_shows_is_page_and_address(presenter, finished_run):
    first = stream.hub.teacher
    assert first == dict(page="", query={}, url="", own_photo=False, number=first["number"])
    go(presenter, "train", run=finished_run.name)
    now = stream.hub.teacher
    assert (now["page"], now["query"]) == ("train", dict(run=[finished_run.name]))
    assert now["url"] == f"train?run={finished_run.name}"
    assert now["number"] > first["number"]
    presenter.run()
    assert stream.hub.teacher is now  # the same view is no news


def test_nothing_is_shown_before_the_switch_and_after_it(app, finished_run):
    app.session_state[role.TOKEN] = role.roles.open(CODE)
    go(app.run(), "train")
    assert stream.hub.teacher is None
    app.toggle(key=follow.SWITCH).set_value(True).run()
    assert stream.hub.teacher["page"] == "train"
    app.toggle(key=follow.SWITCH).set_value(False).run()
    assert stream.hub.teacher is None


def test_nothing_of_the_session_travels(presenter):
    text = str(stream.hub.teacher)
    assert presenter.session_state[role.TOKEN] not in text and CODE not in text
    assert set(stream.hub.teacher) == {"page", "query", "url", "own_photo", "number"}


def test_a_photo_of_the_presenters_own_stays_with_the_presenter(presenter, student, scored_run):
    go(presenter, "gradcam", run="scored", source="upload", layer="stage3")
    now = stream.hub.teacher
    assert now["own_photo"] and "source" not in now["query"] and "upload" not in now["url"]
    assert now["query"]["run"] == ["scored"]
    student.run()
    assert "a photo of their own, which only they can see" in words(student)


def test_who_leaves_the_role_shows_nothing_any_more(presenter, student):
    student.run()
    assert [item.label for item in student.toggle] == ["Follow the presenter"]
    for label in ("You are the presenter", "Leave the role"):
        next(item for item in presenter.button if item.label == label).click().run()
    assert stream.hub.teacher is None
    assert not student.run().toggle


@pytest.mark.parametrize("still_open", [True, False])
def test_a_second_tab_takes_over_only_from_one_that_is_gone(
    presenter, student, monkeypatch, still_open
):
    """`student` is here the presenter's second tab; the first one reloaded is another session, too."""
    monkeypatch.setattr(follow, "_session", lambda: "the second tab")  # all are one in this harness
    monkeypatch.setattr(follow, "_is_open", lambda session: still_open)
    student.session_state[role.TOKEN] = presenter.session_state[role.TOKEN]
    go(student.run(), "data")
    assert stream.hub.teacher["page"] == ("" if still_open else "data")
    assert student.toggle(key=follow.SWITCH).value is not still_open


def test_without_a_view_and_without_a_code_there_is_no_switch(student, monkeypatch):
    assert not student.run().toggle
    monkeypatch.setenv(role.VARIABLE, "")
    assert not student.run().toggle


@pytest.fixture
def following(presenter, student, finished_run):
    """A student who follows, and has been taken to the presenter's run on Train."""
    go(presenter, "train", run=finished_run.name)
    student.run()
    student.toggle(key=follow.TOGGLE).set_value(True).run()
    assert student.session_state[follow.FOLLOWED] == 0  # on the way
    go(student, "train", run=finished_run.name)  # which the browser does
    assert student.session_state[follow.FOLLOWED] == stream.hub.teacher["number"]
    assert student.toggle(key=follow.TOGGLE).value
    return student


def left(app: AppTest) -> bool:
    return "You have left the presenter's view" in words(app)


def test_who_stays_goes_on_following(following):
    assert not left(following.run())
    assert following.toggle(key=follow.TOGGLE).value


def test_who_goes_to_another_page_is_told_that_they_have_left_and_can_go_back(following):
    assert left(go(following, "data"))
    assert not [item for item in following.toggle if item.key == follow.TOGGLE]
    following.button(key="go-back").click().run()
    assert following.session_state[follow.FOLLOWED] == 0 and not left(following)


def test_who_changes_a_choice_of_the_page_has_left(following):
    following.query_params["run"] = "new"
    assert left(following.run())


def test_the_switch_leaves_without_a_word(following):
    following.toggle(key=follow.TOGGLE).set_value(False).run()
    assert follow.FOLLOWED not in following.session_state and not left(following)


def test_a_page_that_changes_its_own_address_on_arrival_is_not_left(presenter, student, scored_run):
    go(presenter, "timelapse", run="scored")
    student.run()
    student.toggle(key=follow.TOGGLE).set_value(True).run()
    query = {key: values[0] for key, values in stream.hub.teacher["query"].items()}
    go(student, "timelapse", **query)
    assert not left(student.run()) and not left(student.run())


def test_when_the_presenter_stops_showing_the_student_stays_where_they_are(following):
    follow.end()
    following.run()
    assert not left(following) and follow.FOLLOWED not in following.session_state
    assert following.title[0].value == "Train"
