"""results/claims/records/: the finished runs of claims, small enough to ship, and which run is which.

index.json                                  name of a request (bench.claims.cells.name_of) -> folder of its run
runs/<dataset>/<size>/<method>/<seed>-<hash>/  record.json, train.jsonl, translated.webp
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.claims.cells import name_of
from bench.core.errors import UserError
from bench.core.registry import find as entry_of
from bench.core.typed import read_typed, write_typed
from bench.runs.kept import keep_run
from bench.runs.record import Record, read_record
from bench.runs.request import RunRequest

INDEX = "index.json"
MEND = "run the claims again, or take the file from the repository"


def keep(records: Path, runs: Mapping[RunRequest, Path]) -> int:
    """Copies what is to be kept of these finished runs (request -> folder) and adds them to the index; how many."""
    index = _index(records)
    for request, folder in runs.items():
        place = Path("runs").joinpath(*folder.parts[-4:])
        keep_run(folder, records / place)
        index[name_of(request)] = str(place)
    if runs:
        write_typed(records / INDEX, dict(sorted(index.items())))
    return len(runs)


def find_record(records: Path, say: Callable[[str], None]) -> Callable[[RunRequest], Record | None]:
    """A function from requests to their kept records; None where there is none.

    `say` gets a line for a damaged record, and for one that was made before its preset was changed.
    """
    index = _index(records)

    def find(request: RunRequest) -> Record | None:
        place = index.get(name_of(request))
        if place is None:
            return None
        try:
            record = read_record(records / place / "record.json")
        except UserError as error:
            say(f"left out: {error}")
            return None
        changed = _changed(record, request)
        if changed:
            say(f"left out: {place} was made before preset {request.preset} of {request.method} changed ({changed})")
            return None
        return record

    return find


def _changed(record: Record, request: RunRequest) -> str:
    """The settings of the preset that differ from those of the record; read without importing the method."""
    preset = entry_of("methods", request.method).facts.get("presets", {}).get(request.preset, {})
    own = {setting.partition("=")[0] for setting in request.settings} | {"resolution"}
    names = [name for name in preset if name in record.config and name not in own]
    return ", ".join(name for name in names if _plain(preset[name]) != _plain(record.config[name]))


def _plain(value: Any) -> Any:
    """Tuples as JSON gives them back."""
    return list(value) if isinstance(value, tuple) else value


def _index(records: Path) -> dict[str, str]:
    path = records / INDEX
    return read_typed(path, dict[str, str], MEND) if path.exists() else {}
