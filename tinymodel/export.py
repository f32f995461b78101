"""A trained network as an ONNX file, which other programs run without PyTorch."""

import copy
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import torch

from tinymodel.errors import UserError
from tinymodel.network import BottleneckNet

OPSET = 20  # the default of torch 2.14; onnxruntime reads it from 1.17 (February 2024) on


def export_onnx(
    network: BottleneckNet,
    file: Path | str,
    mean: Sequence[float],
    std: Sequence[float],
    classes: Sequence[str] | None = None,
) -> Path:
    """Write `network` to `file`, which is replaced only when the new one is whole.

    The file takes `images`, float32 (batch, 3, 64, 64): RGB in [0, 1] minus `mean`, divided by `std`; and gives
    `logits`, float32 (batch, classes). Its metadata holds mean, std and class names as JSON, and the network's
    options. The network itself is not touched. Takes some seconds.

    Not in a process that trains at the same time: torch's tracing replaces state that belongs to the whole process
    (`torch.fx.traceback.current_meta`), and once in about a dozen exports the training thread beside it failed
    with KeyError: 'custom'. There run `python -m tinymodel export` as a process of its own.

    Args:
        mean: Of the three colours, in [0, 1], as the network was trained with.
        std: Likewise.
        classes: Names of the outputs, in order.

    Raises:
        ValueError: The number of names is not the number of outputs.
        UserError: The file cannot be written.
    """
    outputs = network.options["classes"]
    if classes is not None and len(classes) != outputs:
        raise ValueError(f"The network has {outputs} classes, but {len(classes)} names were given.")
    file = Path(file)
    _refuse(file)  # now, and not after the seconds that tracing takes
    program = _trace(network)
    program.model.doc_string = f"Input: RGB images of 64×64 pixels in [0, 1], minus {tuple(mean)}, divided by {tuple(std)}."
    metadata = {"mean": list(mean), "std": list(std), "options": network.options}
    if classes is not None:
        metadata["classes"] = list(classes)
    for key, value in metadata.items():
        program.model.metadata_props[key] = json.dumps(value, ensure_ascii=False)

    with _replacing(file) as temporary:
        program.save(temporary, external_data=False)  # one file: 56 MB at full width
    return file


def _refuse(file: Path) -> None:
    """Raise a UserError if no file can be written there."""
    try:
        what = "it is a folder" if file.is_dir() else ""
        what = what or ("" if file.parent.is_dir() else f"there is no folder {str(file.parent)!r}")
        if not what:
            temporary = _beside(file)
            temporary.touch()
            temporary.unlink()
    except (OSError, ValueError) as error:  # too long, a byte that no name has, not permitted
        what = getattr(error, "strerror", None) or str(error)
    if what:
        raise UserError(
            f"The network cannot be written to {str(file)[:200]!r}: {what}. Choose another place."
        )


def _trace(network: BottleneckNet) -> torch.onnx.ONNXProgram:
    # A copy, because tracing wants eval mode, and plain float32 on the CPU makes the same file on every machine.
    plain = copy.deepcopy(network).to("cpu", torch.float32, memory_format=torch.contiguous_format)
    # Two images: of one, the exporter concludes that the batch is always one.
    images = torch.zeros(2, 3, 64, 64)
    with _quiet():
        return torch.onnx.export(
            plain.eval(),
            (images,),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=OPSET,
            dynamo=True,  # the exporter that torch recommends; the other one is deprecated
            verbose=False,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter logs each of its passes: nothing a user could act on."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _beside(file: Path) -> Path:
    """A new name in the same folder. Not by tempfile, whose files only their owner may read."""
    return file.with_name(f".{file.name}-{uuid4().hex[:8]}")


@contextmanager
def _replacing(file: Path) -> Iterator[Path]:
    """A temporary file beside `file` that takes its place if all goes well, and else leaves no trace."""
    temporary = _beside(file)
    try:
        yield temporary
        with open(temporary, "r+b") as stream:
            os.fsync(stream.fileno())
        for attempt in range(20):
            try:
                os.replace(temporary, file)
                break
            except PermissionError:  # Windows, while somebody reads it
                if attempt == 19:
                    raise
                time.sleep(0.05)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"The network cannot be written to {file}: {reason}.") from error
    finally:
        temporary.unlink(missing_ok=True)
