"""Training images that are copies of held-out ones: what was trained on cannot be held out."""

import hashlib
from pathlib import Path

from bench.core.errors import UserError
from bench.core.parallel import ordered
from bench.data.dataset import Dataset, Item
from bench.data.decode import Report

CHUNK = 256  # files of one job

Copy = tuple[Item, Item]  # the training image that is left out, the held-out image that it equals


def leave_out_copies(dataset: Dataset, root: Path, items: list[Item], report: Report) -> tuple[list[Item], list[Copy]]:
    """The items without those training images that equal a held-out one of their domain, and what was left out.

    Equal is decided by Dataset.content, by default the bytes of the file. A UserError if nothing is left to train on.
    """

    def hashes(start: int) -> list[bytes | None]:
        contents = (_content(dataset, root, item) for item in items[start : start + CHUNK])
        return [None if content is None else hashlib.sha256(content).digest() for content in contents]

    content_of: list[bytes | None] = []
    stage = f"looking for copies in {dataset.name}"
    for chunk in ordered(hashes, range(0, len(items), CHUNK)):
        content_of += chunk
        report(stage, len(content_of), len(items))
    held_out = {
        (i.domain, content): i for i, content in zip(items, content_of) if i.split == "test" and content is not None
    }
    kept, copies = [], []
    for item, content in zip(items, content_of):
        original = held_out.get((item.domain, content)) if item.split != "test" and content is not None else None
        if original is None:
            kept.append(item)
        else:
            copies.append((item, original))
    if copies:
        first, original = copies[0]
        what = f"left out training images that are copies of held-out ones (first: {first.file} = {original.file})"
        report(what, len(copies), len(copies))
        _check_rest(dataset, kept)
    return kept, copies


def _content(dataset: Dataset, root: Path, item: Item) -> bytes | None:
    try:
        return dataset.content(root, item)
    except OSError as error:
        raise UserError(f"cannot read {root / item.file}: {error.strerror}; mend it or remove it") from None


def _check_rest(dataset: Dataset, kept: list[Item]) -> None:
    for domain in dataset.domains:
        if not any(item.domain == domain and item.split == "train" for item in kept):
            raise UserError(
                f"{dataset.name}: every training image of the domain {domain} is a copy of a held-out one; "
                "add images, or do not put the same files into train and test"
            )
