"""Memory that tensors give back is kept for the next step instead of returned to the system (Linux with glibc).

By default glibc maps large blocks anew and unmaps them when they are freed, so each step of training waits while the
system clears the same pages again. Measured at quarter width in bf16, on one thread: 8,000 to 15,000 page faults a step
of 32 images, with this none; a step of 64 images took 276 ms of processor time instead of 330. ReLU took 4 ms instead
of 12, max-pooling 15 instead of 23, convolutions 71 % of the step instead of 66. The results are the same to the bit.
"""

import ctypes
import os
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8  # parameters of mallopt, as in malloc.h
SETTINGS = {
    MMAP_THRESHOLD: 1 << 30,  # bytes: only larger blocks are mapped and unmapped one by one
    TRIM_THRESHOLD: (1 << 31) - 1,  # bytes that may lie free at the end of the heap: an int's most
    ARENA_MAX: 1,  # one heap: those of other threads are limited to 64 MB and shrink at once
}


def keep_freed_memory() -> bool:
    """Set glibc's allocator so; returns whether it was. Where somebody has set it already, their choice stands."""
    library = _glibc()
    if library is None or any(
        name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ
    ):
        return False
    return all([library.mallopt(*setting) == 1 for setting in SETTINGS.items()])  # noqa: C419 (set all)


def give_back() -> bool:
    """Return what lies free to the system, after work that took much; returns whether that was possible."""
    library = _glibc()
    return library is not None and bool(library.malloc_trim(0))


def _glibc() -> ctypes.CDLL | None:
    """The C library of this process, if it is glibc: others know neither of these functions."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
