"""The one training loop: epochs of steps, a validation after each, everything kept in the run folder."""

import errno
import logging
import platform
import statistics
import time
from collections import deque

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tinymodel import checkpoint
from tinymodel.config import TrainConfig
from tinymodel.data import open_dataset
from tinymodel.data.batches import IMAGENET_MEAN, IMAGENET_STD, TrainBatches
from tinymodel.errors import UserError
from tinymodel.evaluation import evaluate, write_predictions
from tinymodel.runs import Run, RunWriter, describe_classes, to_ranges
from tinymodel.training.measure import choose_precision
from tinymodel.training.recipe import TrainStep, find_device, make_network, schedule

FLUSH_SECONDS = (
    0.25  # how long steps wait before they are written, so that no step has to wait for a number
)
POLL_SECONDS = 0.1  # how often the request file is looked at


class StopRequested(Exception):
    """Somebody asked this run to stop; what was learned is in the checkpoint."""


class ActiveClock:
    """Seconds spent working. Pauses do not count, nor does the time a laptop slept between two ticks."""

    LONGEST = 30.0  # of the usual tick: anything longer was sleep

    def __init__(self, seconds: float = 0.0, now=time.monotonic):
        self.seconds, self._now = seconds, now
        self._last, self._ticks = now(), deque(maxlen=64)

    def tick(self) -> float:
        """Count the time since the last tick, and return that time."""
        now = self._now()
        spent, self._last = now - self._last, now
        if len(self._ticks) >= 8:
            usual = statistics.median(self._ticks)
            if spent > max(10.0, self.LONGEST * usual):
                spent = usual
        self._ticks.append(spent)
        self.seconds += spent
        return spent

    def skip(self) -> None:
        """Do not count the time since the last tick."""
        self._last = self._now()


class Training:
    """One run being trained, from `create` or `resume` to `train`, which returns when it has ended."""

    def __init__(self, writer: RunWriter):
        self.writer, self.run = writer, writer.run
        self.config = config = self.run.config
        dataset = open_dataset(config.dataset)
        if dataset.fingerprint != self.run.info()["fingerprint"]:
            raise UserError(
                f"The dataset {config.dataset!r} has changed since the run {self.run.name!r} began, so it cannot go on. "
                "Prepare the former data again, or start a new run."
            )
        self.subset = dataset.subset(config.classes, config.hold_out_classes, config.per_class)
        self.device = find_device(config.device)
        self.epoch = self.step = 0
        self.sums = np.zeros(3)  # of loss, right answers and images, in this epoch
        self.epoch_began = 0.0  # on the active clock
        self.best = -1.0
        self.state: dict | None = None  # to resume from

    @classmethod
    def create(cls, config: TrainConfig, name: str | None = None) -> "Training":
        """Make the run folder.

        Raises:
            UserError: Dataset, classes or device are not there, or the name is taken.
        """
        dataset = open_dataset(config.dataset)
        subset = dataset.subset(config.classes, config.hold_out_classes, config.per_class)
        if not len(subset.val):
            raise UserError(f"The dataset {config.dataset!r} has no validation images to judge by.")
        device = find_device(config.device)
        imagenet = config.normalization == "imagenet"
        network = make_network(config, len(subset.classes))
        info = dict(
            config=config.to_json(),
            model=network.options,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            classes=describe_classes(subset.classes),
            held_out=describe_classes(subset.held_out),
            mean=list(IMAGENET_MEAN if imagenet else dataset.mean),
            std=list(IMAGENET_STD if imagenet else dataset.std),
            fingerprint=dataset.fingerprint,
            train_images=len(subset.train),
            val_images=len(subset.val),
            steps_per_epoch=-(-len(subset.train) // config.batch_size),
            train_indices=to_ranges(subset.train),
            val_indices=to_ranges(subset.val),
            device=device,
            precision=config.precision,
            versions=dict(torch=torch.__version__, python=platform.python_version()),
        )
        writer = RunWriter.create(info, name)
        try:
            return cls(writer)
        except BaseException:
            writer.close()
            raise

    @classmethod
    def resume(cls, name: str) -> "Training":
        """Take up a run where its last whole checkpoint left it.

        Raises:
            UserError: It is being trained, is finished, or its dataset is not there or another.
        """
        if Run.open(name).info()["status"] == "finished":
            raise UserError(f"The run {name!r} is finished; start a new one to train longer.")
        writer = RunWriter.reopen(name)
        try:
            training = cls(writer)
            training.state = newest_checkpoint(writer.run)
            writer.cut(training.state["lengths"] if training.state else None)
            writer.update(status="running", message="")
            return training
        except BaseException:
            writer.close()
            raise

    def train(self) -> None:
        """Train to the end, or until a stop is requested; the status of the run says which.

        Raises:
            Exception: Whatever went wrong, after the run's status, message and log have been written.
        """
        try:
            self._prepare()
            while self.epoch < self.config.epochs:
                self._train_epoch()
                self._validate()
                self.epoch, self.step = self.epoch + 1, 0
                self.sums[:] = 0
                self.epoch_began = self.clock.seconds
                self._save()
            self.writer.update(status="finished", message="")
        except StopRequested:
            self.writer.update(status="stopped", message="")
        except BaseException as error:
            self._record_failure(error)
            raise
        finally:
            self.writer.close()

    def _prepare(self) -> None:
        config, run = self.config, self.run
        if config.precision == "auto" and run.info()["precision"] == "auto":
            self.writer.update(message="Measuring which number format is fastest here")
            chosen = choose_precision(config, len(run.classes), self._stop_while_measuring)
            self.writer.update(precision=chosen, message="")
        self.precision = config.precision if config.precision != "auto" else run.info()["precision"]
        self.batches = TrainBatches(self.subset, config, run.mean, run.std, self.device)
        network = make_network(config, len(run.classes))
        self.learner = TrainStep(network, config, self.device, self.precision)
        self.averaged = None
        if config.weight_averaging:
            decay = 1 - 1 / max(1.0, config.weight_averaging * self.batches.steps)
            self.averaged = AveragedModel(
                network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True
            )
        if self.state is not None:
            self._restore(self.state)
            self.state = None
        else:
            self.clock = ActiveClock()
        self._pending: list[tuple] = []
        self._flushed = self._saved = self._polled = time.monotonic()

    def _train_epoch(self) -> None:
        batches, config = self.batches, self.config
        while self.step < batches.steps:
            self._obey()
            images, labels = batches.batch(self.epoch, self.step)
            share = schedule(config, self.epoch, self.step, batches.steps)
            loss, right = self.learner(images, labels, share)
            if self.averaged is not None:
                self.averaged.update_parameters(self.learner.network)
            self.step += 1
            self._pending.append((self._global_step(), self.learner.lr, loss, right, len(labels)))
            if time.monotonic() - self._flushed >= FLUSH_SECONDS or self.step == batches.steps:
                self._flush()
            if time.monotonic() - self._saved >= config.checkpoint_seconds:
                self._save()

    def _global_step(self) -> int:
        return self.epoch * self.batches.steps + self.step

    def _flush(self) -> None:
        """Fetch the pending losses from the device, all at once, and write their rows."""
        self._flushed = time.monotonic()
        if not self._pending:
            return
        steps, rates, losses, rights, counts = zip(*self._pending, strict=True)
        self._pending = []
        losses = torch.stack(losses).tolist()
        rights = torch.stack(rights).tolist()
        before, spent = self.clock.seconds, self.clock.tick()
        images_per_second = sum(counts) / max(spent, 1e-9)
        rows = []
        for number, values in enumerate(zip(steps, rates, losses, rights, counts, strict=True), 1):
            step, rate, loss, right, count = values
            if not np.isfinite(loss):
                self.writer.append("steps", rows)
                raise UserError(
                    f"The loss became infinite or not a number at step {step}. The last good checkpoint is kept. "
                    "Try a learning rate of a third, or precision fp32."
                )
            self.sums += loss * count, right, count
            seconds = before + spent * number / len(steps)
            rows.append(
                (step, self.epoch + 1, rate, loss, right / count, seconds, images_per_second)
            )
        self.writer.append("steps", rows)

    def _validate(self) -> None:
        """Judge the network on all validation images, write the epoch's row, keep it if it is the best so far."""
        network = self.learner.network if self.averaged is None else self.averaged.module
        network.eval()
        try:
            predictions = evaluate(
                network,
                self.subset.dataset.images,
                self.subset.val,
                self.subset.val_labels,
                self.run.mean,
                self.run.std,
                device=self.device,
                precision=self.precision,
                report=self._obey_while_validating,
            )
        finally:
            self.learner.network.train()
        self.clock.tick()
        loss, right, count = self.sums
        accuracy = float((predictions["label"] == predictions["prediction"]).mean())
        seconds = self.clock.seconds - self.epoch_began
        row = (
            self.epoch + 1,
            self.learner.lr,
            seconds,
            loss / count,
            right / count,
            float(predictions["loss"].mean()),
            accuracy,
            count / max(seconds, 1e-9),
        )
        self.writer.append("epochs", [row])
        if accuracy > self.best:
            self.best = accuracy
            best = dict(weights=network.state_dict(), epoch=self.epoch + 1, val_accuracy=accuracy)
            checkpoint.save(best, self.run.folder / "best.pt")
            write_predictions(self.run.folder, predictions)

    def _stop_while_measuring(self, fraction: float = 0.0, message: str = "") -> None:
        """Before the first step there is nothing to save; a pause can wait for it."""
        if self.run.requested() == "stop":
            raise StopRequested

    def _obey_while_validating(self, fraction: float = 0.0, message: str = "") -> None:
        self.clock.tick()
        self._obey()

    def _obey(self) -> None:
        """Look for a request to pause or stop, and do it. Costs nothing ten times a second."""
        now = time.monotonic()
        if now - self._polled < POLL_SECONDS:
            return
        self._polled = now
        request = self.run.requested()
        if not request:
            return
        self._flush()
        self._save()
        if request == "pause":
            self.writer.update(status="paused")
            while (request := self.run.requested()) == "pause":
                time.sleep(POLL_SECONDS)
            self.clock.skip()
            if not request:
                self.writer.update(status="running")
        if request == "stop":
            raise StopRequested

    def _save(self) -> None:
        """Write everything the rest of the run depends on."""
        self._flush()
        averaged = self.averaged
        state = dict(
            **self.learner.state_dict(),
            averaged=averaged.module.state_dict() if averaged is not None else None,
            averaged_steps=int(averaged.n_averaged) if averaged is not None else 0,
            epoch=self.epoch,
            step=self.step,
            sums=self.sums.tolist(),
            epoch_began=self.epoch_began,
            best=self.best,
            seconds=self.clock.seconds,
            lengths=self.writer.lengths(),
        )
        folder = self.run.folder
        if all(torch.isfinite(weight).all() for weight in state["weights"].values()):
            checkpoint.save(state, folder / "last.pt", keep_as=folder / "previous.pt")
        self._saved = time.monotonic()

    def _restore(self, state: dict) -> None:
        self.learner.load_state_dict(state)
        if self.averaged is not None and state["averaged"] is not None:
            self.averaged.module.load_state_dict(state["averaged"])
            self.averaged.n_averaged.fill_(state["averaged_steps"])
        self.epoch, self.step, self.best = state["epoch"], state["step"], state["best"]
        self.sums = np.array(state["sums"])
        self.epoch_began = state["epoch_began"]
        self.clock = ActiveClock(state["seconds"])

    def _record_failure(self, error: BaseException) -> None:
        """Tell the person in the run's message and the developer in its log; never hide the error itself."""
        message, status = explain(error), "failed"
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            status = "stopped"  # nothing is wrong with the run: it can go on
        try:
            self.writer.update(status=status, message=message)
            log = logging.FileHandler(self.run.folder / "log.txt", encoding="utf-8")
            record = logging.LogRecord(
                "tinymodel",
                logging.ERROR,
                __file__,
                0,
                message,
                None,
                (type(error), error, error.__traceback__),
            )
            log.emit(record)
            log.close()
        except OSError:
            logging.getLogger(__name__).exception("The run's failure could not be written down")


def explain(error: BaseException) -> str:
    """One sentence on what went wrong and what to do."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "The disk is full. What was saved is kept: free some space and press Resume."
    if (
        isinstance(error, (torch.OutOfMemoryError, MemoryError))
        or "out of memory" in str(error).lower()
    ):
        return "The memory of the device is full. Start again with half the batch size or a smaller width."
    if isinstance(error, KeyboardInterrupt):
        return "Training was interrupted; Resume goes on from the last checkpoint."
    text = str(error).strip().splitlines()
    return f"Training failed: {text[0] if text else type(error).__name__}. The run's log.txt has the details."


def newest_checkpoint(run: Run) -> dict | None:
    """The last whole checkpoint, or None if the run never came to one.

    Raises:
        UserError: There are checkpoints, but none can be read.
    """
    files = [run.folder / name for name in ("last.pt", "previous.pt")]
    there = [file for file in files if file.is_file()]
    problem = None
    for file in there:
        try:
            return checkpoint.load(file)
        except UserError as error:
            problem = problem or error
    if problem is not None:
        raise problem
    return None
