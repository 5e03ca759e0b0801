"""Results of slow stages, shared between runs: a folder an artifact, named by everything that it depends on.

Besides its own files an artifact holds key.json (what it depends on), code.json (the hash of the code that made it),
spent.json (what making it took) and sha256.json (the hash of every other file).
The hashes are checked whenever a run asks for the artifact; that took 0.8 s for each gigabyte on one core.

Some artifacts ship with this package, so that every machine has the same: the judges of the embedded data sets, which
two machines would otherwise train to slightly different networks (scripts/ship_judges.py).
"""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from bench.core.checksums import file_sha256, verify_file
from bench.core.errors import Busy
from bench.core.files import digest, naming, write_json
from bench.core.ownership import Ownership
from bench.core.sources import module_sha256
from bench.core.typed import Count, read_typed, write_typed
from bench.training import checkpoint
from bench.training.loop import Loop

HASHES = "sha256.json"
CODE = "code.json"
SPENT = "spent.json"
SHIPPED = Path(__file__).parent / "shipped"
ANEW = "delete its folder: the artifact is then made again"


class Making(Struct, frozen=True):
    """spent.json: the FLOP of the stages that made an artifact (see bench.training.flop)."""

    flop: Count


class Artifacts:
    """The artifact cache of a machine or a cluster. `loop` is what a stage trains with."""

    def __init__(self, root: Path, loop: Loop) -> None:
        self.root = root
        self.loop = loop
        self._used: set[Path] = set()

    @property
    def flop(self) -> int | None:
        """What it took to make all artifacts that were asked for so far, each counted in full, whoever made it and
        however many runs share it; None where one was made before this was counted."""
        if not all((folder / SPENT).exists() for folder in self._used):
            return None
        return sum(read_typed(folder / SPENT, Making, ANEW).flop for folder in self._used)

    def sha256(self, kind: str) -> str:
        """The sha256 of the weights in the one artifact of this kind that was asked for."""
        (folder,) = (folder for folder in self._used if folder.parent.name == kind)
        return file_sha256(folder / "weights.safetensors")

    @property
    def uncounted(self) -> list[Path]:
        """The folders of artifacts in use that were made before FLOP were counted."""
        return sorted(folder for folder in self._used if not (folder / SPENT).exists())

    def make(self, kind: str, key: dict[str, Any], build: Callable[[Path], None]) -> Path:
        """The folder of the artifact; calls build(folder) if it is not there yet.

        key    JSON-able: everything that the result depends on, a version of the code that makes it included
        build  writes its files into the folder it gets. After an interruption it gets the same folder again, so a
               stage that trains through `self.loop` there goes on where it was.

        An artifact that ships is taken as it is. A second process that wants the same artifact waits for the first.
        Raises UserError where a file of the artifact is not what was written.
        """
        final = self.place(kind, key)
        shipped = SHIPPED / kind / final.name
        if self.whole(shipped):
            verify(shipped, "install i2i-bench again")
            self._used.add(shipped)
            return shipped
        self._used.add(final)
        code = {"source_sha256": module_sha256(build.__module__)}
        if self.whole(final):
            verify(final, f"delete {final}: it is then made again")
            self._say_other_code(kind, final, code)
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        lock = self._lock(final.with_suffix(".owner"), kind)
        try:
            if not self.whole(final):
                work = final.with_suffix(".part")
                self._open(kind, work, code)
                before = self.loop.flop
                with naming(work):
                    build(work)
                write_typed(work / SPENT, Making(self.loop.flop - before))
                checkpoint.clear(work)
                write_typed(work / HASHES, hashes(work))
                write_json(work / "key.json", key)
                work.rename(final)
        finally:
            lock.release()
        return final

    def _open(self, kind: str, work: Path, code: dict[str, str]) -> None:
        """Makes the folder of work; what other code has left in it goes, so that an artifact is made by one code."""
        if work.exists() and (not (work / CODE).exists() or read_typed(work / CODE, dict[str, str], ANEW) != code):
            self.loop.reporter.say(f"{kind}: begun by other code, so it is made anew")
            shutil.rmtree(work)
        work.mkdir(exist_ok=True)
        write_typed(work / CODE, code)

    def _say_other_code(self, kind: str, folder: Path, code: dict[str, str]) -> None:
        """An artifact is found by its key, which names a version of the code that made it; other edits are said."""
        if (folder / CODE).exists() and read_typed(folder / CODE, dict[str, str], ANEW) != code:
            self.loop.reporter.say(f"{kind}: {folder} was made before the code changed; delete it to make it anew")

    def place(self, kind: str, key: dict[str, Any]) -> Path:
        return self.root / kind / digest(key)[:16]

    @staticmethod
    def whole(folder: Path) -> bool:
        return (folder / "key.json").exists()

    def _lock(self, folder: Path, kind: str) -> Ownership:
        """Ownership of a folder beside the artifact; waits for a process that has it."""
        lock = Ownership(folder)
        say = cache(self.loop.reporter.say)  # once, not every second

        def waiting(busy: Busy) -> None:
            say(f"{kind}: {busy}")
            self.loop.reporter.tick(f"waiting for {kind}", 0, 1)

        lock.acquire_when_free(1.0, waiting)
        return lock


def hashes(folder: Path) -> dict[str, str]:
    """sha256 (hex) of each file of an artifact, by its name; what says which artifact it is does not count."""
    by_name = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name not in (HASHES, "key.json"):
            by_name[path.name] = file_sha256(path)
    return by_name


def verify(folder: Path, mend: str) -> None:
    """Raises UserError, which ends with `mend`, where a file of the artifact is not what was written. Artifacts of
    older versions pass."""
    if not (folder / HASHES).exists():
        return
    for name, sha256 in read_typed(folder / HASHES, dict[str, str], mend).items():
        verify_file(folder / name, sha256, mend)
