"""The task of one run: which images train, which are held out, and what is true of them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.core.errors import Unfit, UserError
from bench.core.files import digest
from bench.data.bank import ImageBank, Report, silent
from bench.data.dataset import Dataset
from bench.data.find import find_bank, full_name, make


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
    def kind(self) -> str:
        """ "rgb", "labels", "depth" or "grey": how bench.data.modality reads the images."""
        return self.bank.manifest.get("kinds", {}).get(self.name, "rgb")

    @property
    def ids(self) -> list[str]:
        return [self.bank.ids[row] for row in self.rows]

    @property
    def pairs(self) -> list[str | None]:
        """Equal in two domains where the images show the same scene; None where nothing is known."""
        return [self.bank.pairs[row] for row in self.rows]

    @property
    def hidden(self) -> np.ndarray:
        """int64 (n,): the hidden label, an index into the manifest's "hidden"; -1 where there is none.

        To score with, not to learn from: a method that reads it solves another task.
        """
        names = self.bank.manifest.get("hidden", [])
        if not names or self.bank.attributes is None:
            return np.full(len(self), -1, np.int64)
        columns = [self.bank.manifest["attributes"].index(name) for name in names]
        has = self.bank.attributes[np.ix_(self.rows, columns)]
        return np.where(has.any(1), has.argmax(1), -1).astype(np.int64)

    def matches(self, other: "Domain") -> np.ndarray:
        """int64, one an image of `other`: the position here of the image of the same scene, -1 where there is none.

        Where several images here show the scene it is the first of them.
        """
        where: dict[str | None, int] = {}
        for i, pair in enumerate(self.pairs):
            if pair is not None:
                where.setdefault(pair, i)
        return np.array([where.get(pair, -1) for pair in other.pairs], dtype=np.int64)


@dataclass(frozen=True)
class TaskData:
    """Everything that a run may see of a data set.

    Training sees source_train and target_train (the subset) and nothing else. Measuring also sees the held-out
    parts. `truth` (int64, one entry per source_test image) is the position in target_test of its ground truth, -1
    where there is none. `others` and `others_test` are the data set's further domains, by name, for methods that
    learn from more than two. Where `mirror` is False a mirrored image is another thing, and training shows none.
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
    others: Mapping[str, Domain] = field(default_factory=dict)
    others_test: Mapping[str, Domain] = field(default_factory=dict)
    mirror: bool = True
    primary: str = Dataset.primary  # the metric that ranks methods on these data

    @property
    def resolution(self) -> int:
        return self.source_train.bank.images.shape[-1]


def companions(data: TaskData, domain: str) -> np.ndarray:
    """int64, one a held-out source: the position in others_test[domain] of the image of the same scene.

    Raises Unfit where there is none."""
    if domain not in data.others_test:
        raise Unfit(
            f"{data.dataset} has no further domain {domain!r} (it has {', '.join(data.others_test) or 'none'}); "
            "set companion=false"
        )
    position = data.others_test[domain].matches(data.source_test)
    missing = int((position < 0).sum())
    if missing:
        raise Unfit(f"{missing} held-out sources of {data.dataset} have no image in {domain!r}; set companion=false")
    return position


def load_task(
    name: str, target_size: int, resolution: int | None = None, subset_seed: int = 0, report: Report = silent
) -> TaskData:
    """The task of translating a data set's first domain into `target_size` training images of its second.

    `name` is a name, an alias or `folder:DIR`; `resolution` None is the data set's own. Prepares the bank if need be.
    Raises UserError for an unknown name, missing or bad data, a resolution or a size that the data do not allow.
    """
    dataset = make(name)
    return draw_task(dataset, find_bank(dataset, resolution, report), target_size, subset_seed)


def draw_task(dataset: Dataset, bank: ImageBank, target_size: int, subset_seed: int) -> TaskData:
    """The task that `load_task` loads, of a bank that is at hand."""
    source, target = dataset.task
    pool = subset_order(bank, target, subset_seed)
    if not 1 <= target_size <= len(pool):
        raise UserError(
            f"--target-size {target_size} is not possible: {full_name(dataset)} has {len(pool)} training images in "
            f"its target domain {target}; choose 1 to {len(pool)}"
        )
    target_train = Domain(target, bank, pool[:target_size])
    source_test = Domain(source, bank, bank.rows(source, "test"))
    target_test = Domain(target, bank, bank.rows(target, "test"))
    others = [name for name in dataset.domains if name not in (source, target)]
    return TaskData(
        dataset=full_name(dataset),
        protocol=dataset.protocol,
        label_names=tuple(bank.manifest["labels"]),
        source_train=Domain(source, bank, bank.rows(source, "train")),
        target_train=target_train,
        source_test=source_test,
        target_test=target_test,
        truth=target_test.matches(source_test),
        target_size=target_size,
        subset_seed=subset_seed,
        subset_sha256=subset_sha256(target_train.ids),
        manifest_sha256=digest(bank.manifest),
        others={name: Domain(name, bank, bank.rows(name, "train")) for name in others},
        others_test={name: Domain(name, bank, bank.rows(name, "test")) for name in others},
        mirror=dataset.mirror,
        primary=dataset.primary,
    )


def subset_order(bank: ImageBank, domain: str, seed: int) -> np.ndarray:
    """int64: the training rows of a domain; the target subset of size n is the first n of them.

    Ordered by the sha256 of "<data set>\\n<subset seed>\\n<image id>" alone: the same on every machine, in every order
    of files, and nested in n.
    """
    rows = bank.rows(domain, "train")
    name = bank.manifest["dataset"]
    keys = [hashlib.sha256(f"{name}\n{seed}\n{bank.ids[row]}".encode()).hexdigest() for row in rows]
    return rows[np.argsort(np.array(keys), kind="stable")]


def subset_sha256(ids: Iterable[str]) -> str:
    """The sha256 of the ids in subset order, each followed by a line feed: `bench data subset ... | sha256sum` prints
    it too."""
    return hashlib.sha256("".join(f"{name}\n" for name in ids).encode()).hexdigest()
