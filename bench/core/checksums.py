"""Whether a file is what was written: its sha256, kept beside it, is compared whenever the file is read back."""

import hashlib
from pathlib import Path

from bench.core.errors import UserError
from bench.core.typed import damaged

PART = 1 << 20  # bytes that are read at once


def file_sha256(path: Path) -> str:
    """sha256 (hex) of a file's content."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(PART):
            total.update(part)
    return total.hexdigest()


def verify_file(path: Path, sha256: str, mend: str) -> None:
    """Raises UserError where the file is missing, or its content is not the one with this sha256.

    mend  what the reader of the message can do about it
    """
    if not path.is_file():
        raise UserError(f"{path} is missing; {mend}")
    if file_sha256(path) != sha256:
        raise damaged(path, "its content does not match its checksum", mend)
