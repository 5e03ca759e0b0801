"""Checkpoints that verify themselves: the name of each file carries the start of its sha256."""

import copy
import hashlib
import io
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from bench.core.errors import UserError, is_out_of_memory
from bench.core.files import atomic_named

KEPT = 2


def save(folder: Path, step: int, payload: dict[str, Any]) -> Path:
    """Writes checkpoint-<step>-<sha256>.pt and removes all but the two newest."""
    name = ""
    with atomic_named(folder, "checkpoint", lambda: name) as temporary, temporary.open("wb") as file:
        hashing = _Hashing(file)
        try:
            torch.save(payload, hashing)  # type: ignore[arg-type]
        except RuntimeError:
            if hashing.error is not None:
                raise hashing.error from None  # torch tells of an end of file that is out of place
            raise
        file.flush()
        name = f"checkpoint-{step:09d}-{_short(hashing.sha256)}.pt"
    for old in _newest_first(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return folder / name


class Writer:
    """Saves in a thread of its own, one checkpoint at a time, while training goes on. A context: its end waits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._last: Future[Path] | None = None

    @property
    def busy(self) -> bool:
        return self._last is not None and not self._last.done()

    def submit(self, step: int, payload: dict[str, Any]) -> None:
        """Takes a copy of the payload, which may change afterwards. Raises what the save before this one raised."""
        self.wait()
        self._last = self._thread.submit(save, self.folder, step, copied(payload))

    def wait(self) -> None:
        """Waits until the last checkpoint is on disk. Raises what saving it raised."""
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.shutdown(wait=True)
        if error[0] is None:
            self.wait()


def copied(value: Any) -> Any:
    """The same containers with copies of all tensors, on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        made = copy.copy(value)  # of its own class: a network's state carries its version as an attribute
        for key, item in value.items():
            made[key] = copied(item)
        return made
    return type(value)(copied(item) for item in value) if isinstance(value, list | tuple) else value


def load_latest(folder: Path, say: Callable[[str], None]) -> dict[str, Any] | None:
    """The newest checkpoint that is whole; None if there is none. Damaged ones are named, set aside and passed over.

    All tensors are on the CPU, wherever they were: the state of a generator has to be there, on a GPU too, and
    networks and optimizers copy what they load to where they are.
    """
    for path in _newest_first(folder):
        data = path.read_bytes()
        if path.stem.rsplit("-", 1)[1] == _short(hashlib.sha256(data)):
            try:
                state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
                if isinstance(state, dict):
                    return state
                reason = "it holds no state of a training"
            except Exception as error:  # content that is none fails in many ways, of pickle's machine too
                if is_out_of_memory(error):
                    raise
                reason = str(error).split("\n")[0]
        else:
            reason = "its content does not match its checksum"
        path.rename(path.with_suffix(".damaged"))
        say(f"checkpoint {path} is damaged ({reason}); it is set aside and the one before is used")
    return None


def unfit(folder: Path, error: Exception) -> UserError:
    """The error for a newest checkpoint that is whole and yet not of this run: loading its content raised `error`."""
    path, reason = _newest_first(folder)[0], str(error).strip().split("\n")[0]
    return UserError(
        f"the checkpoint {path} is not of this run ({type(error).__name__}: {reason}); delete it: the run then goes on "
        f"from the one before, or begins anew"
    )


def keep_latest(folder: Path) -> None:
    """After the end of training only the last checkpoint is of use."""
    for old in _newest_first(folder)[1:]:
        old.unlink(missing_ok=True)


def clear(folder: Path) -> None:
    for path in _newest_first(folder):
        path.unlink(missing_ok=True)


class _Hashing:
    """A file that hashes what is written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.sha256 = file, hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        try:
            return self.file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self.file.flush()


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*-*.pt"), reverse=True)


def _short(sha256: "hashlib._Hash") -> str:
    return sha256.hexdigest()[:16]
