"""train.jsonl and its like: what a training says of itself while it runs, one line at a time. Imports no torch."""

import json
from pathlib import Path
from typing import Any

import msgspec

from bench.core.files import append_text, write_text
from bench.core.typed import read_lines

FILE = "train.jsonl"
VALIDATION = "validation.jsonl"  # of the same form: what was measured while training (bench.runs.validation)
CHOOSES = "kd_effnet"  # the metric, lower being better, by which the best point of a validation is found


class Line(msgspec.Struct, frozen=True):
    """The step, the images seen by then, and numbers by name: losses, and "group/series" for what is drawn."""

    step: int
    images: int
    values: dict[str, float | None]


def read(path: Path) -> list[Line]:
    """The lines of a log; what is damaged or half-written is passed over."""
    lines = []
    for values in read_lines(path, dict[str, Any]):
        step, images = values.pop("step", None), values.pop("images", None)
        if _whole(step) and _whole(images):
            numbers = {name: value for name, value in values.items() if value is None or _number(value)}
            lines.append(Line(step, images, numbers))
    return lines


def best(lines: list[Line]) -> Line | None:
    """The first line of a validation at which CHOOSES is smallest; None where it was never measured."""
    values = {at: line.values.get(f"validation/{CHOOSES}") for at, line in enumerate(lines)}
    known = {at: value for at, value in values.items() if value is not None}
    return lines[min(known, key=known.__getitem__)] if known else None


def append(path: Path, line: Line) -> None:
    """Adds a line to a log."""
    append_text(path, _text(line))


def cut(path: Path, step: int) -> None:
    """Drops the lines that come after the checkpoint at `step`, and what is damaged or half-written."""
    if path.exists():
        write_text(path, "".join(_text(line) for line in read(path) if line.step <= step))


def _text(line: Line) -> str:
    return json.dumps({"step": line.step, "images": line.images, **line.values}) + "\n"


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
