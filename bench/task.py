"""The task of one run: which images train, which are held out, and what is true of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.bank import ImageBank


@dataclass(frozen=True)
class Domain:
    """Some rows of an ImageBank: the images of one domain that serve one purpose."""

    name: str
    bank: ImageBank
    rows: np.ndarray  # int64, rows of the bank

    def __len__(self) -> int:
        return len(self.rows)

    def images(self, index: Sequence[int] | np.ndarray | slice = slice(None)) -> np.ndarray:
        """uint8 (n, C, R, R): the images at these positions of this domain, one gather from the memory map."""
        return self.bank.images[self.rows[index]]

    @property
    def labels(self) -> np.ndarray:
        """int64 (n,): index into TaskData.label_names; -1 where the data set has no labels."""
        return self.bank.labels[self.rows]

    @property
    def ids(self) -> list[str]:
        return [self.bank.ids[row] for row in self.rows]


@dataclass(frozen=True)
class TaskData:
    """Everything that a run may see of a data set.

    Training sees source_train and target_train (the subset) and nothing else. Measuring also sees the held-out
    parts. `truth` (int64, one entry per source_test image) is the position in target_test of its ground truth, -1
    where there is none.
    """

    dataset: str
    protocol: str
    label_names: tuple[str, ...]
    source_train: Domain
    target_train: Domain
    source_test: Domain
    target_test: Domain
    truth: np.ndarray
    target_size: int
    subset_seed: int
    subset_sha256: str
    manifest_sha256: str

    @property
    def resolution(self) -> int:
        return self.source_train.bank.images.shape[-1]
