"""The command line: python -m tinymodel prepare | train | stop | evaluate | export."""

import argparse
import json
import signal
import sys
import threading
import time
from dataclasses import fields
from pathlib import Path
from typing import NoReturn

from tinymodel.config import DEVICES, PRECISIONS, PRESETS, TrainConfig, from_preset
from tinymodel.errors import UserError


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0 when done, 2 for a mistake the person can put right."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        options.command(options)
    except UserError as error:
        print(f"tinymodel: {_one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tinymodel: interrupted; nothing half-made was left.", file=sys.stderr)
        return 130
    return 0


class Parser(argparse.ArgumentParser):
    """Says a mistake in one sentence, without the list of all options."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"tinymodel: {_one_line(message)}; {self.prog} --help says what there is.\n")


def _one_line(message: object) -> str:
    """What was typed may hold anything: nothing in it moves the cursor or changes colours."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(message))
    return " ".join(text.split())


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m tinymodel", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    prepare = commands.add_parser("prepare", help="bring images into the form that training reads")
    source = prepare.add_mutually_exclusive_group(required=True)
    source.add_argument("--sample", action="store_true", help="the embedded sample, drawn by code")
    source.add_argument(
        "--archive", type=Path, metavar="ZIP-OR-FOLDER", help="official Tiny ImageNet"
    )
    source.add_argument(
        "--download", action="store_true", help="official Tiny ImageNet, downloaded first"
    )
    source.add_argument(
        "--folder", type=Path, metavar="DIR", help="your pictures, one folder a class"
    )
    prepare.add_argument("--name", help="what to call the dataset")
    prepare.set_defaults(command=run_prepare)

    train = commands.add_parser("train", help="train a network, or go on with a run")
    train.add_argument("--dataset", help="name of a prepared dataset")
    train.add_argument("--resume", metavar="RUN", help="go on with this run instead")
    train.add_argument("--preset", default="classroom", choices=PRESETS)
    train.add_argument(
        "--classes", type=number_or_list, help="a number, or ids or names with commas between"
    )
    train.add_argument(
        "--hold-out-classes", type=number_or_list, help="never show these in training"
    )
    train.add_argument("--per-class", type=int, help="training images of each class")
    train.add_argument("--width", type=int)
    train.add_argument("--epochs", type=int)
    train.add_argument("--batch-size", type=int)
    train.add_argument("--seed", type=int)
    train.add_argument("--device", choices=DEVICES)
    train.add_argument("--precision", choices=PRECISIONS)
    train.add_argument("--run", help="what to call the run")
    train.add_argument(
        "--set",
        action="append",
        default=[],
        type=setting,
        metavar="NAME=VALUE",
        help="any other value of the recipe by its name in run.json, such as mix=cutmix",
    )
    train.set_defaults(command=run_train)

    stop = commands.add_parser("stop", help="ask a run to save itself and end, whoever trains it")
    stop.add_argument("--run", required=True)
    stop.set_defaults(command=run_stop)

    evaluate = commands.add_parser("evaluate", help="predict the validation images of a run")
    evaluate.add_argument("--run", required=True)
    evaluate.add_argument("--split", default="val", choices=["val"])
    evaluate.set_defaults(command=run_evaluate)

    export = commands.add_parser("export", help="write the best network of a run as ONNX")
    export.add_argument("--run", required=True)
    export.add_argument("--onnx", required=True, type=Path, metavar="FILE")
    export.set_defaults(command=run_export)
    return parser


def number_or_list(text: str) -> int | tuple[str, ...]:
    """'20' → 20; 'n01443537,bullfrog' → those two."""
    return (
        int(text)
        if text.isdigit()
        else tuple(part.strip() for part in text.split(",") if part.strip())
    )


def setting(text: str) -> tuple[str, object]:
    """'skip=false' → ('skip', False): numbers, true, false and null as in JSON, anything else is text."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value.strip()


class ProgressLine:
    """Progress for people: one line that renews itself in a terminal, a line every ten seconds elsewhere."""

    def __init__(self, stream=sys.stderr):
        self.stream, self.terminal, self.last = stream, stream.isatty(), 0.0

    def __call__(self, fraction: float, message: str = "") -> None:
        now = time.monotonic()
        if now - self.last < (0.1 if self.terminal else 10.0) and fraction < 1:
            return
        self.last = now
        line = f"{fraction:6.1%}  {message}"
        print(
            f"\r\x1b[K{line}" if self.terminal else line,
            end="" if self.terminal else "\n",
            file=self.stream,
        )
        self.stream.flush()

    def end(self) -> None:
        if self.terminal:
            print(file=self.stream)


def run_prepare(options: argparse.Namespace) -> None:
    from tinymodel.data import image_folder, sample, tiny_imagenet
    from tinymodel.data.disk import format_bytes
    from tinymodel.paths import data_folder

    signal.signal(signal.SIGTERM, interrupt)
    progress = ProgressLine()
    if options.sample:
        dataset = sample.prepare_sample(options.name or "sample", progress=progress)
    elif options.folder:
        say_space(options.folder, image_folder.disk_needed(options.folder))
        dataset = image_folder.prepare_folder(
            options.folder, options.name or options.folder.resolve().name, progress=progress
        )
    else:
        source = options.archive
        if options.download:
            print(f"The download takes {format_bytes(tiny_imagenet.SIZE)} in {data_folder()}.")
            source = tiny_imagenet.download(data_folder(), progress=progress)
        say_space(source, tiny_imagenet.disk_needed(source))
        dataset = tiny_imagenet.prepare_tiny_imagenet(
            source, options.name or "tiny-imagenet", progress=progress
        )
    progress.end()
    counts = ", ".join(f"{count} {split}" for split, count in dataset.info["counts"].items())
    print(f"{dataset.name}: {len(dataset.classes)} classes, {counts} images, in {dataset.folder}")
    for item in dataset.left_out:
        print(f"left out: {item['source']} ({item['reason']})")


def say_space(source: Path, needed: int) -> None:
    """What preparing `source` will take, before it begins."""
    from tinymodel.data.disk import format_bytes, free_bytes

    print(
        f"Preparing {source} takes {format_bytes(needed)}; {format_bytes(free_bytes())} are free.",
        flush=True,
    )


def interrupt(signum, frame) -> None:
    """SIGTERM ends a preparation as Ctrl-C does: with everything cleaned up."""
    raise KeyboardInterrupt


def run_train(options: argparse.Namespace) -> None:
    from tinymodel.training import distributed
    from tinymodel.training.loop import Training
    from tinymodel.training.supervisor import epoch_hooks

    distributed.share_threads()
    if options.resume:
        training = Training.resume(options.resume, epoch_hooks())
    else:
        training = Training.create(config_of(options), options.run, epoch_hooks())
    problems: list[BaseException] = []
    run = training.run  # None in all but the leading one of several processes
    name = training.info["name"]
    thread = threading.Thread(target=_train, args=(training, problems), name=f"train {name}")
    stop_signals(run)
    thread.start()
    if run is None:
        thread.join()
    else:
        processes = f" with {training.team.world} processes" if training.team.world > 1 else ""
        print(f"Training {name}{processes} in {run.folder}", flush=True)
        watch(run, thread)
    distributed.leave()
    if problems:
        raise UserError((run and run.message) or str(problems[0])) from problems[0]
    if run:
        best = run.best_accuracy
        print(f"{name}: {run.status}" + (f", best validation accuracy {best:.1%}" if best else ""))


def config_of(options: argparse.Namespace) -> TrainConfig:
    """The configuration that the command line describes."""
    if not options.dataset:
        raise UserError(
            "Say which data to train on with --dataset NAME, or go on with --resume RUN."
        )
    names = (
        "classes",
        "hold_out_classes",
        "per_class",
        "width",
        "epochs",
        "batch_size",
        "seed",
        "device",
        "precision",
    )
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    known = {item.name for item in fields(TrainConfig)} - {"preset", "dataset"}
    for name, value in options.set:
        if name not in known:
            raise UserError(
                f"There is no value {name!r} to set; there are {', '.join(sorted(known))}."
            )
        given[name] = tuple(value) if isinstance(value, list) else value
    return from_preset(options.preset, dataset=options.dataset, **given)


def _train(training, problems: list[BaseException]) -> None:
    try:
        training.train()
    except Exception as error:
        problems.append(error)


def stop_signals(run) -> None:
    """Ctrl-C and SIGTERM ask the run to save itself and end; the others of several processes leave that to the first."""

    def ask(signum, frame) -> None:
        if run is None:
            return
        print("\nStopping after this batch; the run can be resumed.", file=sys.stderr)
        (run.folder / "request").write_text("stop", encoding="utf-8")

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)


def watch(run, thread: threading.Thread) -> None:
    """Print a line for every finished epoch, and the way to the next one in between, until the thread ends."""
    from tinymodel.training.supervisor import duration

    line, shown = ProgressLine(), len(run.epochs())
    while True:
        thread.join(0.5)
        epochs = run.epochs()
        for row in epochs.iloc[shown:].itertuples():
            line.end()
            print(
                f"epoch {row.epoch:3.0f}  lr {row.lr:.4f}  {row.seconds:6.1f} s  "
                f"train {row.train_loss:.3f} {row.train_accuracy:6.1%}  val {row.val_loss:.3f} {row.val_accuracy:6.1%}",
                flush=True,
            )
        shown = len(epochs)
        if not thread.is_alive():
            return
        progress = run.progress()
        speed = f"{progress.images_per_second:.0f} images/s" if progress.images_per_second else ""
        left = (
            f"{duration(progress.seconds_left)} left" if progress.seconds_left else progress.message
        )
        line(progress.run_fraction, f"epoch {progress.epoch} of {progress.epochs}  {speed}  {left}")


def run_stop(options: argparse.Namespace) -> None:
    from tinymodel.runs import ACTIVE, Run

    run = Run.open(options.run)
    run.request("stop")
    while run.status in ACTIVE:
        time.sleep(0.2)
    print(f"{run.name}: {run.status}")


def run_evaluate(options: argparse.Namespace) -> None:
    from tinymodel.evaluation import evaluate_run
    from tinymodel.runs import Run

    progress = ProgressLine()
    run = Run.open(options.run)
    predictions = evaluate_run(run, report=progress)
    progress.end()
    right = predictions["label"] == predictions["prediction"]
    top5 = [
        label in top for label, top in zip(predictions["label"], predictions["top5"], strict=True)
    ]
    print(
        f"{run.name}: top-1 {right.mean():.2%}, top-5 {sum(top5) / len(top5):.2%}, "
        f"loss {predictions['loss'].mean():.4f} on {len(predictions)} images, {(~right).sum()} mistakes"
    )


def run_export(options: argparse.Namespace) -> None:
    from tinymodel.export import export_onnx
    from tinymodel.runs import Run

    run = Run.open(options.run)
    export_onnx(run.network(), options.onnx, run.mean, run.std, [item.name for item in run.classes])
    print(f"{options.onnx}: {options.onnx.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    sys.exit(main())
