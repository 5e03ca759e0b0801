"""What a column of a table lets one conclude, and where its leader stands against doing nothing."""

from typing import Literal

from bench.leaderboard.board import Row
from bench.leaderboard.cells import Column
from bench.leaderboard.numbers import number, scale
from bench.metrics import METRICS
from bench.statistics.estimate import Estimate

Kind = Literal["best", "level", "nothing"]


def verdict(column: Column) -> tuple[Kind, str]:
    """What a column lets one conclude: "best", "level" or "nothing", and a sentence that names the anchors.

    Never "best" for a leader that is not shown to be better than the untouched sources.
    """
    alone = [row for row, cell in column.cells.items() if cell.rank == "alone"]
    if alone:
        noted = [row.label for row, cell in column.cells.items() if cell.mean and cell.rank == "unranked" and cell.note]
        why = f"not ranked with {', '.join(noted)}, whose notes say why" if noted else "nothing to compare it with"
        return "nothing", f"Only {alone[0].label} can be ranked: {why}{_stand(column, alone[0])}."
    leader = column.leader
    if leader is None:
        better = METRICS[column.metric].better if column.metric in METRICS else None
        return "nothing", "No comparable runs." if better else "A diagnosis: neither direction is a merit."
    kind, said = _against_others(column, leader)
    if kind == "best" and better_than_doing_nothing(column, leader) is False:
        kind = "nothing"
    return kind, f"{said}{_stand(column, leader)}."


def _against_others(column: Column, leader: Row) -> tuple[Kind, str]:
    ranked = {row: cell for row, cell in column.cells.items() if cell.rank in ("best", "leads", "level", "behind")}
    others = len(ranked) - 1
    if column.cells[leader].rank == "best":
        return "best", f"{leader.label} leads, separated from {'the other' if others == 1 else f'all {others} others'}"
    level = [row.label for row, cell in ranked.items() if cell.rank == "level"]
    gaps = [cell.gap for row, cell in ranked.items() if row != leader]
    if all(gap is None or gap.draws < 2 for gap in gaps):
        return "nothing", f"{leader.label} has the best mean, but too few shared seeds to conclude anything"
    named = ", ".join(level[:4]) + (f" and {len(level) - 4} more" if len(level) > 4 else "")
    behind = f"; ahead of the other {others - len(level)}" if others > len(level) else ""
    return "level", f"{leader.label} has the best mean, not separated from {named}{behind}"


def better_than_doing_nothing(column: Column, row: Row) -> bool | None:
    """Whether the row's interval (its mean, where it has one draw) lies on the better side of the untouched sources;
    None where the column has no row `identity`, or the metric has no better side."""
    nothing, mine = anchor(column, "identity"), column.cells[row].mean
    better = METRICS[column.metric].better if column.metric in METRICS else None
    if nothing is None or mine is None or better is None:
        return None
    if better == "lower":
        return (mine.high if mine.draws > 1 else mine.mean) < nothing.mean
    return (mine.low if mine.draws > 1 else mine.mean) > nothing.mean


def anchor(column: Column, name: str) -> Estimate | None:
    """The value of an anchor row in this column."""
    return next((cell.mean for row, cell in column.cells.items() if row.anchor and row.method == name), None)


def _stand(column: Column, row: Row) -> str:
    """ ": 0.27, 4.2 times the untouched sources (0.065), 0.47 times real (0.58)", as far as there are anchors."""
    mine, nothing, real = column.cells[row].mean, anchor(column, "identity"), anchor(column, "real")
    if mine is None or (nothing is None and real is None):
        return ""
    times = scale(column.metric)
    said = [number(mine.mean * times)]
    if nothing is not None:
        shown = f"the untouched sources ({number(nothing.mean * times)})"
        said.append(
            f"no better than {shown}"
            if better_than_doing_nothing(column, row) is False
            else f"{_ratio(mine, nothing)}{shown}"
        )
    if real is not None:
        said.append(f"{_ratio(mine, real)}real ({number(real.mean * times)})")
    return ": " + ", ".join(said)


def _ratio(mine: Estimate, other: Estimate) -> str:
    """A ratio means something between positive numbers alone; a kernel distance of real images may be below zero."""
    return f"{number(mine.mean / other.mean, 2)} times " if mine.mean > 0 and other.mean > 0 else "against "
