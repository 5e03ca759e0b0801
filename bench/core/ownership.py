"""Who works in a folder: one process at a time, on one machine or on many that share a disk.

The owner is the file `.owner-<generation>` with the highest generation. It is made by linking, which only one of any
number of contenders can do, and a heartbeat keeps its modification time fresh. An owner that let go has written so; one
that died is succeeded by making the next generation. So nothing that a living process holds is ever removed, and no
lock service of the file system is needed.

Clocks may jump. Times are only compared where one clock stamped them, that of the file system, and an owner on another
machine whose heartbeat looks too old, or as if it came from the future, is watched before it is succeeded: it lives if
its heart beats within SILENCE beats of the watcher's own monotonic clock.
"""

import json
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.core.errors import Busy
from bench.core.files import naming

BEAT = 15.0  # seconds between two heartbeats
DEAD_AFTER = 90.0  # seconds without one: above what a network file system caches (60 s), and several beats
SILENCE = 3  # beats that do not come while an owner is watched: then it is dead, whatever the clocks say


@dataclass(frozen=True)
class Owner:
    """A process. `place` is its machine since its last boot, and its pid name space: where equal, pids compare."""

    host: str
    place: str
    pid: int
    started: str  # the kernel's start time, so that a number used again is not taken for the same process
    job: str | None  # of the scheduler

    @classmethod
    def this(cls) -> "Owner":
        pid = os.getpid()
        return cls(platform.node(), _place(), pid, _started(pid) or "", job_id())

    def __str__(self) -> str:
        return f"{self.host}, pid {self.pid}" + (f", job {self.job}" if self.job else "")


def job_id() -> str | None:
    """The SLURM job that this process belongs to, as squeue writes it."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID")


class Ownership:
    """The ownership of a folder, held until `release`; `lost` is called from the heartbeat's thread if another process
    took it."""

    def __init__(
        self,
        folder: Path,
        lost: Callable[[], None] = lambda: None,
        beat: float = BEAT,
        dead_after: float = DEAD_AFTER,
    ) -> None:
        self.folder = folder
        self._lost = lost
        self._beat = beat
        self._dead_after = dead_after
        self._path: Path | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self) -> None:
        """Raises Busy, naming the owner, if a living process has the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        mine = _write(self.folder, asdict(Owner.this()))
        try:
            earlier = _generations(self.folder)
            if earlier:
                owner = self._living(earlier[-1], mine.stat().st_mtime)
                if owner:
                    raise Busy(f"another process ({owner}) is working on {self.folder}; wait for it")
            generation = _number(earlier[-1]) + 1 if earlier else 0
            path = self.folder / f".owner-{generation:06d}"
            try:
                os.link(mine, path)
            except FileExistsError:
                raise Busy(f"another process has just begun to work on {self.folder}; wait for it") from None
            if _generations(self.folder)[-1] != path:  # `earlier` was an old view: this generation is long past
                path.unlink()
                raise Busy(f"another process has just begun to work on {self.folder}; wait for it")
        finally:
            mine.unlink()
        for old in earlier:
            old.unlink(missing_ok=True)
        self._path = path
        self._thread = threading.Thread(target=self._keep_alive, name=f"heartbeat of {path}", daemon=True)
        self._thread.start()

    def acquire_when_free(self, pause: float, waiting: Callable[[Busy], None]) -> None:
        """Like `acquire`, but waits for the owner: tries every `pause` seconds, and calls `waiting`, which may raise,
        before each pause."""
        while True:
            try:
                return self.acquire()
            except Busy as busy:
                waiting(busy)
            time.sleep(pause)

    def release(self) -> None:
        if self._path is None or self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        if self._path.exists():  # the folder may have moved, and another process may have it
            with suppress(OSError):
                _write(self.folder, {"released": True}).replace(self._path)
        self._path = None

    def _living(self, path: Path, now: float) -> Owner | None:
        seen = _look(path)
        if seen is None or seen.dead:
            return None
        if seen.near(now, self._dead_after) or not _silent(path, seen, SILENCE * self._beat):
            return seen.owner
        return None

    def _keep_alive(self) -> None:
        assert self._path is not None
        while not self._stop.wait(self._beat):
            try:
                os.utime(self._path)
            except FileNotFoundError:
                self._lost()
                return
            except OSError:
                continue  # the disk may come back before others take the folder

    def __enter__(self) -> "Ownership":
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def owner_of(folder: Path, dead_after: float = DEAD_AFTER) -> Owner | None:
    """The owner of a folder that seems to live; None if nobody works in it.

    Nothing is watched here, so for a moment after a clock has jumped this may be wrong; `acquire` is not.
    """
    files = _generations(folder)
    seen = _look(files[-1]) if files else None
    if seen is None or seen.dead:
        return None
    return seen.owner if seen.here or seen.near(_clock_of(folder), dead_after) else None  # a clock only if needed


@dataclass(frozen=True)
class _Sighting:
    """An owner as its file tells it; `beat`: seconds since 1970, by the file system's clock."""

    owner: Owner
    beat: float

    @property
    def here(self) -> bool:
        return self.owner.place == _place()

    @property
    def dead(self) -> bool:
        """Known without a clock, of a process of this machine alone."""
        return self.here and _started(self.owner.pid) != self.owner.started

    def near(self, now: float, dead_after: float) -> bool:
        """Whether it needs no watching: a process of this machine that is there, or a heartbeat of just now."""
        return self.here or abs(now - self.beat) < dead_after


def _look(path: Path) -> _Sighting | None:
    """None if the owner has let go, or was succeeded while we looked."""
    try:
        with path.open() as file:  # opening, unlike stat, asks a network file system for the true time
            text, beat = file.read(), os.fstat(file.fileno()).st_mtime
        return _Sighting(msgspec.json.decode(text, type=Owner), beat)
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError):
        return None


def _silent(path: Path, seen: _Sighting, seconds: float) -> bool:
    """Whether the file stays as it was found for so long, by the monotonic clock of this process."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 1.0))
        if _look(path) != seen:
            return False
    return True


def _clock_of(folder: Path) -> float:
    """Seconds since 1970 by the clock that stamps files there; this machine's where nothing can be written."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return time.time()


def _generations(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob(".owner-*") if path.name.removeprefix(".owner-").isdecimal())


def _number(path: Path) -> int:
    return int(path.name.rsplit("-", 1)[1])


def _write(folder: Path, values: dict[str, Any]) -> Path:
    """A file that is about to become an owner's. It does not end in .tmp, so that no sweep takes it from under us."""
    handle, name = tempfile.mkstemp(prefix=".candidate-", dir=folder)
    try:
        with naming(folder), os.fdopen(handle, "w") as file:
            json.dump(values, file)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _place() -> str:
    parts = [platform.node()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _started(pid: int) -> str | None:
    """When the process began, in ticks since boot; None if it is not there, or dead and not yet reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return None if fields[0] in "ZX" else fields[19]
    except FileNotFoundError:
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""
