"""The Compare page: every outcome holds the images that belong to it, and runs that do not fit are a sentence."""

import json

import pytest
import pytorch_grad_cam  # noqa: F401  (seconds: now, and not while a page waits for its first map)
from conftest import write_scored_run, write_small_dataset

from tinymodel import jobs, scores
from tinymodel.data import open_dataset


@pytest.fixture
def other_run(scored_run):
    return write_scored_run(open_dataset("six"), "other", seed=1)


def open_page(app, **query):
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page("views/compare.py").run()
    for job in jobs.active():
        job.wait(30)
    app.run()
    assert not app.exception
    return app


def pictures(app) -> list[dict]:
    found = [
        item for item in app.get("bidi_component") if item.proto.component_name == "picture_grid"
    ]
    return json.loads(found[0].proto.json)["pictures"] if found else []


def texts(app) -> str:
    kinds = ("error", "warning", "info", "success", "markdown", "subheader", "caption")
    return " | ".join(item.value for kind in kinds for item in app.get(kind)).replace("\\", "")


@pytest.mark.parametrize("outcome", ["first", "second", "neither", "both"])
def test_each_outcome_shows_its_images_with_both_heat_maps(app, scored_run, other_run, outcome):
    open_page(app, run="scored", other="other", show=outcome)
    table = scores.compare(scored_run.predictions(), other_run.predictions())
    count = (table["outcome"] == outcome).sum()
    shown = pictures(app)
    assert len(shown) == min(9, count)
    for picture in shown:
        true = picture["caption"].removeprefix("true: ")
        first, second = (
            each["caption"].split(",")[0].split("says: ")[1] for each in picture["beside"]
        )
        right = (first == true, second == true)
        assert (
            right
            == {
                "first": (True, False),
                "second": (False, True),
                "neither": (False, False),
                "both": (True, True),
            }[outcome]
        )


def test_the_chance_of_the_difference_is_said(app, scored_run, other_run):
    open_page(app, run="scored", other="other")
    counts = scores.compare(scored_run.predictions(), other_run.predictions())["outcome"].value_counts()  # fmt: skip
    chance = scores.chance_of_difference(int(counts["first"]), int(counts["second"]))
    assert f"{100 * chance:.1f} % of such comparisons" in texts(app)


def test_run_b_begins_with_one_that_fits(app, scored_run, other_run):
    foreign = write_small_dataset("foreign", classes=2)
    write_scored_run(foreign, "newest")
    open_page(app, run="scored")
    assert app.selectbox("choice-other").value == "other"
    assert pictures(app)


def test_runs_of_different_datasets_are_a_sentence(app, scored_run):
    write_scored_run(write_small_dataset("foreign", classes=2), "foreign")
    open_page(app, run="scored", other="foreign")
    assert "'scored' and 'foreign' learned from different datasets." in texts(app)
    assert not pictures(app)


def test_runs_of_different_datasets_that_nobody_asked_for_invite_to_train_another(app, scored_run):
    write_scored_run(write_small_dataset("foreign", classes=2), "foreign")
    open_page(app)
    assert "Two networks are needed" in texts(app) and not app.error


def test_it_begins_with_two_runs_that_fit(app, scored_run, other_run):
    write_scored_run(write_small_dataset("foreign", classes=2), "newest")
    open_page(app)
    assert {app.selectbox("choice-run").value, app.selectbox("choice-other").value} == {
        "scored",
        "other",
    }


def test_one_run_alone_invites_to_train_another(app, scored_run):
    open_page(app)
    assert "Two networks are needed" in texts(app)


def test_nonsense_in_the_address_is_said(app, scored_run, other_run):
    open_page(app, run="scored", other="nobody", show="nothing", page="-3")
    assert "Run B: there is no 'nobody'" in texts(app)
    assert "Show: there is no 'nothing'" in texts(app)
    assert pictures(app)


def test_a_run_deleted_meanwhile_is_a_sentence(app, scored_run, other_run):
    open_page(app, run="scored", other="other")
    other_run.delete()
    app.run()
    assert not app.exception
    assert "Two networks are needed" in texts(app)
