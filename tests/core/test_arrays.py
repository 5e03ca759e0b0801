"""Arrays on disk: a file that is not the array it must be is one line that names it."""

import os
from pathlib import Path

import numpy as np
import pytest

from bench.core.arrays import read_array
from bench.core.errors import UserError

IMAGES = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)


def write(path: Path, array: np.ndarray) -> bytes:
    np.save(path, array, allow_pickle=True)
    return path.read_bytes()


def huge(path: Path) -> None:
    """A header that promises 8 TB."""
    data = write(path, np.zeros((1, 3, 4, 4), np.uint8)).replace(b"(1, 3, 4, 4)", b"(999999999, 3, 4, 4)")
    path.write_bytes(data)


def zipped(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, a=IMAGES)


DAMAGES = {
    "empty": (lambda path: path.write_bytes(b""), "it is empty"),
    "cut": (lambda path: path.write_bytes(write(path, IMAGES)[:-1]), "no whole .npy file"),
    "cut in the header": (lambda path: path.write_bytes(write(path, IMAGES)[:40]), "no whole .npy file"),
    "longer": (lambda path: path.write_bytes(write(path, IMAGES) + b"x"), "bytes follow the array"),
    "zip": (zipped, "no whole .npy file"),
    "huge": (huge, "no whole .npy file"),
    "objects": (lambda path: write(path, np.array([{}, []], dtype=object)), "no whole .npy file"),
    "another side": (lambda path: write(path, np.zeros((2, 3, 8, 8), np.uint8)), "it holds uint8 (2, 3, 8, 8), not"),
    "another type": (lambda path: write(path, IMAGES.astype(np.float32)), "it holds float32 (2, 3, 4, 4), not uint8"),
    "other axes": (lambda path: write(path, IMAGES[0]), "it holds uint8 (3, 4, 4), not uint8 (any, 3, 4, 4)"),
    "a folder": (lambda path: path.mkdir(), "is not a file"),
    "a pipe": (lambda path: os.mkfifo(path), "is not a file"),
    "nothing": (lambda path: None, "is missing"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_not_the_array_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    damage, expected = DAMAGES[name]
    damage(path)
    for mapped in (False, True):
        with pytest.raises(UserError) as error:
            read_array(path, np.uint8, (None, 3, 4, 4), "make it again", mapped)
        assert str(path) in str(error.value) and expected in str(error.value)
        assert str(error.value).endswith("; make it again")


def test_the_array_is_read_or_mapped(tmp_path: Path) -> None:
    write(tmp_path / "a.npy", IMAGES)
    for mapped in (False, True):
        found = read_array(tmp_path / "a.npy", np.uint8, (2, 3, 4, 4), "", mapped)
        assert np.array_equal(found, IMAGES) and isinstance(found, np.memmap) == mapped
    write(tmp_path / "none.npy", np.zeros((0, 3, 4, 4), np.uint8))
    assert len(read_array(tmp_path / "none.npy", np.uint8, (None, 3, 4, 4), "")) == 0
