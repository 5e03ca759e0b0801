"""The contract of a data set: what its files are, not how they are stored or drawn."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from bench.errors import UserError
from bench.images import read_rgb, square


@dataclass(frozen=True)
class Item:
    """One image of a data set.

    id      unique in its domain, one line, the same on every machine; the target subset is drawn by its hash
    domain  one of Dataset.domains
    split   "train" or "test"; test images are held out and never trained on. Where a domain has no "test" at all,
            a fifth of it is held out by hash (bench.bank)
    label   one of Dataset.labels, or None where the data set has none
    file    the image's path below the root (or inside the archive that is the root); messages name it
    pair    images of two domains with equal `pair` show the same thing: each is the other's ground truth
    """

    id: str
    domain: str
    split: str
    label: str | None
    file: str
    pair: str | None = None


class Dataset(ABC):
    """A data set of at least two domains. One file in datasets/ is one data set; see datasets/emoji.py.

    What follows the colon in `folder:DIR` arrives as `argument`. A data set that wants one overrides __init__.
    """

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    domains: ClassVar[tuple[str, ...]]  # the first is the default source, the second the default target
    labels: ClassVar[tuple[str, ...]] = ()  # empty: those that the scan finds, sorted
    resolution: ClassVar[int]  # the largest side in pixels at which it is offered
    homepage: ClassVar[str]
    license: ClassVar[str]
    layout: ClassVar[str]  # what lies where below the root, for people
    protocol: ClassVar[str] = "default"
    version: ClassVar[int] = 1  # raise it when the same files give other images or another index

    def __init__(self, argument: str | None = None) -> None:
        if argument is not None:
            raise UserError(f"the data set {self.name} takes nothing after a colon; write --dataset {self.name}")
        self.argument: str | None = argument

    def embedded(self) -> Path | None:
        """Where the data lie if nobody needs to fetch them: they ship, or the argument names them. Else None."""
        return None

    @abstractmethod
    def scan(self, root: Path) -> list[Item]:
        """Finds the images below `root` and checks the layout. A UserError names the file and what mends it."""

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        """Decodes one image: uint8 (3, resolution, resolution). By default: to RGB, centre crop, antialiased resize."""
        path = root / item.file
        return square(read_rgb(path), resolution, str(path))
