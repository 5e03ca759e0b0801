"""The ImageBank: a data set decoded once into a uint8 memory map with its index.

A bank is a folder of the cache: images.npy, index.json and manifest.json, renamed into place when whole. Its name
carries a hash of everything that it depends on, so a changed file means another bank, never a stale one.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from bench.dataset import Dataset, Item
from bench.errors import UserError, unknown
from bench.files import digest, writable_folder, write_json
from bench.paths import cache_root

FORMAT = 1  # of the bank's files; raise it when they, or the way images are decoded, change
HELD_OUT = 0.2  # share of a domain that is held out where the data set holds nothing out itself

Report = Callable[[str, int, int], None]  # stage, images done, images in all; bench.progress.Reporter.tick is one


def silent(stage: str, done: int, total: int) -> None:
    """A report that goes nowhere."""


@dataclass(frozen=True)
class ImageBank:
    """The images of a data set at one resolution; row i of every field belongs to the same image.

    images    uint8 (N, 3, R, R), read-only, mapped from disk: `images[rows]` is one gather
    ids, domains, splits, labels (int64, index into manifest["labels"], -1 none), pairs: see bench.dataset.Item
    manifest  what is in it: dataset, version, protocol, resolution, labels, images, counts, content_sha256.
              The same files give the same manifest on every machine.
    """

    folder: Path
    images: np.ndarray
    ids: list[str]
    domains: list[str]
    splits: list[str]
    labels: np.ndarray
    pairs: list[str | None]
    manifest: dict[str, Any]

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
            item = Item(self.ids[row], self.domains[row], self.splits[row], label, "", self.pairs[row])
            _add(content, item, image)
        return content.hexdigest()


def prepare(dataset: Dataset, root: Path, resolution: int, report: Report = silent) -> ImageBank:
    """Opens the bank of the data below `root`, and first builds it where it is not there yet.

    Of several processes that want the same bank one builds and the others wait. `report` is called after each image
    and may raise: nothing of an unfinished bank remains.
    Raises UserError for bad data (the first bad image is named), a full disk, or a cache that cannot be written.
    """
    items = index(dataset, root)
    folder = bank_folder(dataset, root, items, resolution)
    if _is_whole(folder):
        return open_bank(folder)
    writable_folder(folder.parent, "cache of image banks")
    with _alone(folder, report, len(items)):
        if not _is_whole(folder):
            try:
                _build(dataset, root, items, resolution, folder, report)
            except OSError as error:
                raise UserError(
                    f"cannot write the image bank {folder} ({error.strerror}); it takes "
                    f"{len(items) * 3 * resolution**2 / 1e6:,.0f} MB: free some space or set I2I_BENCH_CACHE"
                ) from None
    return open_bank(folder)


def open_bank(folder: Path) -> ImageBank:
    """Opens a bank that was prepared earlier; a damaged one is a UserError. Pixels are not read."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        table = json.loads((folder / "index.json").read_text())
        images = np.load(folder / "images.npy", mmap_mode="r").view(np.ndarray)
        side = manifest["resolution"]
        if images.shape != (len(table["ids"]), 3, side, side) or images.dtype != np.uint8:
            raise ValueError(f"images.npy is {images.dtype} {images.shape}")
        labels = np.array(table.pop("labels"), dtype=np.int64)
        return ImageBank(folder=folder, images=images, labels=labels, manifest=manifest, **table)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"the image bank {folder} is damaged ({error}); delete it and prepare it again") from None


def index(dataset: Dataset, root: Path) -> list[Item]:
    """The data set's scan, checked, sorted by domain and id, with a held-out part in every domain."""
    items = dataset.scan(root)
    _check(dataset, items)
    place = {domain: i for i, domain in enumerate(dataset.domains)}
    items = sorted(items, key=lambda item: (place[item.domain], item.id))
    for domain in dataset.domains:
        items = _hold_out(dataset.name, domain, items)
    return items


def bank_folder(dataset: Dataset, root: Path, items: list[Item], resolution: int) -> Path:
    """cache/banks/<name>-<resolution>-<key>; the key hashes the index, the files and all else that the bank depends on.

    An archive is known by its content, a file of a folder by path, size, mtime and ctime (which no copy preserves).
    """
    key = digest(
        {
            "format": FORMAT,
            "version": dataset.version,
            "protocol": dataset.protocol,
            "resolution": resolution,
            "root": None if root.is_file() else str(root.resolve()),
            "items": [list(asdict(item).values()) for item in items],
            "files": _fingerprint(root, items),
        }
    )
    return cache_root() / "banks" / f"{dataset.name}-{resolution}-{key[:16]}"


def _fingerprint(root: Path, items: list[Item]) -> Any:
    try:
        if root.is_file():
            return hashlib.sha256(root.read_bytes()).hexdigest()
        stats = [(root / file).stat() for file in sorted({item.file for item in items})]
    except OSError as error:
        raise UserError(f"cannot read {error.filename}: {error.strerror}; mend it or remove it") from None
    return [[stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns] for stat in stats]


def _check(dataset: Dataset, items: list[Item]) -> None:
    """What every scan promises; broken only by a faulty data set, so the message is for its author."""
    seen = set()
    for item in items:
        if item.domain not in dataset.domains:
            raise unknown(f"domain in {item.file}:", item.domain, dataset.domains)
        if item.split not in ("train", "test"):
            raise UserError(f"{item.file} is in the split {item.split!r}; known: train, test")
        if dataset.labels and item.label is not None and item.label not in dataset.labels:
            raise unknown(f"label of {item.file}:", item.label, dataset.labels)
        if "\n" in item.id or not _is_unicode(item.id):
            raise UserError(f"the id of {item.file!r} has a line break or is no valid Unicode; rename the file")
        if (item.domain, item.id) in seen:
            raise UserError(f"two images of the domain {item.domain} have the id {item.id!r}; rename one ({item.file})")
        seen.add((item.domain, item.id))


def _is_unicode(text: str) -> bool:
    return text == text.encode(errors="ignore").decode()


def _hold_out(name: str, domain: str, items: list[Item]) -> list[Item]:
    """Leaves a domain alone that has a test part; else moves a fifth of it there, by hash (both ends of a pair)."""
    mine = [item for item in items if item.domain == domain]
    parts = Counter(item.split for item in mine)
    if len(mine) < 2 or not parts["train"]:
        raise UserError(
            f"{name}: the domain {domain} has {parts['train']} images to train on and {parts['test']} to test on; "
            "it needs at least one of each: add images"
        )
    if parts["test"]:
        return items

    def position(item: Item) -> tuple[str, str]:
        return hashlib.sha256(f"{name}\nheld out\n{item.pair or item.id}".encode()).hexdigest(), item.id

    chosen = {item.id for item in sorted(mine, key=position)[: max(1, round(HELD_OUT * len(mine)))]}
    return [replace(i, split="test") if i.domain == domain and i.id in chosen else i for i in items]


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


def _is_whole(folder: Path) -> bool:
    try:
        open_bank(folder)
    except UserError:
        return False
    return True


def _build(dataset: Dataset, root: Path, items: list[Item], resolution: int, folder: Path, report: Report) -> None:
    """Decodes image by image into a folder beside `folder`, then renames it. The caller holds the lock."""
    partial = folder.with_name(f".{folder.name}.partial")
    for leftover in (partial, folder):  # of a killed process; a damaged bank
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        partial.mkdir()
        content = _decode(dataset, root, items, resolution, partial / "images.npy", report)
        labels = list(dataset.labels or sorted({i.label for i in items if i.label is not None}))
        write_json(partial / "index.json", _table(items, labels))
        write_json(partial / "manifest.json", _manifest(dataset, items, labels, resolution, content))
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _decode(dataset: Dataset, root: Path, items: list[Item], resolution: int, target: Path, report: Report) -> str:
    """Writes images.npy and returns the content hash.

    Written as a stream, not through a memory map: on a full disk a map dies of SIGBUS, a stream raises OSError.
    """
    content = hashlib.sha256()
    shape = (len(items), 3, resolution, resolution)
    with target.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for done, item in enumerate(items, start=1):
            image = dataset.load(root, item, resolution)
            if image.shape != shape[1:] or image.dtype != np.uint8:
                found = f"{image.dtype} {image.shape}"
                raise UserError(f"{dataset.name}.load gives {found} for {item.file}; make it uint8 {shape[1:]}")
            _add(content, item, image)
            file.write(image.tobytes())
            report(f"preparing {dataset.name} at {resolution}x{resolution}", done, len(items))
        file.flush()
        os.fsync(file.fileno())
    return content.hexdigest()


def _add(content: "hashlib._Hash", item: Item, image: np.ndarray) -> None:
    facts = [item.domain, item.id, item.split, item.label, item.pair]
    content.update(json.dumps(facts).encode() + b"\n" + image.tobytes())


def _table(items: list[Item], labels: list[str]) -> dict[str, list[Any]]:
    number = {label: i for i, label in enumerate(labels)}
    return {
        "ids": [item.id for item in items],
        "domains": [item.domain for item in items],
        "splits": [item.split for item in items],
        "labels": [-1 if item.label is None else number[item.label] for item in items],
        "pairs": [item.pair for item in items],
    }


def _manifest(dataset: Dataset, items: list[Item], labels: list[str], resolution: int, content: str) -> dict[str, Any]:
    counts: dict[str, dict[str, dict[str, int]]] = {d: {"train": {}, "test": {}} for d in dataset.domains}
    for item in items:
        part = counts[item.domain][item.split]
        label = "-" if item.label is None else item.label
        part[label] = part.get(label, 0) + 1
    return {
        "format": FORMAT,
        "dataset": dataset.name,
        "version": dataset.version,
        "protocol": dataset.protocol,
        "resolution": resolution,
        "labels": labels,
        "images": len(items),
        "counts": counts,
        "content_sha256": content,
    }
