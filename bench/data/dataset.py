"""The contract of a data set: what its files are, not how they are stored or drawn."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from bench.core.errors import UserError
from bench.core.registry import find
from bench.data.images import read_rgb, square


@dataclass(frozen=True, slots=True)
class Item:
    """One image of a data set.

    id      unique in its domain, one line, the same on every machine; the target subset is drawn by its hash
    domain  one of Dataset.domains
    split   "train" or "test"; test images are held out and never trained on. Where a domain has no "test" at all,
            a part of it is held out by hash: Dataset.held_out, a fifth by default (bench.data.scan). "judge": no method
            sees these either; where a domain has some, the classifiers that measure learn from them instead of the
            training images, so that a bias of the training images is none of the classifiers'
    label   one of Dataset.labels, or None where the data set has none
    file    the image's path below the root (or inside the archive that is the root); messages name it
    pair    images of two domains with equal `pair` show the same thing: each is the other's ground truth. Several
            images of a source may share it (one motif in several styles)
    attributes  those of Dataset.attributes that it has (several at once, unlike the label)
    """

    id: str
    domain: str
    split: str
    label: str | None
    file: str
    pair: str | None = None
    attributes: tuple[str, ...] = ()


class Dataset(ABC):
    """A data set of at least two domains. One file in datasets/ is one data set; see datasets/emoji.py.

    What follows the colon in `afhq:cat-wild` arrives as `argument`: by default the source and the target, two of
    `domains` joined by a hyphen. A data set for which it means more (`folder:DIR`, `celeba:Smiling`) overrides
    __init__ and may set `domains`, `task` and `labels` there; where the argument changes which images the bank holds
    it sets `variant` too.

    Protocol of sizes: `train_sizes` caps the training images of a domain; they are chosen by hash of the id. Where
    the data set holds images of that domain out itself the surplus is left out, else the surplus is what is held out
    (and a fifth, where the surplus is less than a quarter of the cap).

    Content that is no RGB image still becomes uint8 (3, R, R) in the bank; `kinds` says of what kind a domain is and
    bench.data.modality codes and decodes it: "labels" (ids, exact), "depth" (metres up to `far`), "grey".
    """

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    domains: tuple[str, ...]  # all that the bank holds; the first is the default source, the second the default target
    labels: tuple[str, ...] = ()  # empty: those that the scan finds, sorted
    attributes: ClassVar[tuple[str, ...]] = ()  # names that Item.attributes draws from
    hidden: ClassVar[tuple[str, ...]] = ()  # attributes of which an image has at most one and no method is told: the
    # modes that mode finding should find, and is scored against
    kinds: ClassVar[dict[str, str]] = {}  # domain -> "labels", "depth" or "grey"; RGB where it is not named
    far: ClassVar[float] = 0.0  # metres: the largest depth that a domain of kind "depth" can hold
    held_out: float = 0.2  # of a domain without a test part: the share that is held out, or the number from 1 on
    training_pairs: ClassVar[bool] = False  # training images of source and target share `pair`
    mirror: ClassVar[bool] = True  # a mirrored image is as good an image: not so of letters, digits, and what has sides
    train_sizes: ClassVar[dict[str, int]] = {}  # domain -> most training images
    resolution: ClassVar[int]  # the largest side in pixels at which it is offered
    homepage: ClassVar[str]
    license: ClassVar[str]
    layout: ClassVar[str]  # what lies where below the root, for people
    paper: ClassVar[str] = ""  # which paper and table it belongs to; for docs/datasets.md
    compare: ClassVar[str] = ""  # which published figures can stand beside ours, and which cannot and why
    primary: ClassVar[str] = "kd_effnet"  # the metric that ranks methods; `bench calibrate` shows what each one sees
    protocol: ClassVar[str] = "default"
    version: ClassVar[int] = 1  # raise it when the same files give other images or another index
    variant: str = ""  # names the bank among those of other arguments; empty where all arguments share one bank

    def __init__(self, argument: str | None = None) -> None:
        self.task: tuple[str, str] = self.domains[0], self.domains[1]  # source, target
        if argument is not None:
            self.task = self.chosen_task(argument)
        default = self.task == self.domains[:2]
        self.argument: str | None = None if default else argument

    def chosen_task(self, argument: str) -> tuple[str, str]:
        """(source, target) of "source-target"; a UserError names the domains."""
        for hyphen in (i for i, letter in enumerate(argument) if letter == "-"):
            source, target = argument[:hyphen], argument[hyphen + 1 :]
            if source != target and source in self.domains and target in self.domains:
                return source, target
        raise UserError(
            f"the data set {self.name} has no task {argument!r}; write {self.name} or {self.name}:SOURCE-TARGET with "
            f"two of {', '.join(self.domains)}"
        )

    def embedded(self) -> Path | None:
        """Where the data lie if nobody needs to fetch them: they ship, or the argument names them. Else None.

        Where a part ships an argument can stand for the whole (`srmnist:full`), of which nothing is embedded; such a
        data set sets `variant` too.
        """
        return None

    def read_as(self, root: Path) -> str:
        """How the files below `root` are understood, for people; by default `layout`."""
        return self.layout

    def left_out(self, root: Path) -> dict[str, list[str]]:
        """Reason -> names of images that `scan` leaves out although it reads their files; none by default."""
        return {}

    @abstractmethod
    def scan(self, root: Path) -> list[Item]:
        """Finds the images below `root` and checks the layout. A UserError names the file and what mends it."""

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        """Decodes one image: uint8 (3, resolution, resolution). By default: to RGB, centre crop, antialiased resize."""
        path = root / item.file
        return square(read_rgb(path), resolution, str(path))

    def content(self, root: Path, item: Item) -> bytes | None:
        """What two copies of an image have in common, by default the bytes of its file; None: not looked for.

        A training image that equals a held-out one of its domain is left out (bench.data.duplicates).
        """
        path = root / item.file
        return path.read_bytes() if path.is_file() else None


def primary_metric(name: str) -> str:
    """The metric that ranks methods on a data set, found in its source; "kd_effnet" for one that is not registered."""
    try:
        return str(find("datasets", name).facts.get("primary", Dataset.primary))
    except UserError:
        return Dataset.primary
