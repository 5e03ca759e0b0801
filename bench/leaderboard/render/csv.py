"""CSV files and the citation line."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench import __version__
from bench.core.provenance import commit
from bench.leaderboard.board import Board
from bench.leaderboard.cells import column
from bench.leaderboard.cost import cpu_seconds, tflop
from bench.runs.record import Record
from bench.statistics.conditions import Condition
from bench.statistics.estimate import Estimate
from bench.training import log

RUN = ("dataset", "protocol", "resolution", "target_size", "method", "kind", "preset", "seed", "subset_seed")
VALUE = ("version", "value", "low", "high", "n_gen", "n_ref", "reason")
VALIDATED = ("validated_best_images", "validated_best", "validated_end")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would compute a text that begins so


def runs_csv(boards: Iterable[Board]) -> str:
    """One line a run and metric; a run without metrics (diverged) is one line.

    The columns `validated_...` are those of `--validate-every`: the images after which the curve on training images was
    best, and its value (bench.training.log.CHOOSES) there and at the end. The metrics are those of the end.
    """
    of_run = "method_kind", "row", "external", "status", "tflop", "cpu_seconds", "folder"
    lines: list[Sequence[Any]] = [(*RUN, *of_run, *VALIDATED, "metric", *VALUE)]
    for board in boards:
        for (row, _), records in board.runs.items():
            for record in records:
                start = [getattr(record.identity, key) for key in RUN]
                start += [board.method_kind, row.label, row.added, record.status]
                start += [tflop(record), cpu_seconds(record), record.folder, *_validated(record)]
                lines += [
                    (*start, name, *(getattr(value, key) for key in VALUE)) for name, value in record.metrics.items()
                ] or [(*start, *[None] * (1 + len(VALUE)))]
    return _csv(lines)


def _validated(record: Record) -> tuple[float | None, ...]:
    """What VALIDATED names, of a run of ours that measured training images while it trained."""
    lines = log.read(Path(record.folder) / log.VALIDATION) if record.folder and not record.added else []
    best = log.best(lines)
    name = f"validation/{log.CHOOSES}"
    return (best.images, best.values[name], lines[-1].values.get(name)) if best else (None, None, None)


def cells_csv(boards: Iterable[Board]) -> str:
    return _csv(cell_lines(boards))


def cell_lines(boards: Iterable[Board]) -> list[Sequence[Any]]:
    """One line a cell of the tables, below a heading: mean, interval, rank, the paired difference to the leader."""
    lines: list[Sequence[Any]] = [
        ("dataset", "protocol", "resolution", "method_kind", "metric", "version", "n_gen", "n_ref", "target_size",
         "row", "kind", "external", "state", "mean", "low", "high", "runs", "diverged", "rank", "to_leader",
         "to_leader_low", "to_leader_high", "to_leader_draws", "note")
    ]  # fmt: skip
    for board in boards:
        for metric in board.metrics():
            for size in board.all_sizes:
                for row, cell in column(board, metric, size).cells.items():
                    task = board.dataset, board.protocol, board.resolution, board.method_kind
                    start = (*task, metric, *_condition(cell.condition), size)
                    lines.append((
                        *start, row.label, row.kind, row.added, cell.state, *_estimate(cell.mean),
                        cell.mean.runs if cell.mean else 0, cell.diverged, cell.rank, *_estimate(cell.gap),
                        cell.gap.draws if cell.gap else None, cell.note,
                    ))  # fmt: skip
    return lines


def _condition(condition: Condition | None) -> tuple[int | None, int | None, int | None]:
    return (condition.version, condition.n_gen, condition.n_ref) if condition else (None, None, None)


def _estimate(estimate: Estimate | None) -> tuple[float | None, float | None, float | None]:
    if estimate is None:
        return None, None, None
    return (estimate.mean, None, None) if estimate.draws < 2 else (estimate.mean, estimate.low, estimate.high)


def citation(records: Sequence[Record]) -> str:
    """One line that says what the figures are and from which commits they come."""
    made = sorted({_short(record.provenance.commit) for record in records})
    last = max((record.finished for record in records), default="-")[:10]
    commits = ", ".join(made[:3]) + (f" and {len(made) - 3} more" if len(made) > 3 else "")
    return (
        f"i2i-bench {__version__}, runs finished by {last}: {len(records)}, measured at commit {commits}, "
        f"drawn at commit {_short(commit())}"
    )


def _short(commit: Any) -> str:
    if not isinstance(commit, str):
        return "unknown"
    head, plus, known = commit.partition("+")  # "+changes" or "+unknown"
    return head[:10] + plus + known


def _csv(lines: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([_text(field) if isinstance(field, str) else field for field in line] for line in lines)
    return buffer.getvalue()


def _text(field: str) -> str:
    return "'" + field if field.startswith(FORMULA) else field
