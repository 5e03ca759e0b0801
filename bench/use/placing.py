"""Several files that appear together, when all are written, and in place of nothing that was there."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.core.errors import UserError
from bench.core.files import writable_folder


@contextmanager
def placed(out: Path, names: Iterable[str], option: str = "--out") -> Iterator[Path]:
    """A folder to write files of these names into (`a/b.png` for one); at the end they move to `out`, which may exist.

    Where the block fails nothing is left. Raises UserError where one of the files is at `out` already.
    """
    wanted = list(names)
    there = [name for name in wanted if (out / name).exists()]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise UserError(f"{out / there[0]}{more} is there already; choose another {option}, or remove it")
    made = not out.exists()
    writable_folder(out, f"folder of {option}")
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=out))
    try:
        yield part
        for name in wanted:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).rename(out / name)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if made:
            with suppress(OSError):
                out.rmdir()  # fails where there is something in it
