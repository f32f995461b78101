"""A report says what the run's numbers say, whatever is missing, and whatever things are called."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from conftest import run_info

from tinymodel import report_words as words
from tinymodel.config import TrainConfig
from tinymodel.data.prepared import remove_dataset
from tinymodel.report import write_report
from tinymodel.run_writer import RunWriter
from tinymodel.runs import Run

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title><svg onload=alert(1)>",
    "'; DROP TABLE x; --",
    "&lt;b&gt; &amp; <b>",
    "\x00\x1b[31m\ud800",
]


class Page(HTMLParser):
    """Which elements and attributes a browser would see, and the text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(text)
        self.text = re.sub(r"\s+", " ", " ".join(self.texts))

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attributes]

    def handle_data(self, data):
        self.texts.append(data)


def test_it_says_how_often_the_network_is_right_and_what_guessing_would_be(scored_run):
    page = Page(write_report(scored_run))
    answers = scored_run.predictions()
    right = (answers["label"] == answers["prediction"]).sum()
    assert f"Of 90 pictures that it had never seen it named {right} correctly" in page.text
    assert f"right {round(100 * right / 90)} times in 100" in page.text
    assert "guessing would be right 17 times in 100" in page.text
    assert "95 % interval" in page.text


def test_it_stands_alone(scored_run):
    text = write_report(scored_run)
    page = Page(text)
    assert not {"script", "link", "iframe", "object", "embed"} & set(page.tags)
    sources = [value for tag, name, value in page.attributes if name in ("src", "href")]
    assert sources and all(value.startswith("data:image/png;base64,") for value in sources)
    assert "http" not in text and "url(" not in text and "@import" not in text
    assert len(text.encode()) < 1_000_000


def test_every_picture_and_curve_has_words(scored_run):
    page = Page(write_report(scored_run))
    alts = [value for tag, name, value in page.attributes if (tag, name) == ("img", "alt")]
    labels = [value for tag, name, value in page.attributes if name == "aria-label"]
    assert len(alts) == page.tags.count("img") and all(alts)
    assert page.tags.count("svg") == 3 and len(labels) == 3
    assert "validation begins at" in labels[0] and "\u00a0%" in labels[0]


def test_it_shows_the_surest_answers_with_heat_maps_and_other_wrong_ones(scored_run):
    page = Page(write_report(scored_run))
    for title in ("Right and sure of it", "Wrong and sure of it", "More wrong answers"):
        assert title in page.text
    wrong = scored_run.predictions().query("label != prediction").sort_values("confidence")
    surest = wrong.iloc[-1]
    true, says = (scored_run.classes[surest[name]].name for name in ("label", "prediction"))
    said = f"says: {says}, {words.percent(surest['confidence'])}"
    assert f"true: {true} {said.replace(chr(0xA0), ' ')}" in page.text
    heat = [value for _, name, value in page.attributes if name == "alt" and "looked" in value]
    assert 2 <= len(heat) <= 6


def rename_everything(run, name: str) -> None:
    """As another program might have written it: classes and dataset of this name."""
    file = run.folder / "run.json"
    info = json.loads(file.read_text(encoding="utf-8"))
    for item in info["classes"]:
        item["name"] = item["description"] = name
    info["config"]["dataset"] = name
    file.write_text(json.dumps(info), encoding="utf-8")


@pytest.mark.parametrize("nasty", NASTY)
def test_names_never_become_html(scored_run, nasty):
    plain = Page(write_report(scored_run))
    rename_everything(scored_run, nasty)
    text = write_report(Run.open("scored"))
    page = Page(text)
    assert page.tags.count("img") == plain.tags.count("img")
    assert set(page.tags) == set(plain.tags)
    assert {name for _, name, _ in page.attributes} == {name for _, name, _ in plain.attributes}
    readable = nasty.translate({0: "\ufffd", 0x1B: "\ufffd", 0xD800: "\ufffd"})
    assert "".join(page.texts).count(readable) > 10
    assert text.encode("utf-8")


def test_long_names_keep_it_small(scored_run):
    before = len(write_report(scored_run))
    rename_everything(scored_run, "x" * 99_999)
    assert len(write_report(Run.open("scored"))) < before + 10_000


def test_without_its_dataset_it_says_so_and_keeps_the_numbers(scored_run):
    remove_dataset("six")
    page = Page(write_report(scored_run))
    assert "There are no pictures in this report." in page.text and "'six'" in page.text
    assert "img" not in page.tags
    assert "Most frequent confusions" in page.text


def test_without_weights_there_are_pictures_but_no_heat_maps(scored_run):
    (scored_run.folder / "best.pt").unlink()
    page = Page(write_report(scored_run))
    assert "There are no heat maps in this report." in page.text and "no weights" in page.text
    assert "More wrong answers" in page.text and "img" in page.tags


def test_missing_answers_are_made(scored_run):
    (scored_run.folder / "predictions.parquet").unlink()
    page = Page(write_report(scored_run))
    assert "Most frequent confusions" in page.text
    assert scored_run.predictions() is not None


def test_a_run_with_tables_only_is_reported_by_them(finished_run):
    remove_dataset("small")
    page = Page(write_report(finished_run))
    best = finished_run.best_accuracy
    assert f"it named {round(12 * best)} correctly" in page.text
    assert "its answers were not kept" in page.text
    assert "3 of 3" in page.text


def test_a_run_before_its_first_epoch_has_a_report_that_says_so(small_dataset):
    writer = RunWriter.create(run_info(small_dataset, TrainConfig(dataset="small", epochs=3)))
    writer.close()
    page = Page(write_report(writer.run))
    assert "nobody knows yet how good it is" in page.text
    assert "No numbers were recorded." in page.text
    assert "0 of 3 epochs only" in page.text


def test_rows_that_are_no_numbers_leave_gaps(scored_run):
    table = pd.concat([scored_run.epochs()] * 4, ignore_index=True)
    table["epoch"] = [1, 2, 3, 4]
    table.loc[1, ["train_loss", "val_loss", "val_accuracy"]] = np.nan
    table.loc[2, ["train_loss", "lr"]] = np.inf
    table.to_csv(scored_run.folder / "epochs.csv", index=False)
    text = write_report(scored_run)
    assert not re.search(r"\bnan\b|\binf\b", text, re.IGNORECASE)
    points = [value for _, name, value in Page(text).attributes if name == "points"]
    assert [len(value.split()) for value in points[:4]] == [3, 4, 3, 2]


def test_only_rows_that_are_no_numbers(scored_run):
    table = scored_run.epochs().astype(float)
    table.loc[:, table.columns != "epoch"] = np.nan
    table.to_csv(scored_run.folder / "epochs.csv", index=False)
    (scored_run.folder / "steps.csv").unlink()
    assert Page(write_report(scored_run)).text.count("No numbers were recorded.") == 3


def test_it_can_be_stopped(scored_run):
    class Stopped(Exception):
        pass

    def report(fraction, message):
        assert 0 <= fraction <= 1
        if "heat map" in message:
            raise Stopped

    with pytest.raises(Stopped):
        write_report(scored_run, report)


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.874, "87 times in 100"),
        (1 / 200, "once in 200"),
        (0.01, "once in 100"),
        (1.0, "every time"),
        (0.998, "99 times in 100"),
        (0.0, "never"),
        (float("nan"), "an unknown share of the time"),
    ],
)
def test_shares_in_words(share, said):
    assert words.in_100(share) == said


def findings(run, **epochs) -> words.Findings:
    table = pd.DataFrame(dict(epoch=[1], lr=[0.1], seconds=[1.0], **epochs))
    return words.Findings(run, table, run.steps(), None, None, "")


@pytest.mark.parametrize(
    ("train", "val", "said"),
    [(0.99, 0.6, "overfitting"), (0.4, 0.6, "augmentation"), (0.61, 0.6, "about as often")],
)
def test_learning_by_heart_is_named(finished_run, train, val, said):
    found = findings(finished_run, train_accuracy=[train], val_accuracy=[val])
    assert said in words.by_heart(found)


def test_no_better_than_guessing_is_said(finished_run):
    found = findings(finished_run, train_accuracy=[0.3], val_accuracy=[0.34])
    assert "learned next to nothing yet" in words.how_often_right(found)
