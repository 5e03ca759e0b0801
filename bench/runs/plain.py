"""Measuring folders of images without a data set and without a record."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.core.errors import UserError
from bench.data.images import image_size, read_rgb, square
from bench.data.names import SOURCES, TRANSLATIONS, Marks, images_in, match
from bench.metrics.data import Images, Outputs, Reference, Value
from bench.metrics.evaluate import evaluate
from bench.metrics.given import without_labels

Files = dict[str, Path]  # by name


@dataclass(frozen=True)
class PlainFolders:
    """What is measured, and against what: folders of image files.

    images     translations
    reference  real images of the target domain that nothing was trained on
    sources    what was translated, with the names of the translations
    training   the target images that the program was trained on
    suffix     what the program added to the names of translations (see bench.data.names.images_in)
    paired     an image of `reference` with the name of a translation is what that one should look like
    """

    images: Path
    reference: Path
    sources: Path | None = None
    training: Path | None = None
    suffix: str | None = None
    paired: bool = True


@dataclass(frozen=True)
class Matched:
    """The files of PlainFolders. `sources` and `truth` have one entry a translation; `only` see bench.data.names."""

    images: list[Path]
    reference: list[Path]
    sources: list[Path]
    truth: list[Path | None]
    training: list[Path]
    only: str

    @staticmethod
    def of(folders: PlainFolders) -> "Matched":
        """Raises UserError for a folder that is not there or holds no images, and for a translation without source."""
        made = _images(folders.images, TRANSLATIONS, folders.suffix)
        names, reference = sorted(made[0]), _images(folders.reference)[0]
        pairs = match(names, reference, str(folders.reference)) if folders.paired else {}
        return Matched(
            images=[made[0][name] for name in names],
            reference=[reference[name] for name in sorted(reference)],
            sources=_sources(folders.sources, names) if folders.sources else [],
            truth=[pairs.get(name) for name in names],
            training=sorted(_images(folders.training)[0].values()) if folders.training else [],
            only=made[1],
        )

    @property
    def pairs(self) -> int:
        return sum(file is not None for file in self.truth)

    def side(self) -> int:
        """The side of all images; UserError where they are not squares of one size."""
        return _one_side([*self.images, *self.reference, *self.sources, *self.training])


def measure_folders(
    files: Matched,
    side: int,
    metrics: Sequence[str] | None = None,
    device: str = "cpu",
    note: Callable[[str], None] = lambda _: None,
) -> dict[str, Value]:
    """Measures translations against real images, all as squares of `side` pixels; `note` gets the progress."""
    images = _pixels(files.images, side)
    has_truth = np.array([file is not None for file in files.truth])
    outputs = Outputs(
        images=images,
        source_labels=np.full(len(images), -1, np.int64),
        sources=_pixels(files.sources, side) if files.sources else None,
        truth=_pixels([file or files.images[0] for file in files.truth], side) if files.pairs else None,
        has_truth=has_truth if files.pairs else None,
    )
    real = Reference(
        reference=_real(files.reference, side),
        target_train=_real(files.training, side),
        source_train=_real([], side),
    )
    return evaluate(outputs, real, metrics, device, note)


def _images(folder: Path, marks: Marks | None = None, suffix: str | None = None) -> tuple[Files, str]:
    """The images of a folder, at least one, and which of its images these are."""
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; name a folder of images")
    inside = images_in(folder, marks, suffix) if marks else images_in(folder, TRANSLATIONS, "")
    if not inside.files:
        raise UserError(f"the folder {folder} holds no images")
    return inside.files, inside.only


def _sources(folder: Path, names: list[str]) -> list[Path]:
    """The source of each translation, by its name."""
    matched = match(names, _images(folder, SOURCES)[0], str(folder))
    if missing := [name for name in names if name not in matched]:
        raise UserError(
            f"{folder} has no image of the name of {len(missing)} of {len(names)} translations, the first is "
            f"{missing[0]}; give both the same names, or leave out --sources"
        )
    return [matched[name] for name in names]


def _one_side(files: Iterable[Path]) -> int:
    sizes = {image_size(file): file for file in files}
    width, height = next(iter(sizes))
    if len(sizes) == 1 and width == height:
        return width
    least = min(min(size) for size in sizes)
    named = " and ".join(f"{file} is {w}x{h}" for (w, h), file in list(sizes.items())[:2])
    raise UserError(f"{named}; say at which side all are measured: --resolution {least} or less")


def _real(files: Sequence[Path], side: int) -> Images:
    return without_labels(_pixels(files, side) if files else np.empty((0, 3, side, side), np.uint8))


def _pixels(files: Sequence[Path], side: int) -> np.ndarray:
    """uint8 (n, 3, side, side): the centre squares."""
    return np.stack([square(read_rgb(file), side, str(file)) for file in files])
