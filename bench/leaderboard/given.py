"""What may be taken of a run that somebody else made: a record of known keys, and pictures that are pixels alone."""

import io
import math
from pathlib import Path
from types import NoneType
from typing import Any

from bench.core.errors import UserError
from bench.core.text import plain
from bench.core.typed import read_typed
from bench.data.images import read_rgb
from bench.leaderboard.evidence import PICTURES
from bench.metrics import METRICS
from bench.runs.record import MEND, read_record

LARGEST_RECORD = 1_000_000  # bytes
KINDS = ("method", "external")  # not anchors: the rows that all are read against are measured here
LONGEST = 300  # letters of a text
ROUNDING = 1e-6  # of sums in single precision
MOST_PIXELS = 4_000_000
KEYS = ("schema", "identity", "task", "config", "status", "error", "metrics", "cost", "provenance", "finished")


def checked(path: Path) -> dict[str, Any]:
    """A record of somebody else: valid for bench.runs.record, and every text short, every number finite."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST_RECORD:
        raise UserError(f"record {path} is no plain file of at most {LARGEST_RECORD} bytes; it is left out")
    read_record(path)
    record = read_typed(path, dict[str, Any], MEND)
    kept = {key: record[key] for key in KEYS}
    _plain(kept, str(path))
    identity, where = record["identity"], f"record {path}"
    _typed(record["task"], {"manifest_sha256": str, "source": str, "target": str}, where)
    _typed(record["cost"], dict.fromkeys(record["cost"], (int, float, dict, NoneType)), where)
    if identity["kind"] not in KINDS:
        raise UserError(f"{where}: a record of kind {identity['kind']!r}; only those of methods and programs are taken")
    if not 0 < identity["target_size"] < 10**9 or not 0 < identity["resolution"] < 10**5:
        raise UserError(f"{where}: no such target size or resolution; it is left out")
    for name, value in record["metrics"].items():
        low, high, number = value.get("low"), value.get("high"), value["value"]
        if None not in (low, high, number) and not low - ROUNDING <= number <= high + ROUNDING:
            raise UserError(f"{where}: the interval of {name} does not hold its value; it is left out")
        known = METRICS.get(name)
        if known and number is not None and not known.range[0] <= number <= known.range[1]:
            raise UserError(f"{where}: {name} is {number}, which it cannot be; it is left out")
    return kept


def _typed(values: dict[str, Any], kinds: dict[str, Any], where: str) -> None:
    for key, kind in kinds.items():
        if not isinstance(values.get(key), kind) or isinstance(values.get(key), bool):
            raise UserError(f"{where}: {key} is missing or of a wrong type; it is left out")


def _plain(value: Any, path: str, depth: int = 0) -> None:
    """Raises UserError unless `value` is made of short texts and finite numbers, not nested deeper than five."""
    if isinstance(value, dict) and depth < 6:
        for key, inner in value.items():
            _plain(key, path, depth + 1)
            _plain(inner, path, depth + 1)
    elif isinstance(value, list) and depth < 6:
        for inner in value:
            _plain(inner, path, depth + 1)
    elif isinstance(value, (dict, list)):
        raise UserError(f"record {path} is nested too deeply; it is left out")
    elif isinstance(value, str) and len(value) > LONGEST:
        raise UserError(f"record {path} holds a text of {len(value)} letters; at most {LONGEST} are taken")
    elif isinstance(value, str) and plain(value) != value:
        raise UserError(f"record {path} holds a text with control characters ({plain(value)!r}); it is left out")
    elif isinstance(value, (int, float)) and not (math.isfinite(value) and abs(value) < 1e18):
        raise UserError(f"record {path} holds the number {value}; it is left out")


def pictures(folder: Path) -> tuple[dict[str, bytes], list[str]]:
    """The pictures of a run's folder by their names, and a line for each that is left out; a link counts as none."""
    taken: dict[str, bytes] = {}
    refused: list[str] = []
    for path in (folder / name for name in PICTURES.values()):
        if path.is_file() and not path.is_symlink():
            try:
                taken[path.name] = _png(path)
            except UserError as error:
                refused.append(f"a picture is left out: {error}")
    return taken, refused


def _png(path: Path) -> bytes:
    """The picture as PNG without anything but its pixels."""
    pixels = read_rgb(path)
    if pixels.width * pixels.height > MOST_PIXELS:
        raise UserError(f"the image {path} has more than {MOST_PIXELS} pixels; replace the file or remove it")
    buffer = io.BytesIO()
    pixels.save(buffer, format="PNG")
    return buffer.getvalue()
