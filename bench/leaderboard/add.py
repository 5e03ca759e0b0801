"""`bench leaderboard --add DIR`: records from others, checked, cleaned and kept apart from ours.

They come to RESULTS/external/<hash>/: a record that holds known keys only, and its pictures decoded and encoded anew.
Nothing else of the folder is read, and what is read is never run: no pickle, no array, no markup.
"""

import io
import math
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any

import msgspec

from bench.core.errors import UserError
from bench.core.files import digest, write_bytes, write_json
from bench.core.text import plain
from bench.core.typed import read_typed
from bench.data.images import read_rgb
from bench.leaderboard.evidence import PICTURES
from bench.metrics import METRICS
from bench.runs.record import MEND, Record, read_record

LARGEST_RECORD = 1_000_000  # bytes
KINDS = ("method", "external")  # not anchors: the rows that all are read against are measured here
LONGEST = 300  # letters of a text
MOST_PIXELS = 4_000_000
KEYS = ("schema", "identity", "task", "config", "status", "error", "metrics", "cost", "provenance", "finished")
FOLDER = "external"


def add(source: Path, results: Path) -> tuple[list[Path], list[str]]:
    """Folders that were written (or were there already), and a line for each record that was refused.

    Raises UserError where there is no record at all.
    """
    if not source.is_dir():
        raise UserError(f"--add {source} is not a folder; name one that holds record.json files")
    paths = sorted(source.rglob("record.json"))
    if not paths:
        raise UserError(f"--add {source} holds no record.json")
    added, refused = [], []
    for path in paths:
        try:
            added.append(_add(path, results))
        except UserError as error:
            refused.append(str(error))
    return added, refused


def _add(path: Path, results: Path) -> Path:
    record = checked(path)
    folder = results / FOLDER / digest(record)[:16]
    if not (folder / "record.json").exists():
        for name in PICTURES.values():
            picture = _picture(path.parent / name)
            if picture is not None:
                write_bytes(folder / name, picture)
        write_json(folder / "record.json", record)
    return folder


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
        if None not in (low, high, number) and not low <= number <= high:
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


def _picture(path: Path) -> bytes | None:
    """The picture as PNG without anything but its pixels; None where it is missing, a link, too large or no image."""
    if path.is_symlink() or not path.is_file():
        return None
    try:
        picture = read_rgb(path)
    except UserError:
        return None
    if picture.width * picture.height > MOST_PIXELS:
        return None
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def read_added(results: Path) -> Iterator[Record]:
    """The records that were added, marked; a damaged one is passed over."""
    for path in sorted((results / FOLDER).glob("*/record.json")):
        try:
            yield msgspec.structs.replace(read_record(path), added=True)
        except UserError:
            continue
