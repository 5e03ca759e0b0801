"""Records: one JSON file a run, written atomically, validated on reading."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import NoneType
from typing import Any

from bench.core.errors import UserError
from bench.core.files import write_json

SCHEMA = 1
STATUSES = ("done", "diverged")

Kinds = dict[str, type | tuple[type, ...]]
_NUMBER = (int, float, NoneType)
_TEXT = (str, NoneType)

# key -> type of what a record of schema 1 must hold
_SHAPE: Kinds = {
    "identity": dict,  # method, kind, dataset, protocol, target_size, seed, subset_seed, preset, config_hash
    "task": dict,  # sizes, resolution, hashes of the subset and of the data
    "config": dict,
    "status": str,
    "error": _TEXT,
    "metrics": dict,  # name -> {value, low, high, n_gen, n_ref, version, reason}, and {parts} where there are some
    "cost": dict,
    "provenance": dict,
    "finished": str,
}
_IDENTITY: Kinds = {
    "method": str,
    "kind": str,
    "dataset": str,
    "protocol": str,
    "target_size": int,
    "resolution": int,
    "seed": int,
    "subset_seed": int,
    "config_hash": str,
}
_VALUE: Kinds = {"value": _NUMBER, "version": int, "n_gen": (int, NoneType), "n_ref": (int, NoneType)}
_REMEASURED: Kinds = {"finished": str, "metrics": list, "replaced": dict, "provenance": dict}

# what older records, and those of other programs, may lack; where it is there it has this type
_OPTIONAL: dict[str, Kinds] = {
    "identity": {"preset": _TEXT, "amp": _TEXT},
    "task": {"source": str, "target": str, "resolution": int, "manifest_sha256": str},
    "cost": dict.fromkeys(
        ("prepare_seconds", "train_seconds", "translate_seconds", "evaluate_seconds", "images_seen",
         "images_per_second", "parameters", "peak_memory_bytes", "train_memory_bytes", "images_per_calibration"),
        _NUMBER,
    ),
    "provenance": {"commit": _TEXT, "device": str, "cpu": str, "weights": dict},
}  # fmt: skip
_OPTIONAL_VALUE: Kinds = {"low": _NUMBER, "high": _NUMBER, "reason": _TEXT, "parts": dict}


def write(folder: Path, record: dict[str, Any]) -> None:
    """Validates and writes folder/record.json."""
    whole = {"schema": SCHEMA, **record}
    validate(whole, folder / "record.json")
    write_json(folder / "record.json", whole)


def read(path: Path) -> dict[str, Any]:
    """One record. Raises UserError naming the file if it is damaged or of a newer schema."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"record {path} cannot be read ({error}); run it again or delete it") from None
    validate(record, path)
    return record


def validate(record: Any, path: Path) -> None:
    if not isinstance(record, dict) or not isinstance(record.get("schema"), int):
        raise UserError(f"record {path} is damaged: no schema number; run it again or delete it")
    if record["schema"] > SCHEMA:
        raise UserError(
            f"record {path} has schema {record['schema']}, this program knows up to {SCHEMA}; update i2i-bench"
        )
    _check(record, _SHAPE, path)
    _check(record["identity"], _IDENTITY, path, "identity.")
    if record["status"] not in STATUSES:
        raise UserError(f"record {path} is damaged: status {record['status']!r}; run it again or delete it")
    for part, kinds in _OPTIONAL.items():
        _check_optional(record[part], kinds, path, f"{part}.")
    _check(record["metrics"], dict.fromkeys(record["metrics"], dict), path, "metrics.")
    for name, value in record["metrics"].items():
        _check(value, _VALUE, path, f"metrics.{name}.")
        _check_optional(value, _OPTIONAL_VALUE, path, f"metrics.{name}.")
        parts = value.get("parts", {})
        _check(parts, dict.fromkeys(parts, _NUMBER), path, f"metrics.{name}.parts.")
    _check_optional(record, {"remeasured": list}, path)
    later = {str(number): entry for number, entry in enumerate(record.get("remeasured", []))}
    _check(later, dict.fromkeys(later, dict), path, "remeasured.")
    for number, entry in later.items():
        _check(entry, _REMEASURED, path, f"remeasured.{number}.")
        _check_optional(entry["provenance"], _OPTIONAL["provenance"], path, f"remeasured.{number}.provenance.")


def read_all(results: Path, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """All records below a results folder, in the order of their paths. A bad one is named and passed over."""
    records = []
    for path in record_paths(results):
        try:
            records.append({**read(path), "folder": str(path.parent)})
        except UserError as error:
            say(f"left out: {error}")
    return records


def record_paths(results: Path) -> Iterator[Path]:
    yield from sorted(results.glob("runs/*/*/*/*/record.json"))


def _check(values: dict[str, Any], kinds: Kinds, path: Path, where: str = "") -> None:
    """Each key is there and of its kind; true and false are no numbers."""
    for key, kind in kinds.items():
        value = values.get(key, ...)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise UserError(f"record {path} is damaged: {where}{key} is missing or of a wrong type; run it again")


def _check_optional(values: dict[str, Any], kinds: Kinds, path: Path, where: str = "") -> None:
    _check(values, {key: kind for key, kind in kinds.items() if key in values}, path, where)


def _refuse(constant: str) -> None:
    raise ValueError(f"it holds the number {constant}")
