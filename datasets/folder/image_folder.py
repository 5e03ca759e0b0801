"""torchvision's ImageFolder: DIR/[train|val|test/]<class>/.../<image>; some classes are the source, some the target."""

from pathlib import Path
from unicodedata import normalize

from bench import Item, image_files
from bench.datasets.folder.argument import Choice
from bench.datasets.folder.images import SPLITS, check_splits, folders_in, items_below


def recognises(root: Path) -> bool:
    """Two or more folders with images, or train/ and test/ that hold such folders, and none of other layouts."""
    if not root.is_dir() or any((root / name).is_dir() for name in ("source", "target", "trainA", "trainB")):
        return False
    return len({name for _, place in _parts(root) for name in _classes(place)}) > 1


def scan(root: Path, choice: Choice) -> list[Item]:
    """Ids are paths below DIR. In a domain of several classes the label is the class, else the folder inside it."""
    parts = [(split, _classes(place)) for split, place in _parts(root)]
    domains = choice.domains({name for _, classes in parts for name in classes}, str(root))
    several = {domain for domain in domains.values() if list(domains.values()).count(domain) > 1}
    return [
        item
        for split, classes in parts
        for name, domain in domains.items()
        if name in classes
        for item in items_below(
            root, classes[name], domain, below=root, split=split, label=name if domain in several else None
        )
    ]


def _parts(root: Path) -> list[tuple[str | None, Path]]:
    """(split, folder of the classes); the split is None where DIR has no level train/ and test/."""
    folders = folders_in(root)
    if not folders or any(folder.name.lower() not in SPLITS for folder in folders):
        return [(None, root)]
    check_splits(root, [folder.name for folder in folders])
    return [(SPLITS[folder.name.lower()], folder) for folder in folders]


def _classes(place: Path) -> dict[str, Path]:
    """The class folders that hold images, by name."""
    holding = (folder for folder in folders_in(place) if next(image_files(folder), None) is not None)
    return {normalize("NFC", folder.name): folder for folder in holding}
