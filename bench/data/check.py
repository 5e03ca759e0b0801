"""What would be used of a folder of images, and what would not and why: `bench data check`."""

import io
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import UserError
from bench.core.parallel import ordered
from bench.data.dataset import Dataset, Item
from bench.data.decode import Report
from bench.data.duplicates import Copy, leave_out_copies
from bench.data.images import IMAGE_SUFFIXES, NOT_IMAGES, OTHER_SUFFIXES, read_rgb
from bench.data.scan import index

CHUNK = 64  # images of one job


@dataclass(frozen=True)
class Checked:
    """What a look at every file has shown.

    items     the images that would be used, with their split
    sizes     width and height of each of them, in the same order; None for one that cannot be decoded
    damaged   what is wrong with those, one line each
    left_out  reason -> files below the root that are not used (of copies the ids)
    """

    items: list[Item]
    sizes: list[tuple[int, int] | None]
    damaged: list[str]
    left_out: dict[str, list[str]]

    def sizes_of(self, domain: str, split: str) -> list[tuple[int, int]]:
        pairs = zip(self.items, self.sizes)
        return [size for item, size in pairs if size and (item.domain, item.split) == (domain, split)]


def check(dataset: Dataset, root: Path, report: Report) -> Checked:
    """Reads every image below `root`. UserError where the layout itself is wrong."""
    items, copies = leave_out_copies(dataset, root, index(dataset, root), report)

    def look(start: int) -> list[tuple[int, int] | str]:
        return [_size(dataset, root, item) for item in items[start : start + CHUNK]]

    sizes: list[tuple[int, int] | str] = []
    for chunk in ordered(look, range(0, len(items), CHUNK)):
        sizes += chunk
        report(f"reading the images of {dataset.name}", len(sizes), len(items))
    return Checked(
        items=items,
        sizes=[size if isinstance(size, tuple) else None for size in sizes],
        damaged=[line for line in sizes if isinstance(line, str)],
        left_out={**_left_out(root, items, copies), **dataset.left_out(root)},
    )


def _size(dataset: Dataset, root: Path, item: Item) -> tuple[int, int] | str:
    """Width and height, or what is wrong with the image."""
    try:
        content = dataset.content(root, item)
        return read_rgb(root / item.file if content is None else io.BytesIO(content), item.file).size
    except UserError as error:
        return str(error)


def _left_out(root: Path, items: list[Item], copies: list[Copy]) -> dict[str, list[str]]:
    known = {item.file for item in items} | {train.file for train, _ in copies}
    files: dict[str, list[str]] = defaultdict(list)
    for path in _files(root):
        name = path.relative_to(root).as_posix()
        if name not in known:
            files[_reason(path.relative_to(root))].append(name)
    if copies:
        files["training images that are copies of held-out ones"] = [train.id for train, _ in copies]
    return dict(files)


def _files(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_file())


def _reason(path: Path) -> str:
    if any(part.startswith(".") or part.lower() in NOT_IMAGES for part in path.parts):
        return "hidden, or put there by a file server or a system"
    if path.suffix.lower() in OTHER_SUFFIXES:
        return "images of kinds that are not read; convert them to PNG"
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return "images where this layout has none, or of a class or domain that was not chosen"
    return "no images"
