"""What the many-class sets of DeepI2I share: any class -> any class. No data set by itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench import Dataset, Item, unknown
from bench.datasets.layouts import key

TEST = 0.1  # of each class: DeepI2I section 4 splits 90/10


@dataclass(frozen=True)
class Picture:
    """One image of a class before it belongs to a domain. `photo` names the photograph that it is cut from."""

    id: str
    label: str
    file: str
    photo: str


class ManyClasses(Dataset):
    """Classes as labels. Domains: the classes that FUNIT trains on -> those that it holds back.

    DeepI2I translates every class to every other, so it has no source and no target; the benchmark needs two domains
    that do not overlap, and FUNIT's two sets of classes are the published ones. `name:A-B` is class A -> class B.
    A tenth of the photographs of each class is held out by hash; a photograph that shows two classes and is held out
    in one is in the other too.
    """

    def __init__(self, argument: str | None = None) -> None:
        self.chosen: tuple[str, str] | None = None
        if argument and argument not in ("-".join(self.domains), "-".join(reversed(self.domains))):
            source, hyphen, target = argument.partition("-")
            if hyphen and source and target and source != target:
                self.chosen = self.domains = (source, target)
                super().__init__()
                self.argument = self.variant = argument
                return
        super().__init__(argument)

    def pictures(self, root: Path) -> list[Picture]:
        """All images with their classes."""
        raise NotImplementedError

    def targets(self, classes: list[str]) -> set[str]:
        """Those of these classes that are the default target."""
        raise NotImplementedError

    def scan(self, root: Path) -> list[Item]:
        pictures = self.pictures(root)
        classes = sorted({picture.label for picture in pictures})
        if self.chosen:
            domain_of = {label: label for label in self.chosen}
            for label in self.chosen:
                if label not in classes:
                    raise unknown(f"class of {self.name}", label, classes)
        else:
            targets = self.targets(classes)
            domain_of = {label: self.domains[label in targets] for label in classes}
        by_class: dict[str, list[Picture]] = {}
        for picture in pictures:
            by_class.setdefault(picture.label, []).append(picture)
        held = {photo for label in domain_of for photo in _held_out(self.name, by_class[label])}
        items = []
        for label, domain in sorted(domain_of.items()):
            for picture in by_class[label]:
                split = "test" if picture.photo in held else "train"
                items.append(Item(picture.id, domain, split, label, picture.file))
        return items


def _held_out(name: str, pictures: Iterable[Picture]) -> set[str]:
    photos = sorted({picture.photo for picture in pictures}, key=lambda photo: key(f"{name} held out", photo))
    return set(photos[: max(1, round(TEST * len(photos)))])
