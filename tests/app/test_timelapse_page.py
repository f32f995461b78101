"""The Time-lapse page: the slider moves pictures, answers and curves together, and stays where it was put."""

import json

import pytest
from conftest import add_epoch, run_info

from tinymodel.config import TrainConfig
from tinymodel.explain import timelapse
from tinymodel.run_writer import RunWriter
from tinymodel.training.loop import Training


@pytest.fixture
def watched(small_dataset):
    """A real run of three epochs, recorded."""
    config = TrainConfig(dataset="small", width=4, epochs=3, batch_size=8, precision="fp32")
    training = Training.create(config, "watched", (timelapse.record,))
    training.train()
    return training.run


def open_page(app, **query):
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page("views/timelapse.py").run()
    assert not app.exception
    return app


def pictures(app) -> list[dict]:
    grids = [
        item for item in app.get("bidi_component") if item.proto.component_name == "picture_grid"
    ]
    return json.loads(grids[0].proto.json)["pictures"]


def test_it_opens_on_the_last_epoch_and_the_address_holds_the_one_that_is_chosen(app, watched):
    page = open_page(app, run="watched")
    assert page.slider[0].value == 3
    moments = timelapse.read_moments(watched)
    shown = pictures(page)
    assert len(shown) == len(moments)
    late = [picture["beside"][0]["source"] for picture in shown]
    page.slider[0].set_value(1).run()
    assert page.query_params["epoch"] == "1"
    early = [picture["beside"][0]["source"] for picture in pictures(page)]
    assert early != late
    first = next(iter(moments.values()))[1]
    share = f"{100 * first.true_probability:.1f} %"
    assert share in pictures(page)[0]["beside"][0]["caption"]


def test_new_epochs_do_not_move_the_slider(app, small_dataset):
    config = TrainConfig(dataset="small", epochs=9, width=4)
    writer = RunWriter.create(run_info(small_dataset, config), "going")
    run = writer.run
    line = dict(index=int(run.val_indices[0]), heat=timelapse._pack(run_heat()), prediction=0)
    line |= dict(true_probability=0.5, top=[[0, 0.5], [1, 0.3]])

    def finish(epoch: int) -> None:
        add_epoch(writer, epoch)
        with open(run.folder / timelapse.RECORD, "a", encoding="utf-8") as file:
            file.write(json.dumps(line | dict(epoch=epoch)) + "\n")

    try:
        finish(1)
        finish(2)
        page = open_page(app, run="going", epoch="1")
        assert page.slider[0].value == 1
        assert "2 of 9 epochs are recorded" in " ".join(item.value for item in page.caption)
        finish(3)
        page.run()
        assert page.slider[0].value == 1
        assert "3 of 9 epochs are recorded" in " ".join(item.value for item in page.caption)
        page.slider[0].set_value(7).run()
        assert "Epoch 7 is still to come" in " ".join(item.value for item in page.caption)
    finally:
        writer.close()


def run_heat():
    import numpy as np

    return np.eye(8, dtype=np.float32)


def test_a_run_that_was_not_watched_says_so(app, finished_run):
    page = open_page(app, run=finished_run.name)
    assert "was not watched" in " ".join(item.value for item in page.markdown)


@pytest.mark.parametrize("epoch", ["0", "99", "x", "-1", "9" * 50])
def test_nonsense_in_the_address_is_the_last_epoch(app, watched, epoch):
    assert open_page(app, run="watched", epoch=epoch).slider[0].value == 3
