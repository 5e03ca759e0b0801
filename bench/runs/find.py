"""Which finished runs a command is about."""

import sys
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import UserError
from bench.leaderboard import show
from bench.runs import record as store


@dataclass(frozen=True)
class Choice:
    """Which finished runs, as typed: by name, or all that these filters leave."""

    runs: tuple[str, ...] = ()
    everything: bool = False
    dataset: str | None = None
    method: str | None = None


def folders(choice: Choice, results: Path) -> list[Path]:
    """The folders of the runs, those of one data set and target size in a row."""
    filtered = choice.everything or choice.dataset is not None or choice.method is not None
    if bool(choice.runs) == filtered:
        raise UserError("name runs (a folder or a part of its path), or choose with --all, --dataset and --method")
    if choice.runs:
        return [show.find(run, results) for run in choice.runs]
    records = [
        r
        for r in store.read_all(results, lambda message: print(message, file=sys.stderr))
        if choice.dataset in (None, r.identity.dataset) and choice.method in (None, r.identity.method)
    ]
    diverged = [record for record in records if record.status == "diverged"]
    if diverged:
        print(f"left out, since they diverged: {len(diverged)} of {len(records)} runs")
    if len(records) == len(diverged):
        raise UserError(f"no finished run below {results} is of that kind; see: python -m bench leaderboard")
    return [Path(record.folder) for record in records if record.status != "diverged"]
