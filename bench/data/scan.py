"""The index of a data set: its scan checked and sorted, with a held-out part in every domain and the sizes capped."""

import hashlib
import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from bench.core.errors import UserError, unknown
from bench.data.dataset import Dataset, Item


def index(dataset: Dataset, root: Path) -> list[Item]:
    """The images of a data set in the order of a bank: by domain and id. A function of the files alone."""
    items = dataset.scan(root)
    _check(dataset, items)
    if root.is_dir():
        _check_links(root, items)
    place = {domain: i for i, domain in enumerate(dataset.domains)}
    items.sort(key=lambda item: (place[item.domain], item.id))
    return [item for domain in dataset.domains for item in _divide(dataset, domain, items)]


def _check(dataset: Dataset, items: list[Item]) -> None:
    """What every scan promises; broken only by a faulty data set, so the message is for its author."""
    seen = set()
    for item in items:
        if item.domain not in dataset.domains:
            raise unknown(f"domain in {item.file}:", item.domain, dataset.domains)
        if item.split not in ("train", "test", "judge"):
            raise UserError(f"{item.file} is in the split {item.split!r}; known: train, test, judge")
        if dataset.labels and item.label is not None and item.label not in dataset.labels:
            raise unknown(f"label of {item.file}:", item.label, dataset.labels)
        for attribute in item.attributes:
            if attribute not in dataset.attributes:
                raise unknown(f"attribute of {item.file}:", attribute, dataset.attributes)
        if len(both := sorted({*item.attributes} & {*dataset.hidden})) > 1:
            raise UserError(f"{item.file} has two hidden labels, {both[0]} and {both[1]}; an image has at most one")
        if re.search(r"[\x00-\x1f\x7f-\x9f]", item.id) or not _is_unicode(item.id):
            raise UserError(f"the id of {item.file!r} has control characters or is no valid Unicode; rename the file")
        if (item.domain, item.id) in seen:
            raise UserError(f"two images of the domain {item.domain} have the id {item.id!r}; rename one ({item.file})")
        seen.add((item.domain, item.id))


def _is_unicode(text: str) -> bool:
    return text == text.encode(errors="ignore").decode()


def _check_links(root: Path, items: list[Item]) -> None:
    """No image may lie outside of the root by way of a symbolic link to it or to one of its folders."""
    inside = os.path.realpath(root)
    files = sorted({f"{root}/{item.file}" for item in items})
    links = [file for file in files if os.path.islink(file)]  # noqa: PTH114 (much faster than Path)
    folders = sorted({file.rpartition("/")[0] for file in files})
    for path in folders + links:
        real = os.path.realpath(path)
        if os.path.commonpath([real, inside]) != inside:
            raise UserError(f"{path} leads out of {root} by a symbolic link, to {real}; put the files themselves there")


def _divide(dataset: Dataset, domain: str, items: list[Item]) -> list[Item]:
    """The images of one domain with its held-out part and no more training images than the protocol has.

    A domain that has a test part keeps it. Else, by hash, all beyond the cap are held out, or at least the share or
    number that the data set says (a fifth by default). What the data set keeps for the classifiers that measure stays
    as it is.
    """
    whole = [item for item in items if item.domain == domain]
    mine = [item for item in whole if item.split != "judge"]
    parts = Counter(item.split for item in mine)
    if len(mine) < 2 or not parts["train"]:
        raise UserError(
            f"{dataset.name}: the domain {domain} has {parts['train']} images to train on and {parts['test']} to test "
            "on; it needs at least one of each: add images"
        )
    cap = dataset.train_sizes.get(domain, len(mine))
    if parts["test"]:
        chosen = set(_by_hash(dataset.name, "trained on", [item for item in mine if item.split == "train"])[:cap])
        return [item for item in whole if item.split != "train" or item.id in chosen]
    order = _by_hash(dataset.name, "held out", mine)
    surplus = len(mine) - cap
    count = surplus if 4 * surplus >= cap else _count_held_out(dataset, domain, len(mine))
    held_out, train = set(order[:count]), set(order[count : count + cap])
    whole = [replace(item, split="test") if item.id in held_out else item for item in whole]
    return [item for item in whole if item.split != "train" or item.id in train]


def _count_held_out(dataset: Dataset, domain: str, images: int) -> int:
    """How many of the images of a domain are held out; UserError where too few are left to train on."""
    wanted = dataset.held_out
    count = int(wanted) if wanted >= 1 else max(1, round(wanted * images))
    if count >= images:
        raise UserError(
            f"{dataset.name}: holding out {wanted:g} of the {images} images of the domain {domain} leaves none to "
            f"train on; hold out at most {images - 1}"
        )
    return count


def _by_hash(name: str, purpose: str, items: list[Item]) -> list[str]:
    """The ids in an order that depends on nothing else; both ends of a pair have the same place."""

    def position(item: Item) -> tuple[str, str]:
        return hashlib.sha256(f"{name}\n{purpose}\n{item.pair or item.id}".encode()).hexdigest(), item.id

    return [item.id for item in sorted(items, key=position)]
