"""The strip of watched pictures on Train: what is recorded of an epoch is what it shows."""

import asyncio
import base64
import gzip
import io
import json

import numpy as np
from components import insight
from conftest import run_info
from PIL import Image
from starlette.requests import Request

from tinymodel.config import TrainConfig
from tinymodel.explain import timelapse
from tinymodel.run_writer import RunWriter
from tinymodel.runs import Run


def record(run: Run, epoch: int, index: int, says: int, heat: float = 1.0) -> None:
    cells = np.zeros((8, 8), np.float32)
    cells[2, 3] = heat
    line = dict(
        epoch=epoch,
        index=index,
        heat=timelapse._pack(cells),
        prediction=says,
        true_probability=0.25,
        top=[[says, 0.75], [(says + 1) % 3, 0.25]],
    )
    with open(run.folder / timelapse.RECORD, "a") as file:
        file.write(json.dumps(line) + "\n")


def ask(run: str, epoch: int) -> dict:
    request = Request(dict(type="http", path_params=dict(run=run, epoch=epoch)))
    answer = asyncio.run(insight.insight(request))
    assert answer.status_code == 200 and answer.headers["content-encoding"] == "gzip"
    return json.loads(gzip.decompress(answer.body))


def test_an_epoch_comes_with_answers_and_heat_maps_when_it_is_recorded(finished_run):
    row = int(finished_run.val_indices[0])  # of 'colour 0'
    assert ask(finished_run.name, 1) == dict(looks=[])  # its row is there, the maps are not
    record(finished_run, 1, row, says=2)
    record(finished_run, 2, row, says=0)
    (first,), (second,) = (ask(finished_run.name, epoch)["looks"] for epoch in (1, 2))
    assert (first["true"], first["says"], first["sure"]) == ("colour 0", "colour 2", "75.0 %")
    assert not first["right"] and second["right"]
    assert first["picture"].endswith(f"/{row}.png")
    kind, content = first["overlay"].split(";base64,")
    mixed = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))), int)
    assert kind == "data:image/jpeg" and mixed.shape == (insight.SIDE, insight.SIDE, 3)
    cell = insight.SIDE // 8
    there = mixed[2 * cell : 3 * cell, 3 * cell : 4 * cell].mean()
    assert there > mixed[6 * cell :, 6 * cell :].mean() + 30  # bright where the evidence is
    assert ask(finished_run.name, 3) == dict(looks=[])


def test_a_map_without_evidence_is_said_to_be_blank(finished_run):
    record(finished_run, 1, int(finished_run.val_indices[0]), says=1, heat=0.0)
    assert ask(finished_run.name, 1)["looks"][0]["blank"]


def test_an_epoch_is_drawn_once_however_many_ask(finished_run, monkeypatch):
    record(finished_run, 1, int(finished_run.val_indices[0]), says=1)
    drawn, looks = [], insight.looks
    monkeypatch.setattr(
        insight, "looks", lambda run, epoch: drawn.append(epoch) or looks(run, epoch)
    )
    for _ in range(5):
        ask(finished_run.name, 1)
    assert drawn == [1]


def test_what_is_not_there_is_a_sentence(finished_run, folders):
    assert "no run" in ask("nobody", 1)["error"]
    assert "cannot be the name" in ask("..", 1)["error"]
    record(finished_run, 1, int(finished_run.val_indices[0]), says=1)
    (folders / "data" / "small").rename(folders / "data" / ".away")
    assert "prepare it" in ask(finished_run.name, 1)["error"]


def headings(app) -> list[str]:
    return [heading.value for heading in app.subheader]


def test_a_run_that_trains_has_the_strip_before_its_first_epoch(app, small_dataset):
    writer = RunWriter.create(
        run_info(small_dataset, TrainConfig(dataset="small", epochs=9, width=4))
    )
    try:
        app.run()
        app.query_params["run"] = writer.run.name
        app.switch_page("views/train.py").run()
        assert "Where it looks so far" in headings(app)
    finally:
        writer.close()


def test_a_run_that_nobody_watched_has_none(app, finished_run):
    app.run()
    app.query_params["run"] = finished_run.name
    app.switch_page("views/train.py").run()
    assert not [text for text in headings(app) if text.startswith("Where it looks")]
    record(finished_run, 1, int(finished_run.val_indices[0]), says=1)
    app.run()
    assert "Where it looks" in headings(app)
