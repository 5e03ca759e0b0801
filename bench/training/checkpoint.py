"""Checkpoints that verify themselves: the name of each file carries the start of its sha256."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from bench.core.errors import UserError
from bench.core.files import write_bytes

KEPT = 2


def save(folder: Path, step: int, payload: dict[str, Any]) -> Path:
    """Writes checkpoint-<step>-<sha256>.pt and removes all but the two newest."""
    buffer = io.BytesIO()
    torch.save(payload, buffer)
    data = buffer.getvalue()
    path = folder / f"checkpoint-{step:09d}-{_short(data)}.pt"
    write_bytes(path, data)
    for old in _newest_first(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def load_latest(folder: Path, device: torch.device, say: Callable[[str], None]) -> dict[str, Any] | None:
    """The newest checkpoint that is whole; None if there is none. Damaged ones are named, set aside and passed over."""
    for path in _newest_first(folder):
        data = path.read_bytes()
        if path.stem.rsplit("-", 1)[1] == _short(data):
            try:
                found = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
                if isinstance(found, dict):
                    return found
                reason = "it holds no state of a training"
            except (MemoryError, torch.OutOfMemoryError):
                raise
            except Exception as error:  # content that is none fails in many ways, of pickle's machine too
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


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*-*.pt"), reverse=True)


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
