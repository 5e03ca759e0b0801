"""A new entry of the baseline, and what it changes."""

from collections.abc import Sequence
from typing import Any

from bench.regress.baseline import Baseline, BaselineEntry, CheckGrid, Measured
from bench.regress.compare import facts_of
from bench.regress.decide import Rule, decide, mean
from bench.regress.report import Cells, number
from bench.regress.runs import CheckedRun


def entry_of(runs: Sequence[CheckedRun], seeds: Sequence[int], how: dict[str, Any]) -> BaselineEntry:
    """The values that every run of a method has; the runs are in the order of the seeds."""
    first = runs[0]
    common = [name for name in first.values if all(name in run.values for run in runs)]
    values = {name: Measured(first.values[name][1], tuple(run.values[name][0] for run in runs)) for name in common}
    facts = facts_of(first)
    return BaselineEntry({**how, **facts}, first.config or {}, tuple(seeds), values)


def changes(
    method: str, old: BaselineEntry | None, new: BaselineEntry, baseline: Baseline, grid: CheckGrid
) -> list[Cells]:
    """Rows (method, value, before, now, moved by, verdict) of what a check would call moved, came or went."""
    if old is None:
        return [(method, f"{len(new.values)} values", "", "", "", "new")]
    rule = Rule(grid.family_error, baseline.comparisons, grid.tolerance)
    before = old.values
    rows: list[Cells] = []
    for name in [*new.values, *(name for name in before if name not in new.values)]:
        if name not in before:
            rows.append((method, name, "", number(name, mean(new.values[name].values)), "", "new"))
        elif name not in new.values:
            rows.append((method, name, number(name, mean(before[name].values)), "", "", "gone"))
        elif before[name].version != new.values[name].version:
            rows.append((method, name, "", number(name, mean(new.values[name].values)), "", "another version"))
        else:
            d = decide(name, before[name].values, new.values[name].values, rule)
            if d.verdict != "fine":
                rows.append(
                    (method, name, number(name, d.mean), number(name, d.now), f"{d.moved:+.1f} spreads", d.verdict)
                )
    return rows
