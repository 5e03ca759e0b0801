"""Results of slow stages, shared between runs: a folder an artifact, named by everything that it depends on.

Besides its own files an artifact holds key.json (what it depends on) and sha256.json (the hash of every other file).
The hashes are checked whenever a run asks for the artifact; that took 0.8 s for each gigabyte on one core.
"""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.core.errors import Busy, UserError
from bench.core.files import digest, write_json
from bench.core.ownership import Ownership
from bench.core.typed import damaged, read_typed, write_typed
from bench.training import checkpoint
from bench.training.loop import Loop

HASHES = "sha256.json"


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

        A second process that wants the same artifact waits for the first. Raises UserError where a file of the artifact
        is not what was written.
        """
        final = self.place(kind, key)
        if self.whole(final):
            verify(final)
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        lock = self._lock(final.with_suffix(".owner"), kind)
        try:
            if not self.whole(final):
                work = final.with_suffix(".part")
                work.mkdir(exist_ok=True)
                build(work)
                checkpoint.clear(work)
                write_typed(work / HASHES, hashes(work))
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


def hashes(folder: Path) -> dict[str, str]:
    """sha256 (hex) of each file of an artifact, by its name; what says which artifact it is does not count."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name not in (HASHES, "key.json"):
            found[path.name] = _sha256(path)
    return found


def _sha256(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            total.update(part)
    return total.hexdigest()


def verify(folder: Path) -> None:
    """Raises UserError where a file of the artifact is not what was written. Artifacts of older versions pass."""
    mend = f"delete {folder}: it is then made again"
    if not (folder / HASHES).exists():
        return
    written, found = read_typed(folder / HASHES, dict[str, str], mend), hashes(folder)
    for name, sha256 in written.items():
        if name not in found:
            raise UserError(f"{folder / name} is missing; {mend}")
        if found[name] != sha256:
            raise damaged(folder / name, "its content does not match its checksum", mend)
