"""What runs and their jobs print, as it comes."""

import time
from collections.abc import Iterator
from pathlib import Path

from bench.core.errors import UserError
from bench.launch import control, status

POLL = 1.0  # seconds between two looks
BLOCK = 2**20  # bytes that are read at once


def lines(results: Path, folder: Path, last: int, follow: bool) -> Iterator[str]:
    """The last lines (0: all) of every log of a run, each log below its name; with `follow` what is added to them,
    until the run has ended. Raises UserError where nothing is logged and nothing will be."""
    logs: dict[Path, _Log] = {}
    shown = None
    while True:
        (row,) = status.look(results, [folder]).rows  # before reading, so that nothing after the end is missed
        first = not logs
        for path in control.log_of(results, folder):
            log = logs.setdefault(path, _Log(path))
            added = log.added(to_the_end=not (follow and row.under_way))
            added = added[-last:] if first and last else added
            if added and shown != path:
                shown = path
                yield f"==> {path}"
            yield from added
        if not logs and not (follow and row.under_way and row.sweep):
            raise UserError(f"{folder} has no log yet; python -m bench status says whether it has started")
        if not follow:
            return
        if not row.under_way:
            yield f"==> {row.state}" + (f": {row.detail}" if row.detail else "")
            return
        time.sleep(POLL)


class _Log:
    """A file that grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._rest = ""

    def added(self, to_the_end: bool) -> list[str]:
        """The whole lines that were added since the last call; to_the_end: also a last one that is not whole."""
        with self._path.open("rb") as file:
            file.seek(self._at)
            while block := file.read(BLOCK):
                self._at += len(block)
                self._rest += block.decode(errors="replace").replace("\r", "\n")
        *whole, self._rest = self._rest.split("\n")
        if to_the_end and self._rest:
            whole.append(self._rest)
            self._rest = ""
        return whole
