"""Time-lapse: pinned images, recorded after every epoch from a copy of the weights."""

import json

import numpy as np
import pytest
import torch

from tinymodel.config import TrainConfig
from tinymodel.errors import UserError
from tinymodel.evaluation import evaluate_run
from tinymodel.explain import timelapse
from tinymodel.training.loop import Training

pytestmark = pytest.mark.usefixtures("small_dataset")


def trained(name: str, hooks=(timelapse.record,), **changes):
    config = TrainConfig(dataset="small", width=4, batch_size=8, precision="fp32", **changes)
    training = Training.create(config, name, hooks)
    training.train()
    return training.run


def test_every_epoch_of_a_real_run_is_recorded_for_one_image_of_each_class():
    run = trained("watched", epochs=3)
    moments = timelapse.read_moments(run)
    assert sorted(moments) == timelapse.read_pins(run)
    assert len(moments) == 3  # the classes of the small dataset
    for epochs in moments.values():
        assert sorted(epochs) == [1, 2, 3]
        assert all(moment.heat.shape == (8, 8) for moment in epochs.values())
        assert all(moment.heat.min() >= 0 for moment in epochs.values())
    size = (run.folder / timelapse.RECORD).stat().st_size
    assert size / (3 * 3) < 700  # bytes a line


def test_the_last_moment_says_what_the_network_of_that_epoch_says():
    run = trained("watched", epochs=1)
    predictions = evaluate_run(run).set_index("index")
    for index, epochs in timelapse.read_moments(run).items():
        row = predictions.loc[index]
        assert epochs[1].prediction == row["prediction"]
        assert epochs[1].true_probability == pytest.approx(row["true_probability"], abs=1e-3)
        assert epochs[1].top[0] == (row["prediction"], pytest.approx(row["confidence"], abs=1e-3))


def test_recording_changes_nothing_of_the_training():
    watched, alone = trained("watched", epochs=2), trained("alone", hooks=(), epochs=2)
    a, b = (run.network("last").state_dict() for run in (watched, alone))
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert watched.steps()["train_loss"].equals(alone.steps()["train_loss"])


def test_an_image_pinned_later_begins_at_that_epoch():
    def pin_late(run, epoch, network):
        if epoch == 2:
            timelapse.write_pins(run, [*timelapse.read_pins(run), int(run.val_indices[1])])

    run = trained("late", hooks=(pin_late, timelapse.record), epochs=3)
    moments = timelapse.read_moments(run)
    assert sorted(moments[int(run.val_indices[1])]) == [2, 3]
    assert sorted(moments[int(run.val_indices[0])]) == [1, 2, 3]


def test_a_hook_that_fails_does_not_end_the_training(caplog):
    def broken(run, epoch, network):
        raise RuntimeError("no such thing")

    run = trained("brave", hooks=(broken,), epochs=2)
    assert run.status == "finished"
    assert "A hook failed after epoch 2" in caplog.text


def test_torn_foreign_and_superseded_lines_are_passed_over(finished_run):
    line = dict(
        epoch=2,
        index=5,
        heat=timelapse._pack(np.ones((8, 8), np.float32)),
        prediction=1,
        true_probability=0.25,
        top=[[1, 0.5]],
    )
    later, cut = line | dict(prediction=2), line | dict(epoch=9)
    lines = [json.dumps(line), "nonsense", '{"epoch": 1}', json.dumps(later), json.dumps(cut)]
    (finished_run.folder / timelapse.RECORD).write_text("\n".join([*lines, json.dumps(line)[:40]]))
    moments = timelapse.read_moments(finished_run)
    assert list(moments) == [5]
    assert list(moments[5]) == [2]  # epoch 9 is not in the table of three epochs
    assert moments[5][2].prediction == 2


def test_there_are_sixteen_pins_at_most_and_damaged_ones_are_none(finished_run):
    timelapse.write_pins(finished_run, [*range(16), 3])
    assert timelapse.read_pins(finished_run) == list(range(16))
    with pytest.raises(UserError, match="At most 16"):
        timelapse.write_pins(finished_run, range(17))
    (finished_run.folder / timelapse.PINS).write_text("{")
    assert timelapse.read_pins(finished_run) == []


def test_images_chosen_before_a_training_are_watched_from_its_first_epoch():
    first = trained("first", epochs=1)
    chosen = first.val_indices[[1, 5]].tolist()
    timelapse.write_next_pins(first, chosen)
    moments = timelapse.read_moments(trained("second", epochs=2))
    assert sorted(moments) == sorted(chosen)
    assert all(sorted(epochs) == [1, 2] for epochs in moments.values())
    timelapse.write_next_pins(first, [])
    assert len(timelapse.read_pins(trained("third", epochs=1))) == 3  # one of each class
