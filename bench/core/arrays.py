"""Arrays in .npy files, checked against what they must be as they are read."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.core.errors import UserError
from bench.core.typed import Damaged, damaged

Shape = tuple[int | None, ...]


def read_array(path: Path, dtype: npt.DTypeLike, shape: Shape, mend: str, mapped: bool = False) -> np.ndarray:
    """The array of a .npy file, which must have this dtype and shape; None in the shape stands for any length.

    mend    what the reader of the message can do about a damaged file
    mapped  leave the array on the disk, as a read-only memory map

    Nothing is unpickled, and no memory is taken before the header is known to be right. Raises UserError where the file
    is missing or damaged.
    """
    array = _map(path, mend)
    wanted = np.dtype(dtype)
    fits = len(array.shape) == len(shape) and all(want in (None, n) for n, want in zip(array.shape, shape))
    if array.dtype != wanted or not fits:
        sides = ", ".join("any" if n is None else str(n) for n in shape)
        raise damaged(path, f"it holds {array.dtype} {array.shape}, not {wanted} ({sides})", mend)
    return array if mapped else np.array(array)


def _map(path: Path, mend: str) -> np.memmap:
    if not path.is_file():
        what = "is not a file" if path.exists() else "is missing"
        raise Damaged(f"{path} {what}; {mend}")
    try:
        array = np.lib.format.open_memmap(path, mode="r")
        if array.offset + array.nbytes != path.stat().st_size:
            raise ValueError("bytes follow the array")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {mend}") from None
    except Exception as error:  # a header that is none fails in many ways, of Python's parser too
        what = "it is empty" if not path.stat().st_size else f"it is no whole .npy file ({error})"
        raise damaged(path, what, mend) from None
    return array
