"""What went wrong in a run: a sentence for the person, the traceback for the run's log."""

import errno
import logging

import torch

from tinymodel.config import TrainConfig
from tinymodel.errors import UserError
from tinymodel.run_writer import RunWriter

FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))  # Windows knows no quota


def record_failure(writer: RunWriter, config: TrainConfig, error: BaseException) -> None:
    """Tell the person in the run's message and the developer in its log; never hide the error itself."""
    message, status = explain(error, config), "failed"
    if disk_is_full(error):
        status = "stopped"  # nothing is wrong with the run: it can go on
    try:
        writer.release_reserve()  # so that there is room for these few words
        writer.update(status=status, message=message)
        log = logging.FileHandler(writer.folder / "log.txt", encoding="utf-8")
        trace = (type(error), error, error.__traceback__)
        log.emit(logging.LogRecord("tinymodel", logging.ERROR, __file__, 0, message, None, trace))
        log.close()
    except OSError:
        logging.getLogger(__name__).exception("The run's failure could not be written down")


def explain(error: BaseException, config: TrainConfig) -> str:
    """One sentence on what went wrong and what to do."""
    if isinstance(error, UserError):
        return str(error)
    if disk_is_full(error):
        return "The disk is full. What was saved is kept: free some space and press Resume."
    full = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    if full or "out of memory" in str(error).lower():
        half = max(2, config.batch_size // 2)
        return f"The memory of the device is full. Start again with batch size {half} or a smaller width."
    if isinstance(error, KeyboardInterrupt):
        return "Training was interrupted; Resume goes on from the last checkpoint."
    text = str(error).strip().splitlines()
    return f"Training failed: {text[0] if text else type(error).__name__}. The run's log.txt has the details."


def disk_is_full(error: BaseException) -> bool:
    """Also where torch has wrapped the system's error in one of its own."""
    seen = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in FULL:
            return True
        if "No space left on device" in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
