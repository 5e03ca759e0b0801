"""`bench translate`: image files through the network of a finished run, to PNG files and a contact sheet."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bench.core.errors import UserError
from bench.core.placing import placed
from bench.data import montage
from bench.data.images import CONTACT_SHEET
from bench.runs.translate import BATCH
from bench.use.given import GivenImage, given_images
from bench.use.trained import Guide, Trained

ROWS = 24  # sources on the contact sheet
MOST = 1000  # translations of an image: columns of that sheet


@dataclass(frozen=True)
class Wanted:
    """What `bench translate` was asked for.

    images      files and folders
    references  files and folders; empty: references are drawn
    per_image   translations of each image, where references are drawn
    steps       every image on the way, too
    back        from the target domain to the source domain
    """

    images: Sequence[Path]
    references: Sequence[Path] = ()
    label: str | None = None
    per_image: int = 1
    seed: int = 0
    steps: bool = False
    back: bool = False


def translate_files(trained: Trained, wanted: Wanted, out: Path, report: Callable[[int, int], None]) -> list[Path]:
    """Writes the translation of `a/b.jpg` to out/a/b.png (or b-1.png, b-2.png, ... where there are several, and
    b.step-1.png, ... for the images on the way) and a sheet of all; returns the paths, the sheet last.

    report  is told how many images are done, of how many

    Raises UserError, and writes nothing, where an image cannot be read or a file is there already.
    """
    _check(trained, wanted)
    given = given_images(wanted.images)
    guides = _guides(trained, wanted)
    names = [name for image in given for name in _names(image.name, len(guides))]
    if wanted.steps:
        names += [step for name in names for step in _step_names(name, _steps_of(trained, guides[0]))]
    files = [f"{name}.png" for name in names] + [CONTACT_SHEET]
    rows: list[np.ndarray] = []
    with placed(out, files) as part:
        for start in range(0, len(given), BATCH):
            batch = given[start : start + BATCH]
            sources = np.stack([image.read(trained.resolution) for image in batch])
            columns = [_translated(trained, sources, guide, start, wanted) for guide in guides]
            for number, image in enumerate(batch):
                _write(part, image, [[step[number] for step in steps] for steps in columns], wanted.steps)
            rows += [np.stack([source, *(steps[-1][i] for steps in columns)]) for i, source in enumerate(sources)]
            rows = rows[:ROWS]
            report(min(start + BATCH, len(given)), len(given))
        _write_sheet(part / CONTACT_SHEET, rows, guides, trained.resolution)
    return [out / file for file in files]


def _check(trained: Trained, wanted: Wanted) -> None:
    kind = trained.task.kinds[1 if wanted.back else 0]
    if kind != "rgb":
        raise UserError(
            f"{trained.name} translates images of the kind {kind}, which image files do not hold as it wants them; "
            f"code them with bench.{kind}_image and call translate of the run from Python"
        )
    if not 1 <= wanted.per_image <= MOST:
        raise UserError(f"--per-image {wanted.per_image}: at least 1 and at most {MOST}")
    if wanted.references and wanted.per_image > 1:
        raise UserError("--reference gives one translation a reference; leave out --per-image")
    if wanted.back and (wanted.references or wanted.label or wanted.steps or wanted.per_image > 1):
        raise UserError("--back gives one image each; leave out --reference, --label, --per-image and --steps")


def _guides(trained: Trained, wanted: Wanted) -> list[Guide]:
    if wanted.back:
        return [Guide(None, None, (wanted.seed, 0))]
    files = given_images(wanted.references) if wanted.references else []
    references = [image.read(trained.resolution) for image in files]
    return trained.guides(wanted.per_image, wanted.seed, wanted.label, references or None)


def _names(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]


def _step_names(name: str, steps: int) -> Iterator[str]:
    """Of the images on the way; the last one is the translation itself."""
    yield from (f"{name}.step-{step}" for step in range(1, steps))


def _steps_of(trained: Trained, guide: Guide) -> int:
    side = trained.resolution
    return len(trained.steps(np.zeros((1, 3, side, side), np.uint8), guide))


def _translated(trained: Trained, sources: np.ndarray, guide: Guide, start: int, wanted: Wanted) -> list[np.ndarray]:
    if wanted.back:
        return [trained.back(sources, wanted.seed, start)]
    return trained.steps(sources, guide, start) if wanted.steps else [trained.translate(sources, guide, start)]


def _write(part: Path, image: GivenImage, columns: list[list[np.ndarray]], steps: bool) -> None:
    """columns: of each guide the images on the way, uint8 (3, R, R), the last one the translation."""
    for name, made in zip(_names(image.name, len(columns)), columns):
        save_png(part / f"{name}.png", made[-1])
        for step, picture in zip(_step_names(name, len(made) if steps else 1), made):
            save_png(part / f"{step}.png", picture)


def save_png(path: Path, image: np.ndarray) -> None:
    """uint8 (3, R, R)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(path, format="PNG")


def _write_sheet(path: Path, rows: list[np.ndarray], guides: list[Guide], resolution: int) -> None:
    """A row an image: the source, then its translations; above them the references, where these guide them."""
    references = [guide.reference for guide in guides if guide.reference is not None]
    if references:
        white = np.full_like(references[0], 255)
        rows = [np.stack([white, *references]), *rows]
    montage.save(path, montage.grid(rows, scale=montage.sample_scale(resolution)))
