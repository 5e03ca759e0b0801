"""What stands behind a cell: the learning curve and the pictures of one of its runs, small enough to travel."""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from bench.core.errors import UserError
from bench.data.images import read_rgb
from bench.leaderboard.board import Board, first, run_name
from bench.runs.record import Record
from bench.training import log

POINTS = 80  # of a curve
WIDEST = 780  # pixels of an embedded picture
PICTURES = {"samples": "samples.png", "nearest": "nearest.png"}


@dataclass
class Budget:
    """Bytes that all curves and all pictures of a page may take; what comes too late is counted, not embedded."""

    curves: int = 2_000_000
    pictures: int = 4_000_000
    left_out: dict[str, int] = field(default_factory=lambda: {"curves": 0, "pictures": 0})

    def take(self, kind: str, size: int) -> bool:
        left = getattr(self, kind)
        if size > left:
            self.left_out[kind] += 1
            return False
        setattr(self, kind, left - size)
        return True


def evidence(board: Board, budget: Budget) -> dict[str, Any]:
    """ "<row>-<target size>" -> curve, samples, nearest, of the first run that has each, and `runs`: which that is."""
    position = {row: number for number, row in enumerate(board.rows)}
    entries = {
        f"{position[row]}-{size}": _of(several, budget) for (row, size), several in board.runs.items() if not row.anchor
    }
    return {key: values for key, values in entries.items() if values["runs"]}


def _of(records: Sequence[Record], budget: Budget) -> dict[str, Any]:
    """A run that diverged has no pictures worth showing, but its curve says how it went."""
    values: dict[str, Any] = {"runs": {}}
    curve = first(records, "train.jsonl", lambda log: curves(log, POINTS))
    if curve and budget.take("curves", len(json.dumps(curve[1]))):
        values["curve"] = curve[1]
        values["runs"]["curve"] = run_name(curve[0])
    done = [record for record in records if record.status == "done"]
    for key, name in PICTURES.items():
        picture = first(done, name, _data_uri)
        if picture and budget.take("pictures", len(picture[1])):
            values[key] = picture[1]
            values["runs"][key] = run_name(picture[0])
    return values


def curves(path: Path, points: int | None = None) -> dict[str, Any] | None:
    """train.jsonl as {"images": [...], "series": {name: [...]}}, thinned to `points`; None where there is no log."""
    entries = log.read(path)
    if points and len(entries) > points:
        entries = [entries[round(i * (len(entries) - 1) / (points - 1))] for i in range(points)]
    if not entries:
        return None
    names = dict.fromkeys(name for entry in entries for name in entry.values)
    series = {name: [_number(entry.values.get(name)) for entry in entries] for name in names}
    return {"images": [entry.images for entry in entries], "series": series}


def _number(x: float | None) -> float | None:
    return None if x is None else float(f"{x:.4g}")


def _data_uri(path: Path) -> str | None:
    """The picture, decoded and encoded anew."""
    if not path.exists():
        return None
    try:
        return data_uri(read_rgb(path))
    except UserError:
        return None


def data_uri(picture: Image.Image) -> str:
    """The picture as it stands in a page, at most WIDEST wide."""
    if picture.width > WIDEST:
        picture = picture.resize((WIDEST, max(1, picture.height * WIDEST // picture.width)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="WEBP", quality=82, method=2)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
