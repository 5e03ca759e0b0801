"""Training batches. The batch of step t is a pure function of (run seed, stream, t): resuming needs only t."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from bench.core.errors import UserError
from bench.data.task import TaskData
from bench.training.augment import Augment
from bench.training.compute import Compute
from bench.training.share import rows_of_part

ORDERS = ("shuffled", "uniform", "balanced")
POOLS = ("source", "target", "all")  # or the name of another domain of the data set


@dataclass(frozen=True)
class Stream:
    """What a method asks for: where its images come from, how many a step, in which order.

    pool     source, target, all (the source's images followed by the target's), or another domain's name
    order    shuffled: every image once an epoch, a last partial batch dropped (a pool smaller than the batch is
             repeated to fill it); uniform: with replacement; balanced: a class uniformly, then one of its images
    classes  int64, one class an image of the pool; None: the labels of the data set
    rows     int64, the images of the pool that are drawn; None: all. `index` of a Batch counts in the whole pool
    later    (step, augmentation): from this step on it takes the place of `augment`
    follows  the name of another stream: image i of a batch is then partners[that stream's image i]
    partners int64, one image of this pool for each image of the followed one; goes with `follows`
    same_view the image and the one that it follows are cropped and mirrored alike; goes with `follows` and the same
             augmentation
    blocks   equal blocks of the batch that train_step takes one after another, each a batch by itself
    """

    pool: str
    size: int
    order: str = "shuffled"
    augment: Augment = field(default_factory=Augment)
    classes: np.ndarray | None = None
    rows: np.ndarray | None = None
    later: tuple[int, Augment] | None = None
    follows: str | None = None
    partners: np.ndarray | None = None
    same_view: bool = False
    blocks: int = 1

    def augmentation(self, step: int) -> Augment:
        return self.later[1] if self.later and step >= self.later[0] else self.augment


@dataclass(frozen=True)
class Batch:
    """image: float32 (N, C, S, S) in [-1, 1]; label: int64 (N,), -1 where unknown; index: int64 (N,), into the pool.

    blocks  those of its Stream
    """

    image: Tensor
    label: Tensor
    index: Tensor
    blocks: int = 1

    def part(self, number: int, count: int) -> "Batch":
        """One of `count` equal parts: the same rows of each block. Raises UserError where there are none."""
        check_division(len(self.image), self.blocks, count)
        image, label, index = (
            rows_of_part(x, number, count, self.blocks) for x in (self.image, self.label, self.index)
        )
        return Batch(image, label, index, self.blocks)


def check_division(size: int, blocks: int, count: int) -> None:
    """Raises UserError where the blocks of a batch have no `count` equal parts."""
    if (size // blocks) % count:
        raise UserError(
            f"a batch of {size // blocks} has no {count} equal parts; choose a divisor (--accumulate times --gpus), or "
            f"another batch_size"
        )


class Sampler:
    """Draws one Batch a stream for any step; of several ranks each gets its part of that batch."""

    def __init__(self, streams: Mapping[str, Stream], data: TaskData, seed: int, compute: Compute) -> None:
        self._data = data
        self._compute = compute
        self._pools = {name: _Pool(name, stream, data, seed) for name, stream in streams.items()}

    def batch(self, step: int) -> dict[str, Batch]:
        return {name: self._draw(pool, step) for name, pool in self._pools.items()}

    def _draw(self, pool: "_Pool", step: int) -> Batch:
        leader = self._pools.get(pool.stream.follows or "")
        whole = pool.index(step) if leader is None else pool.partners[leader.index(step)]
        rows = self._rows(pool.stream)
        index = whole[rows]
        view = leader if leader is not None and pool.stream.same_view else pool
        pixels = pool.pixels(index)
        views = pool.augmentation(step).draw(len(whole), pixels.shape[-1], view.rng("augment", step))
        image = views.of(rows)(self._compute.images(pixels))
        label = self._compute.tensor(pool.classes[index])
        return Batch(image, label, self._compute.tensor(index), pool.stream.blocks)

    def _rows(self, stream: Stream) -> np.ndarray:
        """Those of the whole batch that this process gets: the same of each block."""
        ranks = self._compute.ranks
        check_division(stream.size, stream.blocks, ranks.count)
        return np.arange(stream.size).reshape(stream.blocks, ranks.count, -1)[:, ranks.number].ravel()


class _Pool:
    def __init__(self, name: str, stream: Stream, data: TaskData, seed: int) -> None:
        known = (*POOLS, *data.others)
        if stream.order not in ORDERS or stream.pool not in known:
            raise ValueError(f"stream {name!r}: order is one of {ORDERS}, pool one of {known}")
        self.stream = stream
        self._mirror = data.mirror
        self._key = [seed, zlib.crc32(name.encode())]
        both = [data.source_train, data.target_train]
        parts = {"source": both[:1], "target": both[1:], "all": both}
        self._parts = parts.get(stream.pool) or [data.others[stream.pool]]
        self._size = sum(len(part) for part in self._parts)
        labels = np.concatenate([part.labels for part in self._parts])
        self.classes = labels if stream.classes is None else np.asarray(stream.classes, dtype=np.int64)
        if len(self.classes) != self._size:
            raise ValueError(f"stream {name!r}: {len(self.classes)} classes for a pool of {self._size} images")
        self._rows = np.arange(self._size) if stream.rows is None else np.asarray(stream.rows, dtype=np.int64)
        if not len(self._rows):
            raise UserError(f"there are no training images for the stream {name!r} ({stream.pool})")
        self.partners = np.empty(0, np.int64) if stream.partners is None else np.asarray(stream.partners, np.int64)
        if stream.order == "balanced":
            of_row = self.classes[self._rows]
            present = np.unique(of_row)
            if present[0] < 0:
                raise UserError("class-balanced sampling needs a label for every image; choose another `classes`")
            self._members = [self._rows[of_row == c] for c in present]
        self._epoch = (-1, np.empty(0, np.int64))

    def augmentation(self, step: int) -> Augment:
        """What the method asked for at this step, without mirroring where the data set forbids it."""
        asked = self.stream.augmentation(step)
        return asked if self._mirror else replace(asked, flip=False)

    def rng(self, purpose: str, step: int) -> np.random.Generator:
        return np.random.default_rng([*self._key, zlib.crc32(purpose.encode()), step])

    def index(self, step: int) -> np.ndarray:
        n, size = len(self._rows), self.stream.size
        if self.stream.order == "uniform":
            return self._rows[self.rng("order", step).integers(0, n, size)]
        if self.stream.order == "balanced":
            rng = self.rng("order", step)
            classes = rng.integers(0, len(self._members), size)
            return np.array([rng.choice(self._members[c]) for c in classes], dtype=np.int64)
        per_epoch = max(n // size, 1)
        epoch, position = divmod(step, per_epoch)
        if epoch != self._epoch[0]:
            rng = self.rng("order", epoch)
            order = np.concatenate([rng.permutation(n) for _ in range(-(-size // n))])
            self._epoch = (epoch, self._rows[order])
        return self._epoch[1][position * size : (position + 1) * size]

    def pixels(self, index: np.ndarray) -> np.ndarray:
        if len(self._parts) == 1:
            return self._parts[0].images(index)
        source, target = self._parts
        pixels = np.empty((len(index), *source.bank.images.shape[1:]), np.uint8)
        of_source = index < len(source)
        pixels[of_source] = source.images(index[of_source])
        pixels[~of_source] = target.images(index[~of_source] - len(source))
        return pixels
