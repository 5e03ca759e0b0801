"""DIR/source/[train|test/][<class>/]<image> and the same below DIR/target."""

from collections.abc import Iterator
from pathlib import Path

from bench import Item, UserError
from bench.datasets.folder.argument import Choice
from bench.datasets.folder.images import items_below

DOMAINS = ("source", "target")


def recognises(root: Path) -> bool:
    return any((root / domain).is_dir() for domain in DOMAINS)


def scan(root: Path, choice: Choice) -> list[Item]:
    """Ids are paths below source/ and target/. source=target:target=source turns the task round."""
    names = {domain: name for name, domain in choice.domains({*DOMAINS}, str(root)).items()}
    return [item for domain in DOMAINS for item in _domain(root, names[domain], domain)]


def _domain(root: Path, name: str, domain: str) -> Iterator[Item]:
    place = root / name
    if not place.is_dir():
        raise UserError(
            f"there is no folder {place}; folder:DIR needs DIR/source and DIR/target with images in them, or "
            "trainA/ and trainB/, a folder for each class, a .csv of paths, or a data set that `datasets` saved to disk"
        )
    return items_below(root, place, domain, below=place)
