"""Records: one JSON file a run, written atomically, validated on reading."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.files import write_json

SCHEMA = 1
STATUSES = ("done", "diverged")

# key -> type of what a record of schema 1 must hold
_SHAPE: dict[str, type | tuple[type, ...]] = {
    "identity": dict,  # method, kind, dataset, protocol, target_size, seed, subset_seed, preset, config_hash
    "task": dict,  # sizes, resolution, hashes of the subset and of the data
    "config": dict,
    "status": str,
    "error": (str, type(None)),
    "metrics": dict,  # name -> {value, low, high, n_gen, n_ref, version, reason}, and {parts} where there are some
    "cost": dict,
    "provenance": dict,
    "finished": str,
}
_IDENTITY = {"method": str, "kind": str, "dataset": str, "target_size": int, "seed": int, "config_hash": str}
_VALUE = {"value": (int, float, type(None)), "version": int, "n_gen": (int, type(None)), "n_ref": (int, type(None))}


def write(folder: Path, record: dict[str, Any]) -> None:
    """Validates and writes folder/record.json."""
    whole = {"schema": SCHEMA, **record}
    validate(whole, folder / "record.json")
    write_json(folder / "record.json", whole)


def read(path: Path) -> dict[str, Any]:
    """One record. Raises UserError naming the file if it is damaged or of a newer schema."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
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
    _check(record, _SHAPE, path, "")
    _check(record["identity"], _IDENTITY, path, "identity.")
    if record["status"] not in STATUSES:
        raise UserError(f"record {path} is damaged: status {record['status']!r}; run it again or delete it")
    for name, value in record["metrics"].items():
        if not isinstance(value, dict):
            raise UserError(f"record {path} is damaged: metrics.{name} is not an object; run it again or delete it")
        _check(value, _VALUE, path, f"metrics.{name}.")
        _check_parts(value.get("parts", {}), path, f"metrics.{name}.parts")


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


def _check_parts(parts: Any, path: Path, where: str) -> None:
    """Name -> number or null, or no parts at all."""
    numbers = isinstance(parts, dict) and all(
        part is None or (isinstance(part, (int, float)) and not isinstance(part, bool)) for part in parts.values()
    )
    if not numbers:
        raise UserError(f"record {path} is damaged: {where} is not names with numbers; run it again")


def _check(values: dict[str, Any], shape: dict[str, Any], path: Path, where: str) -> None:
    for key, kind in shape.items():
        value = values.get(key, ...)
        wrong = value is ... or not isinstance(value, kind) or (isinstance(value, bool) and kind is int)
        if wrong:
            raise UserError(f"record {path} is damaged: {where}{key} is missing or of a wrong type; run it again")
