"""CycleGAN's layout: DIR/trainA, trainB, testA and testB, of which the last two may be missing. A is the source."""

from pathlib import Path

from bench import Item, UserError
from bench.datasets.folder.argument import Choice
from bench.datasets.folder.images import items_below


def recognises(root: Path) -> bool:
    return any((root / name).is_dir() for name in ("trainA", "trainB"))


def scan(root: Path, choice: Choice) -> list[Item]:
    """Ids are paths below DIR (testA/1.jpg). source=B:target=A turns the task round."""
    if choice == Choice():
        choice = Choice(("A",), ("B",))
    items = []
    for side, domain in choice.domains({"A", "B"}, str(root)).items():
        for split in ("train", "test"):
            place = root / f"{split}{side}"
            if place.is_dir():
                items += items_below(root, place, domain, below=root, split=split)
            elif split == "train":
                raise UserError(f"there is no folder {place}; CycleGAN's layout is trainA/ trainB/ testA/ testB/")
    return items
