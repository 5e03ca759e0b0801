"""`bench study build`: the static page that participants open, and the key that says what they saw."""

import io
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.core.errors import UserError
from bench.core.files import write_bytes, write_text
from bench.core.page import rendered
from bench.core.typed import write_typed
from bench.runs.outputs import read_translations
from bench.runs.record import Record, read_record
from bench.study.design import Question, design
from bench.study.files import Key, StudyRun

HERE = Path(__file__).parent
SCRAMBLE = 4  # an attention check's wrong options are the image cut into 4 x 4 pieces, turned and shuffled


@dataclass(frozen=True)
class Contestant:
    """One run of the study: its folder, the name that results carry, uint8 (n, 3, R, R) translations."""

    folder: Path
    name: str
    images: np.ndarray


def build(
    folders: list[Path], out: Path, questions: int, per_user: int, choices: int, checks: int, seed: int, title: str
) -> Key:
    """Writes out/page/ (index.html and images/, to be published) and out/key.json (to be kept); returns the key.

    Raises UserError if the runs do not answer the same sources, or if `out` holds a study already.
    """
    if (out / "key.json").exists():
        raise UserError(f"{out} holds a study already; choose another --out, so that its answers keep their key")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UserError("a run is named twice after --runs; name each once")
    records = [read_record(folder / "record.json") for folder in folders]
    sources = _sources(folders, records)
    entries = [_contestant(folder, record, len(sources)) for folder, record in zip(folders, _named(records))]
    blocks = design(len(entries), len(sources), questions, per_user, choices, checks, seed)
    picture = _Pictures(out / "page" / "images", seed)
    shown = [[_shown(question, sources, entries, picture) for question in block] for block in blocks]
    key = Key(
        schema=1,
        title=title,
        runs=[StudyRun(entry.name, str(entry.folder.resolve())) for entry in entries],
        seed=seed,
        per_user=per_user,
        choices=choices,
        blocks=blocks,
        study=secrets.token_hex(8),
    )
    write_text(out / "page" / "index.html", page(key.study, title, shown))
    write_typed(out / "key.json", key)
    return key


def page(study: str, title: str, blocks: list[list[dict[str, Any]]]) -> str:
    """The page as HTML."""
    return rendered(HERE, title=title, data={"study": study, "schema": 1, "blocks": blocks})


def _sources(folders: list[Path], records: list[Record]) -> np.ndarray:
    """uint8 (n, 3, R, R): the held-out sources that all runs translated."""
    from bench.data.task import load_task

    first = records[0]
    same = [(r.identity.dataset, r.identity.resolution, r.task.manifest_sha256) for r in records]
    for folder, facts in zip(folders, same):
        if facts != same[0]:
            raise UserError(
                f"{folder} ({facts[0]} at {facts[1]} px) and {folders[0]} ({same[0][0]} at {same[0][1]} px) do not "
                f"translate the same images; compare runs on one data set and resolution"
            )
    identity = first.identity
    data = load_task(identity.dataset, identity.target_size, same[0][1], identity.subset_seed)
    if data.manifest_sha256 != same[0][2]:
        raise UserError(f"the data of {identity.dataset} are not those that {folders[0]} was run on")
    return data.source_test.images()


def _named(records: list[Record]) -> list[tuple[str, Record]]:
    """The method's name; where two runs share it, with what tells them apart."""
    names = [record.identity.method for record in records]
    named = []
    for name, record in zip(names, records):
        identity = record.identity
        if names.count(name) > 1:
            name = f"{name}, {identity.target_size} images, seed {identity.seed}, {identity.config_hash}"
        named.append((name, record))
    return named


def _contestant(folder: Path, named: tuple[str, Record], n: int) -> Contestant:
    name, record = named
    path = folder / "translated.npy"
    if record.status != "done" or not path.exists():
        raise UserError(f"{folder} has no translations (translated.npy); finish the run first")
    side = record.identity.resolution
    images = read_translations(folder)
    if images.shape != (n, 3, side, side):
        raise UserError(
            f"{folder} has {len(images)} translations of {images.shape[-1]} px for {n} held-out sources of {side} px; "
            f"it cannot be compared"
        )
    return Contestant(folder, name, images)


class _Pictures:
    """Writes PNG files whose names tell nothing."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self._rng = np.random.default_rng([seed, 1])

    def add(self, image: np.ndarray) -> str:
        name = f"{self._rng.bytes(12).hex()}.png"
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(buffer, format="PNG")
        write_bytes(self.folder / name, buffer.getvalue())
        return f"images/{name}"

    def scrambled(self, image: np.ndarray) -> np.ndarray:
        step = max(1, image.shape[-1] // SCRAMBLE)
        places = [(r, c) for r in range(SCRAMBLE) for c in range(SCRAMBLE)]
        result = image.copy()
        for (r, c), other in zip(places, self._rng.permutation(len(places))):
            y, x = places[other]
            piece = image[:, y * step : (y + 1) * step, x * step : (x + 1) * step]
            result[:, r * step : (r + 1) * step, c * step : (c + 1) * step] = np.rot90(piece, 2, (1, 2))
        return 255 - result


def _shown(question: Question, sources: np.ndarray, entries: list[Contestant], picture: _Pictures) -> dict[str, Any]:
    """What the page knows of a question: pictures, and nothing about who made them."""
    images = [entries[method].images[question.source] for method in question.options]
    if question.right is not None:
        images = [im if i == question.right else picture.scrambled(im) for i, im in enumerate(images)]
    return {
        "id": question.id,
        "source": picture.add(sources[question.source]),
        "options": [picture.add(image) for image in images],
    }
