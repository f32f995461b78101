"""The bottleneck page in a real browser: points that move, and a class taught from five pictures of the sample."""

import pytest
from playwright.sync_api import expect

from tinymodel import checkpoint
from tinymodel.config import TrainConfig
from tinymodel.data import prepare_sample
from tinymodel.representation.features import study_run
from tinymodel.representation.projection import project
from tinymodel.runs import Run, list_runs
from tinymodel.training.loop import Training

SLOW = 240_000  # milliseconds at most: how long a busy machine may take
PLACES = """() => document.querySelector('.tm-map .js-plotly-plot').data.map((trace) => [...trace.x].slice(0, 5))"""


@pytest.fixture
def sample_run(folders) -> Run:
    """A little training on seven of the sample's classes: three are kept for later."""
    prepare_sample("sample", train=24, val=10)
    config = TrainConfig(
        dataset="sample",
        hold_out_classes=3,
        width=4,
        epochs=1,
        batch_size=24,
        precision="fp32",
        device="cpu",
    )
    training = Training.create(config, "sample-7-of-10")
    training.train()
    return Run.open("sample-7-of-10")


def test_points_move_along_the_slider_and_a_click_shows_neighbours(tab, server, sample_run):
    tab.goto(f"{server.url}/bottleneck?run={sample_run.name}")
    tab.wait_for_selector(".tm-map[data-ready]", timeout=SLOW)
    begin = tab.evaluate(PLACES)
    slider = tab.get_by_role("slider", name="Layer k")
    tab.evaluate("""() => { window.seen = []; const plot = document.querySelector('.tm-map .js-plotly-plot')
        plot.on('plotly_restyle', () => window.seen.push(plot.data[0].x[0])) }""")
    slider.press("ArrowRight")
    expect(tab.locator(".tm-map-title")).to_contain_text("k = 1 · First block", timeout=SLOW)
    expect(slider).to_have_value("1")
    tab.wait_for_url("**k=1*", timeout=SLOW)  # in the address, once it rests
    after = tab.evaluate(PLACES)
    assert after != begin
    between = tab.evaluate("window.seen")
    low, high = sorted((begin[0][0], after[0][0]))
    assert len(between) >= 2  # it moved and did not jump
    assert all(low - 1e-4 <= place <= high + 1e-4 for place in between)

    study = study_run(sample_run)  # what the browser shows is what the package laid out
    chosen = study.of_classes(range(10))
    expected = project(study, chosen, 2).points[1, :5, 0].clip(-1.3, 1.3)
    assert after[0] == pytest.approx(expected, abs=1e-3)

    tab.get_by_role("button", name="Another picture").click()
    tab.wait_for_url("**image=*", timeout=SLOW)
    expect(tab.get_by_text("Raw pixels:")).to_be_visible(timeout=SLOW)


def test_a_new_class_is_taught_from_five_pictures_and_kept_as_a_run(tab, server, sample_run):
    trained_on = checkpoint.load(sample_run.folder / "best.pt")["weights"]
    tab.goto(f"{server.url}/bottleneck?run={sample_run.name}&part=teach")
    expect(tab.get_by_role("heading", name="Watch it learn")).to_be_visible(timeout=SLOW)
    expect(tab.get_by_text("from 5 pictures a class (draw 1 of 5)")).to_be_visible(timeout=SLOW)
    shown = tab.locator("[data-testid=stMetricValue]").inner_text()
    expect(tab.get_by_text("says:").first).to_be_visible(timeout=SLOW)
    tab.get_by_role("textbox", name="Name of the run").fill("three-new-things")
    tab.get_by_role("textbox", name="Name of the run").press("Enter")
    tab.get_by_role("button", name="Save as a run").click()
    expect(tab.get_by_text("Saved as the run 'three-new-things'")).to_be_visible(timeout=SLOW)

    saved = Run.open("three-new-things")
    assert {run.name for run in list_runs()} == {"sample-7-of-10", "three-new-things"}
    assert f"{100 * saved.best_accuracy:.1f} %" == shown
    held_out = {item["wnid"] for item in sample_run.info()["held_out"]}
    assert {item.wnid for item in saved.classes} == held_out
    weights = checkpoint.load(saved.folder / "best.pt")["weights"]
    assert (weights["first.conv1.weight"] == trained_on["first.conv1.weight"]).all()  # frozen

    tab.get_by_role("link", name="Where does it look?").click()
    expect(tab.get_by_role("heading", name="Grad-CAM")).to_be_visible(timeout=SLOW)
    expect(tab.get_by_text("How sure it is (confidence)")).to_be_visible(timeout=SLOW)
