"""The loop: reproducible, resumable bit for bit, obedient, and honest when something goes wrong."""

import threading
import time
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
import torch

from tinymodel import checkpoint
from tinymodel.config import TrainConfig
from tinymodel.data.prepared import open_dataset
from tinymodel.data.tiny_imagenet import prepare_tiny_imagenet
from tinymodel.errors import UserError
from tinymodel.paths import archive_path
from tinymodel.runs import Run
from tinymodel.training import loop
from tinymodel.training.loop import ActiveClock, Training

TIMES = ["seconds", "images_per_second"]  # the only columns that two equal runs may differ in


def config(**changes) -> TrainConfig:
    values = dict(
        dataset="small", width=4, epochs=3, batch_size=8, precision="fp32", learning_rate=0.05
    )
    return TrainConfig(**values | changes)


def tables(run: Run) -> list[pd.DataFrame]:
    return [run.steps().drop(columns=TIMES), run.epochs().drop(columns=TIMES)]


def weights(run: Run, file: str = "last.pt") -> dict:
    return checkpoint.load(run.folder / file)["weights"]


def same(one: Run, other: Run) -> bool:
    return all(
        torch.equal(a, b)
        for a, b in zip(weights(one).values(), weights(other).values(), strict=True)
    ) and all(a.equals(b) for a, b in zip(tables(one), tables(other), strict=True))


def trained(name: str, **changes) -> Run:
    training = Training.create(config(**changes), name)
    training.train()
    return training.run


class Killed(BaseException):
    """Stands for a process that dies: no handler of the loop may turn it into an orderly end."""


def killed_at(monkeypatch, name: str, step: int, **changes) -> Run:
    """A run whose process dies after `step` steps: status and lock are left as a SIGKILL would leave them."""
    training = Training.create(config(**changes), name)
    original = Training._obey

    def die(self):
        original(self)
        if self.epoch * self.batches.steps + self.step >= step:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_obey", die)
        patch.setattr(loop, "record_failure", lambda *_: None)
        with pytest.raises(Killed):
            training.train()
    return training.run


@pytest.mark.usefixtures("small_dataset")
class TestOnSmallData:
    def test_a_finished_run_has_its_tables_weights_and_predictions(self):
        run = trained("whole")
        assert run.status == "finished"
        assert len(run.epochs()) == 3
        assert run.steps()["step"].tolist() == list(
            range(1, 16)
        )  # 36 images in batches of 8: 5 steps
        assert run.best_accuracy > 0.6
        best = checkpoint.load(run.folder / "best.pt")
        assert best["val_accuracy"] == pytest.approx(run.best_accuracy)
        predictions = run.predictions()
        assert len(predictions) == 12
        right = (predictions["label"] == predictions["prediction"]).mean()
        assert right == pytest.approx(run.best_accuracy)
        assert not run.network().training

    def test_the_same_seed_gives_the_same_losses_and_another_seed_others(self):
        one, two, other = trained("one"), trained("two"), trained("other", seed=1)
        assert same(one, two)
        assert not tables(one)[0].equals(tables(other)[0])

    @pytest.mark.parametrize("step", [2, 5, 7])  # in the first epoch, at its end, in the second
    @pytest.mark.parametrize("averaging", [0.0, 0.5])
    def test_a_killed_and_resumed_run_equals_one_never_interrupted(
        self, monkeypatch, step, averaging
    ):
        changes = dict(checkpoint_seconds=1.0, weight_averaging=averaging)
        monkeypatch.setattr(loop, "FLUSH_SECONDS", 0)
        whole = trained("whole", **changes)
        run = killed_at(monkeypatch, "killed", step, **changes)
        assert run.status == "interrupted"
        training = Training.resume("killed")
        training.train()
        assert run.status == "finished"
        assert same(run, whole)

    def test_a_run_stopped_in_the_middle_of_an_epoch_goes_on_exactly_there(self, monkeypatch):
        whole = trained("whole")
        training = Training.create(config(), "stopped")
        monkeypatch.setattr(loop, "POLL_SECONDS", 0)
        original = Training._train_epoch

        def stop_in_second_epoch(self):
            if self.epoch == 1:
                learner = self.learner

                def counting(*batch):
                    if self.step == 1:
                        self.run.request("stop")
                    return learner(*batch)

                counting.lr = learner.lr
                self.learner = type(
                    "Counting",
                    (),
                    {
                        "__call__": staticmethod(counting),
                        "__getattr__": lambda _, name: getattr(learner, name),
                    },
                )()
            original(self)

        with monkeypatch.context() as patch:
            patch.setattr(Training, "_train_epoch", stop_in_second_epoch)
            training.train()
        assert training.run.status == "stopped"
        state = checkpoint.load(training.run.folder / "last.pt")
        assert (state["epoch"], state["step"]) == (1, 2)
        Training.resume("stopped").train()
        assert same(training.run, whole)

    def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(self, monkeypatch):
        whole = trained("whole")
        run = killed_at(monkeypatch, "killed", 12)
        assert (run.folder / "previous.pt").exists()
        last = run.folder / "last.pt"
        last.write_bytes(last.read_bytes()[:1000])
        Training.resume("killed").train()
        assert same(run, whole)

    def test_pause_holds_and_resume_goes_on(self):
        training = Training.create(config(epochs=200), "paused")
        thread = threading.Thread(target=training.train)
        thread.start()
        run = training.run
        wait_for(lambda: len(run.steps()) > 5)
        run.request("pause")
        wait_for(lambda: run.status == "paused", 2)
        steps = len(run.steps())
        time.sleep(0.5)
        assert len(run.steps()) == steps
        run.request("resume")
        wait_for(lambda: len(run.steps()) > steps)
        assert run.status == "running"
        run.request("stop")
        thread.join(2)
        assert not thread.is_alive()
        assert run.status == "stopped"

    def test_a_stop_during_a_pause_ends_the_run(self):
        training = Training.create(config(epochs=200), "paused")
        thread = threading.Thread(target=training.train)
        training.run.request("pause")
        thread.start()
        wait_for(lambda: training.run.status == "paused")
        training.run.request("stop")
        thread.join(2)
        assert training.run.status == "stopped"

    def test_a_loss_that_is_not_a_number_fails_the_run_and_keeps_the_last_good_weights(self):
        training = Training.create(
            config(learning_rate=10.0, label_smoothing=0.0, optimizer="sgd"), "nan"
        )
        original = loop.TrainStep.__call__

        def poisoned(self, images, labels, *rest):
            if training.epoch == 1:
                images = images * float("nan")
            return original(self, images, labels, *rest)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop.TrainStep, "__call__", poisoned)
            with pytest.raises(UserError, match="not a number at step 6"):
                training.train()
        run = training.run
        assert run.status == "failed"
        assert "Try a learning rate of a third" in run.message
        assert "Traceback" in (run.folder / "log.txt").read_text()
        kept = [weights(run, file) for file in ("last.pt", "best.pt")]
        for state in [*kept, training.learner.network.state_dict()]:  # norm statistics too
            assert all(torch.isfinite(value).all() for value in state.values())
        assert np.isfinite(run.steps().to_numpy()).all()

    def test_a_full_disk_stops_the_run_which_can_be_resumed(self, monkeypatch):
        whole = trained("whole")
        training = Training.create(config(), "full")
        original = checkpoint.save

        def full(state, file, keep_as=None):
            if state["epoch"] >= 2:
                raise OSError(28, "No space left on device")
            original(state, file, keep_as)

        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, "save", full)
            with pytest.raises(OSError, match="No space"):
                training.train()
        assert training.run.status == "stopped"
        assert training.run.message.startswith("The disk is full")
        Training.resume("full").train()
        assert same(training.run, whole)

    def test_a_run_cannot_go_on_with_other_data_or_when_finished(self, small_dataset, monkeypatch):
        run = killed_at(monkeypatch, "killed", 7)
        info = small_dataset.folder / "dataset.json"
        info.write_text(info.read_text().replace("small-3-12-4", "another"))
        with pytest.raises(UserError, match="has changed since the run 'killed' began"):
            Training.resume("killed")
        assert not run.is_locked()
        assert not open_dataset("small").fingerprint.startswith("small")
        trained("done", epochs=1)
        with pytest.raises(UserError, match="is finished"):
            Training.resume("done")

    def test_classes_held_out_never_enter_training(self, small_dataset):
        run = trained("held", epochs=1, hold_out_classes=1)
        assert [item.wnid for item in run.classes] == ["n00000000", "n00000001"]
        used = np.concatenate([run.train_indices, run.val_indices])
        assert set(small_dataset.samples["label"].iloc[used]) == {0, 1}


def test_the_clock_leaves_out_sleep_and_pauses():
    now = [0.0]
    clock = ActiveClock(now=lambda: now[0])
    for _ in range(20):
        now[0] += 0.25
        clock.tick()
    assert clock.seconds == pytest.approx(5)
    now[0] += 3600  # the lid was closed
    assert clock.tick() == pytest.approx(0.25)
    now[0] += 3600  # a pause
    clock.skip()
    now[0] += 0.25
    clock.tick()
    assert clock.seconds == pytest.approx(5.5)


@pytest.mark.skipif(not archive_path().is_file(), reason="the genuine archive is not here")
def test_training_on_genuine_images_is_reproducible(folders):
    prepare_tiny_imagenet(
        genuine_extract(folders / "extract.zip", classes=4, per_class=24), "genuine"
    )
    runs = [
        trained(name, dataset="genuine", epochs=2, batch_size=32, optimizer="muon")
        for name in ("one", "two")
    ]
    assert same(*runs)
    assert runs[0].steps()["train_loss"].nunique() == 6


def genuine_extract(file: Path, classes: int, per_class: int) -> Path:
    """A small archive in the official layout: the first ids, their first images, validation images and boxes."""
    with ZipFile(archive_path()) as archive, ZipFile(file, "w") as extract:
        root = "tiny-imagenet-200/"
        ids = sorted(archive.read(f"{root}wnids.txt").decode().split())[:classes]
        rows = archive.read(f"{root}val/val_annotations.txt").decode().splitlines(keepends=True)
        rows = [row for row in rows if row.split("\t")[1] in ids]
        there = set(archive.namelist())
        copies = [f"{root}words.txt", *(f"{root}val/images/{row.split(chr(9))[0]}" for row in rows)]
        for wnid in ids:
            images = [f"{root}train/{wnid}/images/{wnid}_{i}.JPEG" for i in range(500)]
            copies += [f"{root}train/{wnid}/{wnid}_boxes.txt"]
            copies += [image for image in images if image in there][:per_class]
        for name in copies:
            if name in there:
                extract.writestr(name, archive.read(name))
        extract.writestr(f"{root}wnids.txt", "\n".join(ids))
        extract.writestr(f"{root}val/val_annotations.txt", "".join(rows))
    return file


def wait_for(condition, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
