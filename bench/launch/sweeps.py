"""results/sweeps/<id>/: what was submitted when, to whom, and which job carries out which run."""

import secrets
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct, field

from bench.core.errors import UserError
from bench.core.typed import read_typed, write_typed
from bench.runs.spec import RunSpec

FILE = "sweep.json"


class Skipped(Struct, frozen=True):
    """A run that was asked for and cannot be carried out."""

    spec: RunSpec
    reason: str


class Sweep(Struct, frozen=True):
    """One submission. Folders are written relative to the results folder, so that it can be moved.

    jobs  name of a scheduler's job -> the runs and stages that it carries out
    """

    id: str
    launcher: str
    runs: list[str]
    stages: list[str]
    profile: str | None = None
    command: list[str] = field(default_factory=lambda: sys.argv[1:])
    submitted: float = field(default_factory=time.time)
    jobs: dict[str, list[str]] = {}
    skipped: list[Skipped] = []

    def jobs_by_run(self) -> dict[str, str]:
        return {run: job for job, runs in self.jobs.items() for run in runs}

    def write(self, results: Path) -> None:
        write_typed(folder(results, self.id) / FILE, self)


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
    """None where the submission did not come to its end. Raises UserError where its file is damaged."""
    path = folder(results, sweep) / FILE
    if not path.exists():
        return None
    return read_typed(path, Sweep, "delete it; the runs that it submitted stay, and the sweep can be submitted again")


def read_all(results: Path, say: Callable[[str], None]) -> Iterator[Sweep]:
    """All sweeps, in the order of their names. A damaged one is named and passed over."""
    for path in sorted((results / "sweeps").glob(f"*/{FILE}")):
        try:
            sweep = read(results, path.parent.name)
        except UserError as error:
            say(f"left out: {error}")
            continue
        if sweep is not None:
            yield sweep


def find(results: Path, name: str) -> Sweep:
    sweep = read(results, name) if name and "/" not in name else None
    if sweep is None:
        raise UserError(f"there is no sweep {name!r} in {results}; they are the folders of {results / 'sweeps'}")
    return sweep
