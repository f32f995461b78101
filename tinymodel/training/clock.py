"""How long a run has worked, whatever the laptop did meanwhile."""

import statistics
import time
from collections import deque


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
