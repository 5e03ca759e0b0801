"""Own images: `--dataset folder:DIR`. Each layout that people have is one file of this folder."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import Dataset, Item, UserError, read_rgb, register, square, unknown
from bench.datasets.folder import cyclegan, image_folder, saved, source_target, table
from bench.datasets.folder.argument import Argument, Choice


@dataclass(frozen=True)
class Layout:
    """One way in which images lie in a folder.

    means       what lies where, for people
    recognises  whether a folder (or file) is laid out so
    scan        finds the images; the choice says which classes or domains are source and target
    """

    means: str
    recognises: Callable[[Path], bool]
    scan: Callable[[Path, Choice], list[Item]]


LAYOUTS = {
    "source-target": Layout(
        "source/ and target/, each with [train|test/][<class>/]<image>", source_target.recognises, source_target.scan
    ),
    "cyclegan": Layout("CycleGAN's trainA/ trainB/ testA/ testB/", cyclegan.recognises, cyclegan.scan),
    "csv": Layout("a CSV with the columns path, domain[, class, split]", table.recognises, table.scan),
    "saved": Layout("a data set that Hugging Face's `datasets` saved to disk", saved.recognises, saved.scan),
    "imagefolder": Layout(
        "torchvision's ImageFolder, [train|test/]<class>/<image>", image_folder.recognises, image_folder.scan
    ),
}


@register
class Folder(Dataset):
    """Own images: DIR/source and DIR/target, or CycleGAN's, torchvision's or Hugging Face's layout, or a CSV of paths.

    `folder:DIR` recognises the layout; `folder:DIR:layout=NAME` names it (source-target, cyclegan, imagefolder, csv,
    saved). `:source=NAME:target=NAME` choose which classes or domains are translated into which, several joined by +.
    `:held-out=N` (or a share, such as 0.3) is what is held out of each domain, by hash, where the layout has no test
    part; without it a fifth. An image's id is its path below DIR (below source/ or target/ in that layout).
    """

    name = "folder"
    domains = ("source", "target")
    resolution = 256
    homepage = "your own images"
    license = "your own"
    layout = "source/[train|test/][<class>/]<image> and target/[train|test/][<class>/]<image>, or another known layout"

    def __init__(self, argument: str | None = None) -> None:
        super().__init__()
        self._argument = Argument.parse(argument)
        if (name := self._argument.layout) is not None and name not in LAYOUTS:
            raise unknown("layout", name, LAYOUTS)
        self.argument = self.variant = str(self._argument)
        if self._argument.held_out is not None:
            self.held_out = self._argument.held_out

    def embedded(self) -> Path:
        """The folder that the argument names; of a CSV the folder in which it lies."""
        place = Path(self._argument.place)
        return place.parent if place.is_file() else place

    def read_as(self, root: Path) -> str:
        name = self._layout(self._place(root))
        return f"{name}: {LAYOUTS[name].means}"

    def scan(self, root: Path) -> list[Item]:
        place = self._place(root)
        items = LAYOUTS[self._layout(place)].scan(place, self._argument.choice)
        if self._argument.held_out is not None and {i.domain for i in items if i.split == "test"} == {*self.domains}:
            raise UserError(f"{place} has test parts of its own; leave out held-out={self._argument.held_out:g}")
        return items

    def left_out(self, root: Path) -> dict[str, list[str]]:
        if self._layout(self._place(root)) != "saved":
            return {}
        rows = saved.left_out(root, self._argument.choice)
        return {"rows of a domain that was not chosen": rows} if rows else {}

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        if not saved.holds(item):
            return super().load(root, item, resolution)
        name = f"{item.id} of {root}"
        return square(read_rgb(io.BytesIO(saved.content(root, item)), name), resolution, name)

    def content(self, root: Path, item: Item) -> bytes | None:
        return saved.content(root, item) if saved.holds(item) else super().content(root, item)

    def _place(self, root: Path) -> Path:
        """What the layouts look at: the CSV itself, else the folder."""
        named = Path(self._argument.place)
        place = root / named.name if named.is_file() else root
        if not place.exists():
            raise UserError(f"there is no folder {place}; name one that is there: folder:DIR")
        return place

    def _layout(self, place: Path) -> str:
        """The name of the layout: what the argument says, else the only one that recognises the folder."""
        if self._argument.layout is not None:
            return self._argument.layout
        names = [name for name, layout in LAYOUTS.items() if layout.recognises(place)]
        if len(names) > 1:
            choices = " or ".join(f":layout={name}" for name in names)
            raise UserError(f"{place} is laid out as {' and as '.join(names)}; say which: add {choices}")
        return names[0] if names else "source-target"
