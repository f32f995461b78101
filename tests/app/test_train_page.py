"""Train: the form makes the configuration, Start starts it, and every state of a run is shown."""

import json
import threading
import time

import numpy as np
import pytest
from components.config_form import GROUPS
from conftest import run_info, write_small_dataset

from tinymodel import jobs
from tinymodel.config import PRESETS, TrainConfig, fields
from tinymodel.errors import UserError
from tinymodel.run_writer import RunWriter
from tinymodel.runs import list_runs
from tinymodel.training import measure, range_test
from tinymodel.training.supervisor import supervisor


@pytest.fixture(autouse=True)
def nothing_left_running():
    yield
    jobs.stop_all()
    supervisor.shutdown()


@pytest.fixture
def measured(monkeypatch):
    """The machine was measured: `measured.seconds` can be changed."""

    class Measured:
        seconds = 160.0

    known = Measured()
    monkeypatch.setattr(
        measure,
        "estimate_cached",
        lambda config: measure.Estimate(known.seconds, 390.0, "bf16", "channels-last", "cpu"),
    )
    return known


@pytest.fixture
def started(monkeypatch):
    """Configurations that were started, none of them really."""
    configs = []

    def start(config, name=None):
        configs.append(config)
        return "small-classroom-1"

    monkeypatch.setattr(supervisor, "start", start)
    return configs


@pytest.fixture
def page(app):
    def open_page(**query):
        app.run()
        app.switch_page("views/train.py")
        for key, value in query.items():
            app.query_params[key] = value
        app.run()
        assert not app.exception
        return app

    return open_page


def open_groups(page, preset="classroom"):
    """Open every group of the form: a closed one is not drawn."""
    for group in GROUPS:
        page.session_state[f"{preset}-{group}"] = True
    return page.run()


def button(page, label):
    return next(item for item in page.button if item.label == label)


def labels(page):
    return [item.label for item in page.button]


def test_without_data_the_page_leads_to_data(page):
    assert "No pictures yet" in [item.value for item in page().subheader]


def test_start_hands_over_what_the_form_says(page, small_dataset, measured, started):
    shown = open_groups(page(dataset="small"))
    shown.number_input(key="classroom-epochs").set_value(7)
    shown.number_input(key="classroom-small-classes").set_value(2)
    shown.number_input(key="classroom-small-per-class").set_value(5)
    shown.selectbox(key="classroom-optimizer").select("sgd")
    shown.toggle(key="classroom-skip").set_value(False)
    shown.run()
    assert any("Changed from the preset: epochs" in item.value for item in shown.caption)
    for group in GROUPS:  # what was changed in a group counts, too, when it is closed again
        shown.session_state[f"classroom-{group}"] = False
    shown.run()
    assert "classroom-optimizer" not in [item.key for item in shown.selectbox]
    button(shown, "Start training").click().run()
    (config,) = started
    assert config == TrainConfig(
        dataset="small", epochs=7, classes=2, per_class=5, optimizer="sgd", skip=False
    )


@pytest.mark.parametrize("preset", list(PRESETS))
def test_an_untouched_form_is_the_preset(page, small_dataset, measured, started, preset):
    button(page(dataset="small", preset=PRESETS[preset].title), "Start training").click().run()
    expected = TrainConfig(dataset="small", **{"preset": preset, **PRESETS[preset].values})
    assert started == [expected]


def test_the_form_has_every_value_of_the_configuration(page, small_dataset, measured):
    shown = open_groups(page(dataset="small"))
    widgets = [*shown.number_input, *shown.selectbox, *shown.toggle]
    for item in fields(TrainConfig):
        if item.metadata and item.name != "dataset":
            widget = next(w for w in widgets if w.label == item.metadata["label"])
            assert widget.help.startswith(item.metadata["help"])


def test_the_classroom_preset_takes_ten_of_many_classes(page, folders, measured, started):
    write_small_dataset("many", classes=24, train=2, val=1)
    button(page(dataset="many"), "Start training").click().run()
    assert started[0].classes == 10


def test_the_length_is_shown_before_start(page, small_dataset, measured):
    shown = page(dataset="small")
    assert shown.metric[0].value == "about 3 min"
    assert any("390 images per second" in item.value for item in shown.caption)
    assert not shown.warning


def test_an_unreasonable_length_is_warned_of_with_an_offer_that_fits(
    page, small_dataset, measured, started
):
    measured.seconds = 4 * 3600.0
    shown = page(dataset="small", preset="Reference")
    assert "long" in shown.warning[0].value
    button(shown, "8 epochs instead of 35").click().run()
    measured.seconds = 3000.0
    button(shown, "Start training").click().run()
    assert started[0].epochs == 8
    measured.seconds = 4 * 24 * 3600.0
    shown = page(dataset="small", preset="Reference", run="new")
    button(shown, "The classroom preset").click().run()
    assert shown.session_state["preset"] == "classroom"


def test_a_new_machine_is_measured_in_a_job(page, small_dataset, monkeypatch):
    calls = []
    monkeypatch.setattr(measure, "measure", lambda *args: calls.append(args))
    monkeypatch.setattr(measure, "estimate_cached", lambda config: None)
    page(dataset="small")
    for job in jobs.active():
        job.wait(10)
    assert [(config.dataset, classes) for config, classes, _ in calls] == [("small", 3)]


def test_nothing_is_measured_while_a_run_trains(page, small_dataset, monkeypatch):
    monkeypatch.setattr(measure, "estimate_cached", lambda config: None)
    monkeypatch.setattr(measure, "measure", lambda *_: pytest.fail("measured"))
    writer = RunWriter.create(run_info(small_dataset, TrainConfig(dataset="small")))
    shown = page(dataset="small", run="new")
    assert any("when nothing else trains" in item.value for item in shown.caption)
    assert writer.run.name in shown.info[0].value
    writer.close()


def test_a_second_start_is_refused_with_what_runs(page, small_dataset, measured):
    supervisor.start(TrainConfig(dataset="small", width=2, epochs=1000, precision="fp32"), "first")
    shown = page(dataset="small", run="new")
    button(shown, "Start training").click().run()
    assert "'first'" in shown.error[0].value and "stop it first" in shown.error[0].value
    assert [run.name for run in list_runs()] == ["first"]


@pytest.fixture
def active_run(small_dataset):
    writer = RunWriter.create(run_info(small_dataset, TrainConfig(dataset="small", epochs=5)))
    yield writer
    if writer.run.is_locked():
        writer.close()


def test_the_run_that_trains_is_shown_unasked(page, active_run):
    shown = page()
    assert shown.selectbox(key="train-run").value == active_run.run.name
    assert labels(shown) == ["Pause", "Stop"]


def test_pause_resume_and_stop_ask_whoever_trains(page, active_run):
    shown = page(run=active_run.run.name)
    button(shown, "Pause").click().run()
    assert active_run.run.requested() == "pause"
    active_run.update(status="paused")
    button(shown.run(), "Resume").click().run()
    assert active_run.run.requested() == ""
    active_run.update(status="running")
    button(shown.run(), "Stop").click().run()
    assert active_run.run.requested() == "stop"


def test_a_failed_run_says_why(page, active_run):
    active_run.update(status="failed", message="The loss became infinite; lower the learning rate.")
    active_run.close()
    shown = page(run=active_run.run.name)
    assert shown.error[0].value == "The loss became infinite; lower the learning rate."


@pytest.mark.parametrize("status", ["stopped", "interrupted"])
def test_a_run_that_ended_early_offers_resume(page, active_run, monkeypatch, status):
    resumed = []
    monkeypatch.setattr(supervisor, "resume", lambda name: resumed.append(name) or name)
    if status == "stopped":
        active_run.update(status="stopped")
    active_run.close()  # else nobody holds the lock: interrupted
    shown = page(run=active_run.run.name)
    button(shown, "Resume").click().run()
    assert resumed == [active_run.run.name]


def test_an_address_of_a_run_that_is_gone_says_so(page, finished_run):
    assert "long-gone" in page(run="long-gone").warning[0].value
    finished_run.delete()  # the last one
    assert finished_run.name in page(run=finished_run.name).warning[0].value


def test_choosing_a_run_puts_it_into_the_address(page, finished_run, measured):
    shown = page(run="new")
    shown.selectbox(key="train-run").select(finished_run.name).run()
    assert finished_run.name in shown.query_params["run"]


# The range test


@pytest.fixture
def tried(monkeypatch):
    """Range tests that were run, none of them really: each finds 0.02."""
    configs = []

    def run(config, report):
        configs.append(config)
        field = "muon_learning_rate" if config.optimizer == "muon" else "learning_rate"
        rates = np.geomspace(1e-3, 10, 50)
        losses = np.r_[np.linspace(2.3, 1.5, 30), np.linspace(1.5, 6, 20)]
        return range_test.RangeTest(field, rates, losses, losses, 2.3, 0.02, True)

    monkeypatch.setattr(range_test, "range_test", run)
    yield configs
    for job in [job for key, job in jobs._jobs.items() if "range test" in key]:
        jobs.forget(job.key)


def try_rates(shown):
    button(shown, "Run the test").click().run()
    for job in jobs.active():
        job.wait(10)
    return shown.run()


def test_a_range_test_is_drawn_and_its_suggestion_taken_over(page, small_dataset, measured, tried):
    shown = open_groups(page(dataset="small"))
    shown.selectbox(key="classroom-optimizer").select("sgd").run()
    try_rates(shown)
    assert [config.optimizer for config in tried] == ["sgd"]
    data = json.loads(shown.get("plotly_chart")[0].proto.spec)
    assert data["layout"]["xaxis"]["type"] == "log"
    assert any("suggested 0.02" in note["text"] for note in data["layout"]["annotations"])
    button(shown, "Take over 0.02").click().run()
    assert shown.number_input(key="classroom-learning_rate").value == 0.02
    assert shown.run().number_input(key="classroom-learning_rate").value == 0.02
    assert not shown.warning  # of Streamlit, about a default beside a value that was set
    assert shown.number_input(key="classroom-muon_learning_rate").value == 0.1
    assert button(shown, "Take over 0.02").disabled  # the curve stays, the form says so already
    assert len(tried) == 1


def test_with_muon_both_rates_are_taken_over_in_proportion(page, small_dataset, measured, tried):
    shown = open_groups(try_rates(page(dataset="small")))
    assert any("Muon has a rate of its own" in item.value for item in shown.caption)
    button(shown, "Take over 0.02").click().run()
    assert shown.number_input(key="classroom-muon_learning_rate").value == 0.02
    assert shown.number_input(key="classroom-learning_rate").value == 0.06
    assert button(shown, "Take over 0.02").disabled


def test_a_range_test_that_failed_says_why_and_can_be_run_again(
    page, small_dataset, measured, tried, monkeypatch
):
    def fail(config, report):
        raise UserError("This machine has no cuda device.")

    works = range_test.range_test
    monkeypatch.setattr(range_test, "range_test", fail)
    shown = try_rates(page(dataset="small"))
    assert shown.error[0].value == "This machine has no cuda device."
    monkeypatch.setattr(range_test, "range_test", works)
    button(shown, "Run it again").click().run()
    for job in jobs.active():
        job.wait(10)
    assert "Take over 0.02" in labels(shown.run())


def test_no_range_test_begins_while_a_run_trains(page, active_run, measured, tried):
    shown = page(dataset="small", run="new")
    assert "Run the test" not in labels(shown)
    assert any("when nothing else trains" in item.value for item in shown.caption)


def test_a_range_test_gives_way_to_training(page, small_dataset, measured, started, monkeypatch):
    begun = threading.Event()

    def endless(config, report):
        begun.set()
        while True:
            report(0.5, "Trying")
            time.sleep(0.01)

    monkeypatch.setattr(range_test, "range_test", endless)
    shown = page(dataset="small")
    button(shown, "Run the test").click().run()
    assert begun.wait(10)
    (job,) = jobs.active()
    button(shown, "Start training").click().run()
    assert job.wait(10).state == "stopped" and len(started) == 1
    jobs.forget(job.key)


def test_an_interrupted_run_is_found_again_and_can_be_resumed(active_run, page, monkeypatch):
    active_run.close()  # nobody holds the lock: its program is gone
    name = active_run.run.name
    asked = []
    monkeypatch.setattr(supervisor, "resume", lambda name: asked.append(name) or name)
    opened = page()
    assert f"The run '{name}' was cut off in epoch" in " ".join(m.value for m in opened.markdown)
    button(opened, "Resume it").click().run()
    assert asked == [name]


def test_a_run_that_came_with_the_program_is_not_the_one_to_watch(finished_run, page):
    info = json.loads((finished_run.folder / "run.json").read_text(encoding="utf-8"))
    (finished_run.folder / "run.json").write_text(json.dumps(info | dict(shipped=True)))
    opened = page()
    assert not opened.exception
    assert button(opened, "Start training")


# Replay


def moment(shown) -> str:
    """The replay in the address: a list where a test put it there, a text where the page did."""
    value = shown.query_params["replay"]
    return value if isinstance(value, str) else value[0]


def test_a_run_that_has_ended_can_be_played_again(page, finished_run):
    shown = page(run=finished_run.name)
    button(shown, "Play it again").click().run()
    text = moment(shown)
    assert text.startswith("1x-since-") and time.time() - float(text.split("-")[2]) < 30
    assert any("nothing is trained" in item.value for item in shown.caption)


def test_a_replay_is_paused_goes_on_and_is_left(page, finished_run):
    began = time.time() + 1000  # of a training of 3.6 s: nothing of it has been played
    shown = page(run=finished_run.name, replay=f"20x-since-{began:.3f}")
    assert "Play it again" not in labels(shown)
    button(shown, "Pause the replay").click().run()
    assert moment(shown) == "20x-at-0.000"
    shown.selectbox(key=f"replay-speed-{finished_run.name}").select(50).run()
    assert moment(shown) == "50x-at-0.000"
    button(shown, "Go on").click().run()
    assert moment(shown).startswith("50x-since-")
    button(shown, "Leave the replay").click().run()
    assert "replay" not in shown.query_params
    assert "Play it again" in labels(shown)


def test_at_its_end_a_replay_stands_still_and_offers_to_play_again(page, finished_run):
    shown = page(run=finished_run.name, replay="10x-since-1000.0")
    assert {"Play it again", "Leave the replay"} <= set(labels(shown))
    button(shown, "Play it again").click().run()
    assert moment(shown).startswith("10x-since-1")


def test_an_address_of_no_replay_says_so_and_shows_the_run(page, finished_run):
    shown = page(run=finished_run.name, replay="<b>now</b>")
    assert "names no moment of a replay" in shown.error[0].value
    assert "Play it again" in labels(shown) and "Leave the replay" not in labels(shown)


def test_without_time_to_train_a_finished_run_can_be_played(page, finished_run, measured):
    shown = page(run="new")
    button(shown, f"Play {finished_run.name} again").click().run()
    assert moment(shown).startswith("1x-since-1")
    assert shown.selectbox(key="train-run").value == finished_run.name
    assert "Leave the replay" in labels(shown)


def test_what_trains_is_live_whatever_the_address_says(page, active_run):
    shown = page(run=active_run.run.name, replay="10x-at-1.0")
    assert labels(shown) == ["Pause", "Stop"]


def test_another_run_is_not_replayed_because_this_one_was(page, finished_run, measured):
    shown = page(run=finished_run.name, replay="10x-at-1.0")
    shown.selectbox(key="train-run").select("new").run()
    assert "replay" not in shown.query_params


def test_a_run_without_a_step_offers_no_replay(page, active_run):
    active_run.update(status="stopped")
    active_run.close()
    assert "Play it again" not in labels(page(run=active_run.run.name))
