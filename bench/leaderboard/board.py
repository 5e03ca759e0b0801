"""Records -> boards.

A board holds what may stand in one table: one data set, one protocol, one resolution, one kind of method. Methods that
learn from pairs and generators that ignore the source are never ranked with unpaired methods; the anchors stand in
every board.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from msgspec import Struct

from bench.metrics import METRICS
from bench.metrics.anchors import ANCHORS
from bench.runs.record import Identity, Record, variant
from bench.statistics.conditions import replicate
from bench.training.needs import KINDS, kind_of_method

Content = TypeVar("Content")
Run = TypeVar("Run", Record, "Waiting")
TableKey = tuple[str, str, int, str]  # data set, protocol, resolution, kind of method
TITLES = {"paired": ", paired methods (upper bounds)", "generator": ", generators (they ignore the source)"}
# The metrics of a table, after the one that ranks methods on its data: the unbiased kernel distance stands first.
MAIN = (
    "kid", "kd_effnet", "kd_effnet_gap", "fid", "fd_effnet", "precision_effnet", "recall_effnet", "target_share",
    "class_kept", "lpips_diversity", "lpips_truth", "truth_retrieved", "translated", "nn_ratio",
    "user_preference_pct",
)  # fmt: skip
NAMED_FIELDS = 3  # fields of a config that a label can hold


class Waiting(Struct, frozen=True, kw_only=True):
    """A run without a record: one that is not finished, or that a sweep had to skip. `note` says how far it came."""

    identity: Identity
    config: dict[str, Any]
    state: Literal["unfinished", "skipped"]
    note: str
    added: bool = False


@dataclass(frozen=True)
class Row:
    """Runs that differ in their seeds and the target size alone.

    kind   anchor, method, external (the outputs of another program, measured here)
    added  the records came from somebody else (`bench leaderboard --add`)
    """

    method: str
    variant: str
    kind: str
    added: bool
    label: str = field(compare=False)

    @property
    def anchor(self) -> bool:
        return self.kind == "anchor"


@dataclass(frozen=True)
class Board:
    """The runs of one table, by row and target size.

    unfinished  those that have no record, see bench.leaderboard.unfinished
    """

    dataset: str
    protocol: str
    resolution: int | None
    method_kind: str  # of its methods: unpaired, paired, generator (bench.training.needs.KINDS)
    rows: tuple[Row, ...]
    runs: dict[tuple[Row, int], list[Record]]
    unfinished: dict[tuple[Row, int], list[Waiting]] = field(default_factory=dict)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Target sizes of the records."""
        return tuple(sorted({size for _, size in self.runs}))

    @cached_property
    def all_sizes(self) -> tuple[int, ...]:
        """Those of unfinished runs too: the columns of a table."""
        return tuple(sorted({size for _, size in [*self.runs, *self.unfinished]}))

    @cached_property
    def records(self) -> list[Record]:
        return [record for several in self.runs.values() for record in several]

    @property
    def title(self) -> str:
        return f"{self.dataset}, {self.resolution} px, protocol {self.protocol}{TITLES.get(self.method_kind, '')}"

    @property
    def primary(self) -> str | None:
        """The metric that ranks methods on these data, as the newest record has it."""
        named = [(record.finished, record.task.primary) for record in self.records if record.task.primary]
        return max(named)[1] if named else None

    @property
    def main_metrics(self) -> tuple[str, ...]:
        """MAIN, after the metric that ranks methods on these data; some may have no value. Where none of them has one,
        the others that were measured follow."""
        first = (self.primary,) if self.primary else ()
        names = (*first, *(name for name in MAIN if name not in first))
        return names if self.metrics(names) else (*names, *(self.metrics() or self.asked(METRICS)))

    def metrics(self, chosen: Iterable[str] | None = None) -> list[str]:
        """The chosen metrics (or all that are known, then the others) that have a value in any run."""
        present = {name for r in self.records for name, value in r.metrics.items() if value.value is not None}
        order = list(chosen) if chosen is not None else [*METRICS, *sorted(present - set(METRICS))]
        return [name for name in order if name in present]

    def asked(self, chosen: Iterable[str]) -> list[str]:
        """The chosen metrics that any run was measured by, also those that have a reason in place of every value."""
        asked = {name for record in self.records for name in record.metrics}
        return [name for name in chosen if name in asked]


def boards(records: Iterable[Record], unfinished: Iterable[Waiting] = ()) -> list[Board]:
    """Boards in the order of their names; none for a table that would hold unfinished runs alone."""
    tables, waiting = _by_table(records), _by_table(unfinished)
    ordered_boards = []
    for key in sorted(tables, key=_board_order):
        others = waiting.get(key, [])
        rows = _rows([*tables[key], *others])
        ordered = tuple(sorted(rows.values(), key=_order))
        board = Board(*key, ordered, _by_row(tables[key], rows), _by_row(others, rows))
        ordered_boards.append(replace(board, rows=_by_score(board)))
    return ordered_boards


def without_records(records: Iterable[Record], unfinished: Iterable[Waiting]) -> list[str]:
    """A line for each table that would hold unfinished and skipped runs alone, with the reasons given."""
    there = _by_table(records)
    lines = []
    for key, waiting in sorted(_by_table(unfinished).items()):
        if key not in there:
            dataset, protocol, resolution, _ = key
            states = Counter(run.state for run in waiting)
            reasons = "; ".join(dict.fromkeys(run.note for run in waiting))
            counts = ", ".join(f"{n} {state}" for state, n in sorted(states.items()))
            lines.append(f"{dataset}, {resolution} px, protocol {protocol}: no record, {counts} ({reasons})")
    return lines


def _by_table(runs: Iterable[Run]) -> dict[TableKey, list[Run]]:
    """Runs by data set, protocol, resolution and kind of method; anchors belong to all kinds that there are."""
    of_kind: dict[tuple[str, str, int], dict[str | None, list[Run]]] = {}
    for run in runs:
        identity = run.identity
        key = identity.dataset, identity.protocol, identity.resolution
        of_kind.setdefault(key, {}).setdefault(method_kind(identity), []).append(run)
    by_table: dict[TableKey, list[Run]] = {}
    for (dataset, protocol, resolution), kinds in of_kind.items():
        anchors = kinds.pop(None, [])
        for kind, several in (kinds or {"unpaired": []}).items():
            by_table[dataset, protocol, resolution, str(kind)] = anchors + several
    return by_table


def _board_order(key: TableKey) -> tuple[Any, ...]:
    """The place of a board: of one task that of the unpaired methods comes first."""
    return (*key[:-1], list(KINDS).index(key[-1]) if key[-1] in KINDS else len(KINDS), key[-1])


def method_kind(identity: Identity) -> str | None:
    """unpaired, paired or generator; None of an anchor. Runs from before it was written say it by their method."""
    if _is_anchor(identity):
        return None
    return identity.method_kind or kind_of_method(identity.method)


def _is_anchor(identity: Identity) -> bool:
    return identity.kind == "anchor" and identity.method in ANCHORS


def _by_row(runs: Iterable[Run], rows: dict[tuple[str, str, str, bool], Row]) -> dict[tuple[Row, int], list[Run]]:
    by_row: dict[tuple[Row, int], list[Run]] = {}
    for record in runs:
        by_row.setdefault((rows[_identity(record)], record.identity.target_size), []).append(record)
    return by_row


def first(
    records: Iterable[Record], file: str, read: Callable[[Path], Content | None]
) -> tuple[Record, Content] | None:
    """The first run in whose `file` `read` finds something, and that; those that are done come before the others."""
    for record in sorted(records, key=lambda r: (r.status != "done", replicate(r))):
        value = read(Path(record.folder) / file) if record.folder else None
        if value:
            return record, value
    return None


def run_name(record: Record) -> str:
    """The name of one of the runs of a row: "seed 1", "subset 2, seed 1" (0 goes unsaid), "seed 1 (diverged)"."""
    subset, seed = replicate(record)
    status = "" if record.status == "done" else f" ({record.status})"
    return (f"subset {subset}, " if subset else "") + f"seed {seed}{status}"


def _order(row: Row) -> tuple[int, bool, str, str]:
    """Anchors first, in their own order; what others added last."""
    return (list(ANCHORS).index(row.method) if row.anchor else len(ANCHORS), row.added, row.label, row.variant)


def _by_score(board: Board) -> tuple[Row, ...]:
    """The rows in the one order of tables, plots and page: anchors, then methods from the best to the worst by the
    first of the main metrics at the smallest target size, those without a value after them, what others added last."""
    ranking = board.metrics(board.main_metrics)[:1]
    better = METRICS[ranking[0]].better if ranking else None
    if better is None:
        return board.rows
    scores = {row: _score(board, row, ranking[0]) for row in board.rows}
    sign = -1 if better == "higher" else 1

    def place(row: Row) -> tuple[bool, bool, bool, float]:
        score = None if row.anchor else scores[row]
        return (not row.anchor, row.added, score is None, sign * (score or 0.0))

    return tuple(sorted(board.rows, key=place))


def _score(board: Board, row: Row, metric: str) -> float | None:
    """The mean over the row's runs at the smallest target size of the board; a run that diverged counts for none."""
    done = [record for record in board.runs.get((row, board.sizes[0]), []) if record.status == "done"]
    values = [v.value for record in done if (v := record.metrics.get(metric)) and v.value is not None]
    return sum(values) / len(values) if values else None


def _identity(record: Record | Waiting) -> tuple[str, str, str, bool]:
    """method, variant, kind, added."""
    identity = record.identity
    kind = "anchor" if _is_anchor(identity) else "method"
    kind = "external" if identity.kind == "external" else kind
    return identity.method, variant(identity, record.config), kind, record.added


def _rows(records: Sequence[Record | Waiting]) -> dict[tuple[str, str, str, bool], Row]:
    first = {_identity(record): record for record in reversed(records)}
    labels = {}
    for method in {key[0] for key in first}:
        labels.update(_labels({key: _facts(r) for key, r in first.items() if key[0] == method}))
    return {key: Row(*key, label=labels[key]) for key in first}


def _facts(record: Record | Waiting) -> dict[str, Any]:
    """What a label may name to tell variants of one method apart."""
    return {"preset": record.identity.preset, "amp": record.identity.amp, **_budget(record.identity), **record.config}


def _budget(identity: Identity) -> dict[str, float]:
    return {} if identity.budget_tflop is None else {"budget_tflop": identity.budget_tflop}


def _differences(variants: Sequence[dict[str, Any]]) -> list[str]:
    """The fields that tell variants apart. Of those that some variants lack, because a setting of theirs leaves them
    unread, the first one does; the others only where those that have them differ."""
    names = list(dict.fromkeys(name for values in variants for name in values))
    lacked = [name for name in names if any(name not in values for values in variants)][:1]
    known = {name: {repr(values[name]) for values in variants if name in values} for name in names}
    return [name for name in names if len(known[name]) > 1 or name in lacked]


def _labels(facts: dict[tuple[str, str, str, bool], dict[str, Any]]) -> dict[tuple[str, str, str, bool], str]:
    """The method's name; among several variants with the fields in which they differ, `cyclegan (width=64)`."""
    differ = _differences([values for key, values in facts.items() if not key[3]])
    labels = {}
    for key, values in facts.items():
        said = [f"{name}={values[name]}" for name in differ[:NAMED_FIELDS] if name in values] if not key[3] else []
        labels[key] = key[0] + (f" ({', '.join(said)})" if said else "") + (" [external]" if key[3] else "")
    twice = [label for label in labels.values() if list(labels.values()).count(label) > 1]
    return {key: f"{label} [{key[1]}]" if label in twice else label for key, label in labels.items()}
