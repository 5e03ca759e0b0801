"""SIGTERM, SIGUSR1, SIGUSR2 and Ctrl-C ask a run to save its state and leave."""

import signal
import threading
from types import FrameType, TracebackType


class Signals:
    """While entered, remembers the first such signal in `received`; a second Ctrl-C ends the process at once.

    Outside the main thread, where Python allows no handlers, it remembers nothing.
    """

    _WATCHED = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)

    def __init__(self) -> None:
        self.received: str | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "Signals":
        for number in self._WATCHED if threading.current_thread() is threading.main_thread() else ():
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = self.received or signal.Signals(number).name
