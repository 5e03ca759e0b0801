"""The files of MNIST (idx) and of SVHN cropped digits (.mat), which two data sets read. No data set by itself."""

import gzip
import struct
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from bench import UserError
from bench.datasets.layouts import read_matlab

MNIST = "http://yann.lecun.com/exdb/mnist (a mirror: https://ossci-datasets.s3.amazonaws.com/mnist)"
SVHN = "http://ufldl.stanford.edu/housenumbers"
IDX = {"train": "train", "test": "t10k"}


def mnist_file(root: Path, split: str, kind: str = "images-idx3") -> Path:
    """train-images-idx3-ubyte and its three sisters, packed (.gz) or not; some programs write .idx3 for -idx3."""
    name = f"{IDX[split]}-{kind}-ubyte"
    for called in (name, name.replace("-idx", ".idx")):
        for path in (root / called, root / f"{called}.gz"):
            if path.is_file():
                return path
    raise UserError(f"there is no file {root / name} (nor with .gz); get the four idx files from {MNIST}")


@lru_cache(maxsize=2)
def mnist(root: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """uint8 images (N, 28, 28) and labels (N,)."""
    images = read_idx(mnist_file(root, split))
    place = mnist_file(root, split, "labels-idx1")
    labels = read_idx(place)
    if images.ndim != 3 or labels.shape != images.shape[:1] or (labels > 9).any():
        raise UserError(
            f"{place} holds {labels.shape} labels for {images.shape} images: they differ in version; get the four idx "
            f"files from {MNIST}"
        )
    return images, labels


def read_idx(path: Path) -> np.ndarray:
    """An idx file of unsigned bytes: magic 0 0 8 <dimensions>, the sizes as big-endian 32-bit numbers, the bytes."""
    mend = f"get it again from {MNIST}"
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"cannot read {path} ({error}); {mend}") from None
    if data[:3] != b"\x00\x00\x08" or len(data) < 4 + 4 * data[3]:
        raise UserError(f"{path} is no idx file of bytes; {mend}")
    shape = struct.unpack_from(f">{data[3]}I", data, 4)
    body = np.frombuffer(data, np.uint8, offset=4 + 4 * data[3])
    if body.size != np.prod(shape):
        raise UserError(f"{path} holds {body.size} of {np.prod(shape)} bytes: it is cut off; {mend}")
    return body.reshape(shape)


@lru_cache(maxsize=2)
def svhn(root: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """uint8 images (N, 32, 32, 3) and labels (N,); the file's class 10 is the digit 0."""
    path = root / f"{split}_32x32.mat"
    content = read_matlab(path, ["X", "y"], f"get it (format 2, cropped digits) from {SVHN}")
    images, labels = content["X"], np.atleast_1d(content["y"])
    if images.ndim != 4 or images.shape[:3] != (32, 32, 3) or labels.shape != images.shape[3:]:
        raise UserError(
            f"{path} holds images {images.shape} and labels {labels.shape} instead of (32, 32, 3, N) and (N,); get "
            f"format 2, cropped digits, from {SVHN}"
        )
    return np.ascontiguousarray(images.transpose(3, 0, 1, 2)), labels.astype(np.int64) % 10
