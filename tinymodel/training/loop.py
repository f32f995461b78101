"""The one training loop: epochs of steps, a validation after each, everything kept in the run folder."""

import copy
import logging
import platform
import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tinymodel import checkpoint
from tinymodel.config import TrainConfig
from tinymodel.data import open_dataset
from tinymodel.data.batches import IMAGENET_MEAN, IMAGENET_STD, TrainBatches, generator
from tinymodel.errors import UserError
from tinymodel.evaluation import FlipAveraged, evaluate, write_predictions
from tinymodel.memory import give_back
from tinymodel.run_writer import RunWriter
from tinymodel.runs import Run, describe_classes, to_ranges
from tinymodel.scores import accuracy
from tinymodel.training.clock import ActiveClock
from tinymodel.training.distributed import Team, join
from tinymodel.training.failures import record_failure
from tinymodel.training.measure import Format, choose_formats, learn
from tinymodel.training.recipe import TrainStep, find_device, make_network, schedule

log = logging.getLogger(__name__)

FLUSH_SECONDS = (
    0.25  # how long steps wait before they are written, so that no step has to wait for a number
)
GIVE_BACK_SECONDS = 20  # at least between two times that memory lying free goes back to the system
POLL_SECONDS = 0.1  # how often the request file is looked at

EpochHook = Callable[[Run, int, Callable[[], nn.Module]], None]
"""Called after each epoch's validation as `hook(run, epoch, network)`: epoch from 1; `network()` gives a copy of the network
on the CPU in eval mode, the hook's own. What a hook raises is logged; training goes on."""


class StopRequested(Exception):
    """Somebody asked this run to stop; what was learned is in the checkpoint."""


class Training:
    """One run being trained, from `create` or `resume` to `train`, which returns when it has ended.

    Of several processes that train together (`distributed`) each has one of these; only the leading one has a `writer`.
    """

    def __init__(
        self, info: dict, writer: RunWriter | None, team: Team, hooks: Sequence[EpochHook]
    ):
        self.info, self.writer, self.team, self.hooks = info, writer, team, tuple(hooks)
        self.run = writer.run if writer else None
        self.config = config = TrainConfig.from_json(info["config"])
        dataset = open_dataset(config.dataset)
        if dataset.fingerprint != info["fingerprint"]:
            raise UserError(
                f"The dataset {config.dataset!r} has changed since the run {info['name']!r} began, so it cannot go on. "
                "Prepare the former data again, or start a new run."
            )
        self.subset = dataset.subset(config.classes, config.hold_out_classes, config.per_class)
        self.device = team.device
        self.epoch = self.step = 0
        self.sums = np.zeros(3)  # of loss, right answers and images, in this epoch
        self.epoch_began = 0.0  # on the active clock
        self.best = -1.0
        self.state: dict | None = None  # to resume from

    @classmethod
    def create(
        cls, config: TrainConfig, name: str | None = None, hooks: Sequence[EpochHook] = ()
    ) -> "Training":
        """Make the run folder.

        Raises:
            UserError: Dataset, classes or device are not there, or the name is taken.
        """
        team = join(find_device(config.device))
        if config.batch_size < team.world:
            raise UserError(
                f"A batch of {config.batch_size} images cannot be divided among {team.world} processes."
            )
        return cls._begin(team, hooks, lambda: RunWriter.create(describe(config, team), name))

    @classmethod
    def resume(cls, name: str, hooks: Sequence[EpochHook] = ()) -> "Training":
        """Take up a run where its last whole checkpoint left it, with any number of processes.

        Raises:
            UserError: It is being trained, is finished, or its dataset is not there or another.
        """
        run = Run.open(name)
        if run.info()["status"] == "finished":
            raise UserError(f"The run {name!r} is finished; start a new one to train longer.")
        team = join(find_device(run.config.device))
        training = cls._begin(team, hooks, lambda: RunWriter.reopen(name))
        try:
            training.state = team.lead(lambda: newest_checkpoint(run))
            if training.writer:
                training.writer.cut(training.state["lengths"] if training.state else None)
                training.writer.update(status="running", message="")
            return training
        except BaseException:
            training.close()
            raise

    @classmethod
    def _begin(cls, team: Team, hooks: Sequence[EpochHook], open_run) -> "Training":
        """Open the run on the leading process; what it is told goes to the others."""
        writer: list[RunWriter] = []

        def lead() -> dict:
            writer.append(open_run())
            return writer[0].run.info()

        info = team.lead(lead)
        try:
            return cls(info, writer[0] if writer else None, team, hooks)
        except BaseException:
            for one in writer:
                one.close()
            raise

    def close(self) -> None:
        """Let go of the run folder, and of the memory that the steps took."""
        if self.writer:
            self.writer.close()
        give_back()

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
            if self.config.flip_average:
                self._judge_mirrored_too()
            self._update(status="finished", message="")
            self._remember_speed()
        except StopRequested:
            self._update(status="stopped", message="")
            self._remember_speed()
        except BaseException as error:
            if self.writer:
                record_failure(self.writer, self.config, error)
            raise
        finally:
            self.close()

    def _remember_speed(self) -> None:
        """For the estimate before the next run."""
        if self.writer and self.team.world == 1:
            try:
                learn(self.run)
            except Exception:  # it is only an estimate
                log.exception("The speed of %s could not be remembered", self.run.name)

    def _update(self, **changes) -> None:
        if self.writer:
            self.writer.update(**changes)

    def _prepare(self) -> None:
        config, info, team = self.config, self.info, self.team
        team.take_device()
        # Runs that were begun before there was a choice go on as they were.
        former = dict(memory_format="channels-last", compiled=False)
        formats = {name: info.get(name, former.get(name)) for name in Format._fields}
        if "auto" in formats.values():
            self._update(message="Measuring which number format is fastest here")
            heed = self._stop_while_measuring if team.world == 1 else None
            formats = team.lead(lambda: choose_formats(config, len(info["classes"]), heed))
            self._update(**formats, message="")
        self.precision = formats["precision"]
        self.batches = TrainBatches(
            self.subset, config, info["mean"], info["std"], self.device, team.rank, team.world
        )
        network = make_network(config, len(info["classes"]))
        self.learner = TrainStep(
            network, config, self.device, self.precision, formats["memory_format"]
        )
        self.learner.forward = team.wrap(self.learner.network)
        if formats["compiled"]:
            self.learner.forward = torch.compile(self.learner.forward)
        self.averaged = None
        if config.weight_averaging:
            decay = 1 - 1 / max(1.0, config.weight_averaging * self.batches.steps)
            self.averaged = AveragedModel(
                network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True
            )
        self.clock = ActiveClock()
        if self.state is not None:
            self._restore(self.state)
            self.state = None
        self._pending: list[tuple] = []
        self._flushed = self._saved = self._polled = self._gave_back = time.monotonic()

    # An epoch

    def _train_epoch(self) -> None:
        batches, config = self.batches, self.config
        while self.step < batches.steps:
            self._obey()
            images, labels = batches.batch(self.epoch, self.step)
            total = batches.size(self.epoch, self.step)  # over all processes
            share = schedule(config, self.epoch, self.step, batches.steps)
            weight = len(labels) * self.team.world / total
            if (dropout := self.learner.network.dropout) is not None:
                dropout.generator = generator(config.seed, self.epoch, self.step, self.team.rank, 3)
            loss, right = self.learner(images, labels, share, weight)
            if self.averaged is not None:
                self.averaged.update_parameters(self.learner.network)
            self.step += 1
            result = torch.stack([loss, right, self.learner.healthy])
            self._pending.append((self._global_step(), self.learner.lr, result, len(labels), total))
        self._flush()

    def _global_step(self) -> int:
        return self.epoch * self.batches.steps + self.step

    def _flush(self) -> None:
        """Fetch the pending losses from the device, all at once, and write their rows."""
        self._flushed = time.monotonic()
        if not self._pending:
            return
        steps, rates, results, counts, totals = zip(*self._pending, strict=True)
        self._pending = []
        values = torch.stack(results).cpu().numpy().astype(np.float64)  # (steps, 3)
        values[:, 0] *= counts
        losses, rights, healthy = self.team.sum(values).T
        before, spent = self.clock.seconds, self.clock.tick()
        images_per_second = sum(totals) / max(spent, 1e-9)
        rows = []
        for i, step in enumerate(steps):
            loss, right, count = losses[i], rights[i], totals[i]
            if healthy[i] < self.team.world or not np.isfinite(loss):
                self._append("steps", rows)
                raise UserError(
                    f"The loss became infinite or not a number at step {step}. The last good checkpoint is kept. "
                    "Try a learning rate of a third, or precision fp32."
                )
            self.sums += loss, right, count
            seconds = before + spent * (i + 1) / len(steps)
            speed = (loss / count, right / count, seconds, images_per_second)
            rows.append((step, self.epoch + 1, rates[i], *speed))
        self._append("steps", rows)

    def _append(self, table: str, rows: list[tuple]) -> None:
        if self.writer:
            self.writer.append(table, rows)

    def _validate(self) -> None:
        """Judge the network on all validation images, write the epoch's row, keep it if it is the best so far."""
        network = self._judged()
        predictions = self._evaluate(network)
        self.clock.tick()
        if self.writer is None:
            return
        loss, right, count = self.sums
        top1 = accuracy(predictions)
        seconds = self.clock.seconds - self.epoch_began
        judged = (loss / count, right / count, float(predictions["loss"].mean()), top1)
        row = (self.epoch + 1, self.learner.lr, seconds, *judged, count / max(seconds, 1e-9))
        self._append("epochs", [row])
        if top1 > self.best:
            self.best = top1
            best = dict(weights=network.state_dict(), epoch=self.epoch + 1, val_accuracy=top1)
            checkpoint.save(best, self.run.folder / "best.pt")
            write_predictions(self.run.folder, predictions)
        for hook in self.hooks:
            try:
                hook(self.run, self.epoch + 1, lambda: copy.deepcopy(network).cpu().float().eval())
            except Exception:
                log.exception("A hook failed after epoch %d of %s", self.epoch + 1, self.run.name)

    def _judged(self) -> nn.Module:
        """The network by which this run is judged: the averaged one, if it averages weights."""
        network = self.learner.network if self.averaged is None else self.averaged.module
        self.team.reduce_statistics(network)
        return network

    def _evaluate(self, network: nn.Module) -> pd.DataFrame | None:
        """Predictions of all validation images, on the leading process; each predicts its share of them."""
        team, rows, labels = self.team, self.subset.val, self.subset.val_labels
        mine = slice(*(len(rows) * rank // team.world for rank in (team.rank, team.rank + 1)))
        part = None
        was_training = network.training
        try:
            if len(rows[mine]):
                part = evaluate(
                    network,
                    self.subset.dataset.images,
                    rows[mine],
                    labels[mine],
                    self.info["mean"],
                    self.info["std"],
                    device=self.device,
                    precision=self.precision,
                    report=self._obey_while_validating,
                )
        finally:
            network.train(was_training)
        parts = team.gather(part)
        return None if parts is None else pd.concat(parts, ignore_index=True)

    def _judge_mirrored_too(self) -> None:
        """Write the accuracy of the best weights, averaged over each image and its mirror image, into `run.json`."""
        state = self.team.lead(lambda: checkpoint.load(self.run.folder / "best.pt")["weights"])
        network = make_network(self.config, len(self.info["classes"]))
        network.load_state_dict(state)
        network = network.to(self.device, memory_format=torch.channels_last)
        predictions = self._evaluate(FlipAveraged(network))
        if predictions is not None:
            self._update(flip_averaged_accuracy=accuracy(predictions))

    # What the person asks for

    def _stop_while_measuring(self, fraction: float = 0.0, message: str = "") -> None:
        """Before the first step there is nothing to save; a pause can wait for it."""
        if self.run.requested() == "stop":
            raise StopRequested

    def _obey_while_validating(self, fraction: float = 0.0, message: str = "") -> None:
        self.clock.tick()
        if self.team.world == 1:  # several obey together, before their next step
            self._obey()

    def _due(self) -> str:
        """What the clock or the person wants now: 'flush', 'save', 'pause', 'stop' or ''. Costs next to nothing."""
        now = time.monotonic()
        if now - self._polled >= POLL_SECONDS:
            self._polled = now
            if request := self.run.requested():
                return request
        if now - self._saved >= self.config.checkpoint_seconds:
            return "save"
        return "flush" if now - self._flushed >= FLUSH_SECONDS else ""

    def _obey(self) -> None:
        due = self.team.agree(self._due() if self.team.leads else None)
        if due == "flush":
            self._flush()
        elif due:
            self._save()
        if due == "pause":
            self._update(status="paused")
            while (due := self._asked()) == "pause":
                pass
            self.clock.skip()
            if not due:
                self._update(status="running")
        if due == "stop":
            raise StopRequested

    def _asked(self) -> str:
        """What is asked for during a pause, a moment later."""
        time.sleep(POLL_SECONDS)
        return self.team.agree(self.run.requested() if self.team.leads else None)

    # What the rest of the run depends on

    def _save(self) -> None:
        self._flush()
        averaged = self.averaged
        self.team.reduce_statistics(self.learner.network)
        self._saved = time.monotonic()
        if self.writer is None:
            return
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
        checkpoint.save(state, folder / "last.pt", keep_as=folder / "previous.pt")
        self._saved = time.monotonic()
        if self._saved - self._gave_back >= GIVE_BACK_SECONDS:
            self._gave_back = self._saved
            give_back()  # what the pages have allocated in between would scatter over an ever larger heap

    def _restore(self, state: dict) -> None:
        self.learner.load_state_dict(state)
        if self.averaged is not None and state["averaged"] is not None:
            self.averaged.module.load_state_dict(state["averaged"])
            self.averaged.n_averaged.fill_(state["averaged_steps"])
        self.epoch, self.step, self.best = state["epoch"], state["step"], state["best"]
        self.sums = np.array(state["sums"])
        self.epoch_began = state["epoch_began"]
        self.clock = ActiveClock(state["seconds"])


def describe(config: TrainConfig, team: Team) -> dict:
    """What `run.json` says of a new run, but for its name, time and status.

    Raises:
        UserError: Dataset or classes are not there, or there is nothing to judge by.
    """
    dataset = open_dataset(config.dataset)
    subset = dataset.subset(config.classes, config.hold_out_classes, config.per_class)
    if not len(subset.val):
        raise UserError(f"The dataset {config.dataset!r} has no validation images to judge by.")
    imagenet = config.normalization == "imagenet"
    network = make_network(config, len(subset.classes))
    return dict(
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
        device=team.device,
        processes=team.world,
        precision=config.precision,
        memory_format=config.memory_format,
        compiled="auto" if config.compile and team.device == "cuda" else False,
        versions=dict(torch=torch.__version__, python=platform.python_version()),
    )


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
