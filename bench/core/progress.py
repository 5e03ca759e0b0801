"""What a run says while it works: plain lines, so that logs of jobs and of two runs side by side stay readable."""

import sys
import time
from collections.abc import Callable, Mapping

from bench.core.errors import Interrupted
from bench.core.signals import Signals


class Reporter:
    """Prints messages and progress lines; every call is also a point at which a signal can end the work.

    `every` is the least number of seconds between two progress lines of one stage. `progress` gets what each line says,
    as numbers: stage, done, total, rate, seconds left.
    """

    def __init__(self, signals: Signals | None = None, name: str = "", every: float | None = None) -> None:
        self.signals = signals or Signals()
        self.progress: Callable[[str, int, int, float | None, float | None], None] = _nowhere
        self._prefix = f"[{name}] " if name else ""
        self._every = every if every is not None else (5.0 if sys.stdout.isatty() else 15.0)
        self._last = 0.0
        self._stage = ("", 0, 0.0)  # of tick: its name, what was done when it began, and when that was

    def say(self, message: str) -> None:
        print(f"{self._prefix}{message}", flush=True)

    def tick(self, stage: str, done: int, total: int, unit: str = "images", started: float | None = None) -> None:
        """Progress of a stage that can be begun again from its start. Raises Interrupted after a signal."""
        if self.signals.received:
            raise Interrupted(f"{self.signals.received} during {stage}")
        now = time.monotonic()
        if stage != self._stage[0]:
            self._stage = (stage, done, now)
        if self._due(done >= total):
            _, before, began = (stage, 0, started) if started else self._stage
            rate = (done - before) / max(now - began, 1e-9)
            speed = f"  {rate:.0f} {unit}/s  ETA {clock((total - done) / rate)}" if rate else ""
            self.say(f"{stage}: {done}/{total}{speed}")
            self.progress(stage, done, total, rate or None, (total - done) / rate if rate else None)

    def note(self, message: str) -> None:
        """A stage's own line of progress, printed now and then. Raises Interrupted after a signal."""
        if self.signals.received:
            raise Interrupted(f"{self.signals.received} during {message}")
        if self._due(False):
            self.say(message)

    def step(
        self, stage: str, done: int, total: int, rate: float, losses: Mapping[str, float], seconds_left: float
    ) -> None:
        """Progress of a training loop. `rate` in images/s. What is drawn later (bench.runs.curves) is left out."""
        named = "  ".join(f"{name} {value:.3g}" for name, value in losses.items() if "/" not in name)
        self.progress(stage, done, total, rate, seconds_left)
        self.say(f"{stage}: step {done}/{total}  {rate:.0f} images/s  {named}  ETA {clock(seconds_left)}")

    def due(self) -> bool:
        return self._due(False)

    def _due(self, always: bool) -> bool:
        now = time.monotonic()
        if always or now - self._last >= self._every:
            self._last = now
            return True
        return False


def _nowhere(stage: str, done: int, total: int, rate: float | None, seconds_left: float | None) -> None:
    """Where progress goes when nobody looks from elsewhere."""


class Quiet(Reporter):
    """Says nothing; remembers what it was told."""

    def __init__(self, signals: Signals | None = None) -> None:
        super().__init__(signals, every=1e9)
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def clock(seconds: float) -> str:
    """83.2 -> '1:23', 3700 -> '1:01:40'."""
    whole = int(seconds + 0.5)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
