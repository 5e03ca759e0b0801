"""Which runs a command is about: one rule for every command that takes the name of a run."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import UserError
from bench.runs.record import read_records

DEPTH = 4  # data set, target size, method, seed and hash


@dataclass(frozen=True)
class RunFilter:
    """Unvalidated command-line options that choose finished runs: by name, or all that these filters leave."""

    runs: tuple[str, ...] = ()
    everything: bool = False
    dataset: str | None = None
    method: str | None = None


def run_folders(results: Path) -> list[Path]:
    """The folders of all runs below a results folder, whether begun or only submitted, in the order of their names."""
    folders = [results / "runs"]
    for _ in range(DEPTH):
        folders = [Path(entry.path) for folder in folders for entry in _subfolders(folder)]
    return sorted(folders)


def run_name(folder: Path, results: Path) -> str:
    """How people call a run: its folder below results/runs."""
    return os.path.relpath(folder, results).removeprefix("runs/")


def find_run(results: Path, name: str) -> Path:
    """The folder of the run with this name: its path, its whole name, or a part of its name that no other run has.

    Raises UserError where no run or more than one has it.
    """
    if any((Path(name) / file).is_file() for file in ("record.json", "state.json", "config.json")):
        return Path(name).resolve()
    names = {run_name(folder, results): folder for folder in run_folders(results)}
    if name in names:
        return names[name]
    matching = [whole for whole in names if name in whole]
    if not matching:
        raise UserError(
            f"there is no run called {name!r} in {results}; python -m bench status --results {results} lists them"
        )
    if len(matching) > 1:
        first, second = matching[:2]
        raise UserError(
            f"{len(matching)} runs in {results} have {name!r} in their name, among them {first} and {second}; say more"
        )
    return names[matching[0]]


def find_finished(results: Path, name: str) -> Path:
    """Finds a run like `find_run`, for commands that need the record of the run."""
    folder = find_run(results, name)
    if not (folder / "record.json").exists():
        raise UserError(
            f"the run {folder} has not finished; python -m bench status --results {results} says how far it is"
        )
    return folder


def chosen_folders(choice: RunFilter, results: Path) -> list[Path]:
    """The folders of the chosen runs, those of one data set and target size in a row."""
    filtered = choice.everything or choice.dataset is not None or choice.method is not None
    if bool(choice.runs) == filtered:
        raise UserError("name runs (a folder or a part of its name), or choose with --all, --dataset and --method")
    if choice.runs:
        return [find_finished(results, run) for run in choice.runs]
    records = [
        r
        for r in read_records(results, lambda message: print(message, file=sys.stderr))
        if choice.dataset in (None, r.identity.dataset) and choice.method in (None, r.identity.method)
    ]
    diverged = [record for record in records if record.status == "diverged"]
    if diverged:
        print(f"left out, since they diverged: {len(diverged)} of {len(records)} runs")
    if len(records) == len(diverged):
        raise UserError(f"no finished run below {results} is of that kind; see: python -m bench leaderboard")
    return [Path(record.folder) for record in records if record.status != "diverged"]


def _subfolders(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return [entry for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")]
    except OSError:
        return []
