"""The ImageBank: a data set decoded once into a uint8 memory map with its index.

A bank is a folder of the cache: images.npy, index.json, manifest.json and hashes.jsonl, renamed into place when whole.
Its name carries a hash of everything that it depends on, so a changed file means another bank, never a stale one.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from filelock import FileLock, Timeout
from msgspec import Meta, Struct

from bench.core.arrays import read_array
from bench.core.checksums import file_sha256
from bench.core.errors import UserError
from bench.core.files import writable_folder, write_json
from bench.core.paths import cache_root
from bench.core.typed import Damaged, damaged, read_typed
from bench.data.dataset import Dataset, Item
from bench.data.decode import Decoding, Report, read_journal
from bench.data.duplicates import Copy, leave_out_copies
from bench.data.scan import index

SAMPLED = 16  # images of a bank that are checked whenever it is opened
FORMAT = 2  # of the bank's files; raise it when they, or the way images are decoded, change


def silent(stage: str, done: int, total: int) -> None:
    """A report that goes nowhere."""


class _Manifest(Struct, frozen=True):
    """What manifest.json must hold; see ImageBank. It may hold more."""

    dataset: str
    version: int
    protocol: str
    resolution: Annotated[int, Meta(ge=1)]
    labels: list[str]
    images: int
    counts: dict[str, dict[str, dict[str, int]]]
    content_sha256: str
    kinds: dict[str, str] = {}
    far: float = 0.0
    attributes: list[str] = []
    copies_left_out: list[tuple[str, str, str]] = []


class _Table(Struct, frozen=True):
    """index.json: a column each, a row an image."""

    ids: list[str]
    domains: list[str]
    splits: list[str]
    labels: list[int]
    pairs: list[str | None]
    attributes: list[list[Literal[0, 1]]]
    files: list[str]


@dataclass(frozen=True)
class ImageBank:
    """The images of a data set at one resolution; row i of every field belongs to the same image.

    images    uint8 (N, 3, R, R), read-only, mapped from disk: `images[rows]` is one gather
    ids, domains, splits, labels (int64, index into manifest["labels"], -1 none), pairs: see bench.data.dataset.Item
    manifest  what is in it: dataset, version, protocol, resolution, labels, images, counts, content_sha256; where the
              data set has them also kinds and far (bench.data.modality), attributes, hidden, and the copies that were
              left out. The same files give the same manifest on every machine.
    attributes  uint8 (N, A): 1 where the image has manifest["attributes"][a]; None where the data set has none
    """

    folder: Path
    images: np.ndarray
    ids: list[str]
    domains: list[str]
    splits: list[str]
    labels: np.ndarray
    pairs: list[str | None]
    manifest: dict[str, Any]
    attributes: np.ndarray | None = None

    @property
    def files(self) -> list[str]:
        """The file of each row below the root of the original files; read from disk at each call."""
        mend = f"delete {self.folder} and prepare it again"
        return read_typed(self.folder / "index.json", _Table, mend).files

    def rows(self, domain: str, split: str) -> np.ndarray:
        """int64: the rows of one part of one domain, in the order of their ids."""
        mine = [i for i, part in enumerate(zip(self.domains, self.splits)) if part == (domain, split)]
        return np.array(mine, dtype=np.int64)

    def content_sha256(self) -> str:
        """Reads every pixel and hashes anew; equals manifest["content_sha256"] unless the bank is damaged."""
        names = self.manifest["labels"]
        content = hashlib.sha256()
        for row, image in enumerate(self.images):
            label = names[self.labels[row]] if self.labels[row] >= 0 else None
            facts = [self.domains[row], self.ids[row], self.splits[row], label, self.pairs[row]]
            if self.attributes is not None:
                facts.append([n for n, has in zip(self.manifest["attributes"], self.attributes[row]) if has])
            content.update(_line(facts, hashlib.sha256(image.tobytes()).hexdigest()))
        return content.hexdigest()


def prepare(dataset: Dataset, root: Path, resolution: int, report: Report = silent) -> ImageBank:
    """Opens the bank of the data below `root`, and first builds it where it is not there yet.

    Of several processes that want the same bank one builds and the others wait. `report` is called now and then and
    may raise. What a killed or interrupted preparation has decoded is kept for the next one, out of sight.
    Raises UserError for bad data (the first bad image is named), a full disk, or a cache that cannot be written.
    """
    items = index(dataset, root)
    folder = bank_folder(dataset, root, items, resolution)
    if bank := _opened(folder):
        return bank
    writable_folder(folder.parent, "cache of image banks")
    with _alone(folder, report, len(items)):
        if not (bank := _opened(folder)):
            try:
                _build(dataset, root, items, resolution, folder, report)
            except OSError as error:
                raise UserError(
                    f"cannot write the image bank {folder} ({error.strerror}); it takes "
                    f"{len(items) * 3 * resolution**2 / 1e6:,.0f} MB: free some space or set I2I_BENCH_CACHE"
                ) from None
    return bank or open_bank(folder)


def open_bank(folder: Path) -> ImageBank:
    """Opens a bank that was prepared earlier; a damaged one is a UserError.

    Of the pixels SAMPLED images, spread evenly, are compared with their hashes; `bench data verify` reads them all.
    """
    mend = f"delete {folder} and prepare it again"
    facts = read_typed(folder / "manifest.json", _Manifest, mend)
    table = read_typed(folder / "index.json", _Table, mend)
    n = len(table.ids)
    images = read_array(folder / "images.npy", np.uint8, (n, 3, facts.resolution, facts.resolution), mend, mapped=True)
    _check_sample(folder, images, mend)
    columns: dict[str, list[Any]] = {
        "domains": table.domains,
        "splits": table.splits,
        "labels": table.labels,
        "pairs": table.pairs,
    }
    for name, column in columns.items():
        if len(column) != n:
            raise damaged(folder / "index.json", f"it has {len(column)} {name} for {n} ids", mend)
    if any(not -1 <= label < len(facts.labels) for label in table.labels):
        raise damaged(folder / "index.json", "a label is none of the manifest's", mend)
    if table.attributes and {(n, len(facts.attributes))} != {(len(table.attributes), len(r)) for r in table.attributes}:
        raise damaged(folder / "index.json", "the attributes are not those of the manifest", mend)
    return ImageBank(
        folder=folder,
        images=images.view(np.ndarray),
        ids=table.ids,
        domains=table.domains,
        splits=table.splits,
        labels=np.array(table.labels, dtype=np.int64),
        pairs=table.pairs,
        manifest=read_typed(folder / "manifest.json", dict[str, Any], mend),
        attributes=np.array(table.attributes, dtype=np.uint8) if table.attributes else None,
    )


def _check_sample(folder: Path, images: np.ndarray, mend: str) -> None:
    hashes = {start + i: one for start, chunk in read_journal(folder) for i, one in enumerate(chunk)}
    for row in np.unique(np.linspace(0, len(images) - 1, min(SAMPLED, len(images))).astype(int)).tolist():
        if row in hashes and hashlib.sha256(images[row].tobytes()).hexdigest() != hashes[row]:
            raise damaged(folder / "images.npy", f"image {row} is not what was written", mend)


def bank_folder(dataset: Dataset, root: Path, items: list[Item], resolution: int) -> Path:
    """cache/banks/<name>-<resolution>-<key>; the key hashes the index, the files and all else that the bank depends on.

    An archive is known by its content, a file of a folder by path, size, mtime and ctime (which no copy preserves).
    """
    facts = [FORMAT, dataset.version, dataset.protocol, resolution, None if root.is_file() else str(root.resolve())]
    key = hashlib.sha256(json.dumps(facts).encode())
    for part in (map(_facts, items), _fingerprint(root, items)):
        for value in part:
            key.update(json.dumps(value).encode() + b"\n")
    return cache_root() / "banks" / f"{dataset.name}-{resolution}-{key.hexdigest()[:16]}"


def _facts(item: Item) -> list[Any]:
    return [item.id, item.domain, item.split, item.label, item.file, item.pair, item.attributes]


def _fingerprint(root: Path, items: list[Item]) -> Iterator[Any]:
    try:
        if root.is_file():
            yield file_sha256(root)
            return
        for file in sorted({item.file for item in items}):
            stat = os.stat(f"{root}/{file}")  # noqa: PTH116 (twice as fast, for hundreds of thousands of files)
            yield [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    except OSError as error:
        raise UserError(f"cannot read {error.filename}: {error.strerror}; mend it or remove it") from None


@contextmanager
def _alone(folder: Path, report: Report, total: int) -> Iterator[None]:
    """Holds the lock of a bank; the system lets it go when the process dies."""
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    while not lock.is_locked:
        try:
            lock.acquire(timeout=1)
        except Timeout:
            report(f"waiting for another process that prepares {folder.name}", 0, total)
    try:
        yield
    finally:
        lock.release()


def _opened(folder: Path) -> ImageBank | None:
    """None where there is none, or a damaged one. One that cannot be read just now is an error: others may use it."""
    try:
        return open_bank(folder)
    except Damaged:
        return None


def _build(dataset: Dataset, root: Path, items: list[Item], resolution: int, folder: Path, report: Report) -> None:
    """Makes the bank in a folder beside `folder`, then renames it. The caller holds the lock.

    Bad data and a full disk leave nothing (mended files belong to another bank); a kill leaves what is finished.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(folder, ignore_errors=True)  # a damaged bank
    _sweep(partial)
    try:
        partial.mkdir(exist_ok=True)
        items, copies = leave_out_copies(dataset, root, items, report)
        hashes = Decoding(dataset, root, items, resolution, partial).run(report)
        labels = list(dataset.labels or sorted({i.label for i in items if i.label is not None}))
        write_json(partial / "index.json", _table(dataset, items, labels))
        write_json(partial / "manifest.json", _manifest(dataset, items, labels, resolution, hashes, copies))
        partial.rename(folder)
    except (UserError, OSError):
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _sweep(partial: Path) -> None:
    """Removes what killed preparations of the same data set and resolution have left whose files changed since."""
    stem = partial.name.rsplit("-", 1)[0]
    for other in partial.parent.glob(f"{stem}-*.partial"):
        lock = FileLock(other.with_name(f"{other.name.removesuffix('.partial')}.lock"))
        if other != partial:
            with suppress(Timeout), lock.acquire(timeout=0):
                shutil.rmtree(other, ignore_errors=True)


def content_sha256(items: list[Item], hashes: list[str], attributes: bool) -> str:
    """Over the items in order: a JSON line of domain, id, split, label, pair (attributes) and the pixels' sha256."""
    content = hashlib.sha256()
    for item, pixels in zip(items, hashes, strict=True):
        facts: list[Any] = [item.domain, item.id, item.split, item.label, item.pair]
        content.update(_line([*facts, list(item.attributes)] if attributes else facts, pixels))
    return content.hexdigest()


def _line(facts: list[Any], pixels_sha256: str) -> bytes:
    return json.dumps([*facts, pixels_sha256]).encode() + b"\n"


def _table(dataset: Dataset, items: list[Item], labels: list[str]) -> dict[str, list[Any]]:
    number = {label: i for i, label in enumerate(labels)}
    return {
        "ids": [item.id for item in items],
        "domains": [item.domain for item in items],
        "splits": [item.split for item in items],
        "labels": [-1 if item.label is None else number[item.label] for item in items],
        "pairs": [item.pair for item in items],
        "attributes": [[int(name in item.attributes) for name in dataset.attributes] for item in items]
        if dataset.attributes
        else [],
        "files": [item.file for item in items],
    }


def _manifest(
    dataset: Dataset, items: list[Item], labels: list[str], resolution: int, hashes: list[str], copies: list[Copy]
) -> dict[str, Any]:
    counts: dict[str, dict[str, dict[str, int]]] = {d: {"train": {}, "test": {}} for d in dataset.domains}
    for item in items:
        part = counts[item.domain].setdefault(item.split, {})
        label = "-" if item.label is None else item.label
        part[label] = part.get(label, 0) + 1
    manifest = {
        "format": FORMAT,
        "dataset": dataset.name,
        "version": dataset.version,
        "protocol": dataset.protocol,
        "resolution": resolution,
        "labels": labels,
        "images": len(items),
        "counts": counts,
        "content_sha256": content_sha256(items, hashes, bool(dataset.attributes)),
    }
    if dataset.kinds:
        manifest |= {"kinds": dataset.kinds, "far": dataset.far}
    if dataset.attributes:
        manifest["attributes"] = list(dataset.attributes)
    if dataset.hidden:
        manifest["hidden"] = list(dataset.hidden)
    if copies:
        manifest["copies_left_out"] = [[train.domain, train.id, held_out.id] for train, held_out in copies]
    return manifest
