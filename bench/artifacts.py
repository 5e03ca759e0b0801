"""Results of slow stages, shared between runs: a folder an artifact, named by everything that it depends on."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench import checkpoint
from bench.files import digest, write_json
from bench.loop import Loop


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
        name = digest(key)[:16]
        final = self.root / kind / name
        if (final / "key.json").exists():
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        with self._lock(final.with_suffix(".lock"), kind):
            if not (final / "key.json").exists():
                work = final.with_suffix(".part")
                work.mkdir(exist_ok=True)
                build(work)
                checkpoint.clear(work)
                write_json(work / "key.json", key)
                work.rename(final)
        return final

    def _lock(self, path: Path, kind: str) -> AbstractContextManager:
        lock = FileLock(path)
        try:
            return lock.acquire(timeout=0)
        except Timeout:
            self.loop.reporter.say(f"{kind}: another process is making it; waiting")
        while True:
            try:
                return lock.acquire(timeout=1)
            except Timeout:
                self.loop.reporter.tick(f"waiting for {kind}", 0, 1)
