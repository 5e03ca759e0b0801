"""Several files that appear together, when all are written, and in place of nothing that was there."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.core.errors import UserError
from bench.core.files import writable_folder


@contextmanager
def placed(out: Path, names: Iterable[str], option: str = "--out") -> Iterator[Path]:
    """A folder to write files of these names into (`a/b.png` for one); at the end they move to `out`, which may exist.

    Where the block fails nothing is left. Raises UserError where something is in the place of one of the files, or of
    a folder above it, already.
    """
    wanted = list(names)
    _check_free(out, wanted, option)
    made = not out.exists()
    writable_folder(out, f"folder of {option}")
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=out))
    try:
        yield part
        _move(part, out, wanted)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if made:
            with suppress(OSError):
                out.rmdir()  # fails where there is something in it


def _check_free(out: Path, names: Sequence[str], option: str) -> None:
    """A link that leads nowhere is something, too."""
    above = {str(folder) for name in names for folder in Path(name).parents[:-1]}
    there = [name for name in names if os.path.lexists(out / name)]
    there += [name for name in sorted(above) if os.path.lexists(out / name) and not (out / name).is_dir()]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise UserError(f"{out / there[0]}{more} is there already; choose another {option}, or remove it")


def _move(part: Path, out: Path, names: Sequence[str]) -> None:
    """All of them or none."""
    moved: list[Path] = []
    try:
        for name in names:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).rename(out / name)
            moved.append(out / name)
    except BaseException:
        for path in moved:
            path.unlink(missing_ok=True)
        raise
