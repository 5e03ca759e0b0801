"""Results of slow stages, shared between runs: a folder an artifact, named by everything that it depends on."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.core.errors import Busy
from bench.core.files import digest, write_json
from bench.core.ownership import Ownership
from bench.training import checkpoint
from bench.training.loop import Loop


class Artifacts:
    """The artifact cache of a machine or a cluster. `loop` is what a stage trains with."""

    def __init__(self, root: Path, loop: Loop) -> None:
        self.root = root
        self.loop = loop

    def make(self, kind: str, key: dict[str, Any], build: Callable[[Path], None]) -> Path:
        """The folder of the artifact; calls build(folder) if it is not there yet.

        key    JSON-able: everything that the result depends on, a version of the code that makes it included
        build  writes its files into the folder it gets. After an interruption it gets the same folder again, so a
               stage that trains through `self.loop` there goes on where it was.

        A second process that wants the same artifact waits for the first.
        """
        final = self.place(kind, key)
        if self.whole(final):
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        lock = self._lock(final.with_suffix(".owner"), kind)
        try:
            if not self.whole(final):
                work = final.with_suffix(".part")
                work.mkdir(exist_ok=True)
                build(work)
                checkpoint.clear(work)
                write_json(work / "key.json", key)
                work.rename(final)
        finally:
            lock.release()
        return final

    def place(self, kind: str, key: dict[str, Any]) -> Path:
        return self.root / kind / digest(key)[:16]

    @staticmethod
    def whole(folder: Path) -> bool:
        return (folder / "key.json").exists()

    def _lock(self, folder: Path, kind: str) -> Ownership:
        """Ownership of a folder beside the artifact; waits for a process that has it."""
        lock = Ownership(folder)
        waiting = False
        while True:
            try:
                lock.acquire()
                return lock
            except Busy as busy:
                if not waiting:
                    self.loop.reporter.say(f"{kind}: {busy}")
                waiting = True
            self.loop.reporter.tick(f"waiting for {kind}", 0, 1)
            time.sleep(1)
