"""results/sweeps/<id>/: what was submitted when, to whom, and which job carries out which run."""

import json
import secrets
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.core.errors import UserError
from bench.core.files import write_json

FILE = "sweep.json"


@dataclass
class Sweep:
    """One submission. Folders are written relative to the results folder, so that it can be moved.

    jobs     name of a scheduler's job -> the runs and stages that it carries out
    skipped  what was asked for and cannot be carried out: {spec, reason}
    """

    id: str
    launcher: str
    runs: list[str]
    stages: list[str]
    profile: str | None = None
    command: list[str] = field(default_factory=lambda: sys.argv[1:])
    submitted: float = field(default_factory=time.time)
    jobs: dict[str, list[str]] = field(default_factory=dict)
    skipped: list[dict[str, Any]] = field(default_factory=list)

    def jobs_by_run(self) -> dict[str, str]:
        return {run: job for job, runs in self.jobs.items() for run in runs}

    def write(self, results: Path) -> None:
        write_json(folder(results, self.id) / FILE, asdict(self))


def folder(results: Path, sweep: str) -> Path:
    return results / "sweeps" / sweep


def new_id(results: Path) -> str:
    """A name that sorts by time; makes the folder, so that no other sweep gets it."""
    while True:
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        place = folder(results, name)
        if not place.exists():
            place.mkdir(parents=True)
            return name


def read(results: Path, sweep: str) -> Sweep | None:
    """None where the submission did not come to its end."""
    try:
        values: dict[str, Any] = json.loads((folder(results, sweep) / FILE).read_text())
        return Sweep(**values)
    except (OSError, ValueError, TypeError):
        return None


def read_all(results: Path) -> Iterator[Sweep]:
    for path in sorted((results / "sweeps").glob(f"*/{FILE}")):
        sweep = read(results, path.parent.name)
        if sweep:
            yield sweep


def find(results: Path, name: str) -> Sweep:
    sweep = read(results, name) if name and "/" not in name else None
    if sweep is None:
        raise UserError(f"there is no sweep {name!r} in {results}; they are the folders of {results / 'sweeps'}")
    return sweep
