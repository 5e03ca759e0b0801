"""Files that are either whole or absent: written to a temporary name, flushed, renamed."""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.core.errors import UserError


@contextmanager
def atomic(path: Path, flush: bool = True) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on success flushes it to disk and renames it to `path`.

    On any exception (a full disk among them) the temporary file goes and an earlier `path` stays as it was. Without
    `flush` it is faster, but a power cut may lose the file.
    """
    with atomic_named(path.parent, path.name, lambda: path.name, flush) as temporary:
        yield temporary


@contextmanager
def atomic_named(folder: Path, stem: str, name: Callable[[], str], flush: bool = True) -> Iterator[Path]:
    """Writes like `atomic`, for a file whose name is known only when it is written: `name()` is asked at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, made = tempfile.mkstemp(prefix=f".{stem}.", suffix=".tmp", dir=folder)
    os.close(handle)
    temporary = Path(made)
    try:
        with naming(folder / stem):
            yield temporary
            if flush:
                with temporary.open("rb+") as file:
                    os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(folder / name())
            if flush:
                _flush_folder(folder)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


@contextmanager
def naming(place: Path) -> Iterator[None]:
    """While entered, an OSError that names no file names this place: a write does not say where the disk is full."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(place)) from None


def append_text(path: Path, text: str, flush: bool = False) -> None:
    """Adds text to the end of a file; with `flush` it is on the disk afterwards."""
    with naming(path), path.open("a", encoding="utf-8") as file:
        file.write(text)
        if flush:
            file.flush()
            os.fsync(file.fileno())


def write_bytes(path: Path, data: bytes) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def digest(value: Any) -> str:
    """sha256 (hex) of a JSON-able value, independent of the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def writable_folder(path: Path, purpose: str) -> Path:
    """Makes `path` and proves that it can be written, or says in one line why not."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UserError(f"cannot write the {purpose} {path}: {error.strerror}; choose another folder") from None
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
