"""What earlier checks on this machine said: one line a check, appended, beside the runs. It may be absent."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.core.files import append_text, digest
from bench.core.typed import read_lines
from bench.regress.baseline import Baseline, BaselineEntry


@dataclass(frozen=True)
class Line:
    """One check. `fine` and `failed` are "<method> <value>"; `baselines`: method -> digest of its entry."""

    commit: str | None
    finished: str
    baselines: dict[str, str]
    fine: tuple[str, ...]
    failed: tuple[str, ...]


def append(path: Path, line: Line) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    append_text(path, json.dumps(asdict(line)) + "\n", flush=True)


def read(path: Path) -> list[Line]:
    """The lines that can be read, oldest first."""
    return read_lines(path, Line)


def last_fine(lines: Sequence[Line], baseline: Baseline, method: str, value: str) -> str | None:
    """The commit of the newest check against the same baseline in which the value was fine; failing that, the
    baseline's own commit, at which it was so by definition; None where not even that is known."""
    entry = baseline.methods[method]
    mark = digest_of(entry)
    for line in reversed(lines):
        if line.baselines.get(method) == mark and f"{method} {value}" in line.fine and line.commit:
            return line.commit
    return entry.how.get("commit")


def digest_of(entry: BaselineEntry) -> str:
    return digest(asdict(entry))[:12]
