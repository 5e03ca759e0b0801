"""When one far value would flatten all others: a bent axis, linear near zero and logarithmic beyond."""

from collections.abc import Sequence
from math import floor, inf, log10

from bench.leaderboard.board import Board
from bench.leaderboard.cells import Column
from bench.metrics import METRICS

FAR = 10.0  # times the smallest value: on a linear axis its row and its neighbours would be one line


def bend(board: Board, metric: str, columns: Sequence[Column]) -> float | None:
    """The width of the linear part, in the unit of the metric; None where a linear axis shows all.

    Only distances are bent: metrics without an upper end whose lower values are better.
    """
    known = METRICS.get(metric)
    if known is None or known.better != "lower" or known.range[1] != inf:
        return None
    means = [cell.mean.mean for one in columns for row, cell in one.cells.items() if cell.mean and not row.anchor]
    above = [value for value in means if value > 0]
    if not above or max(above) <= FAR * min(above):
        return None
    return min(above)


def bent_ticks(low: float, high: float, linear: float) -> list[float]:
    """0, +-1, +-2, +-5, +-10, ... between two ends: those at least half as large as the linear part, eight at most."""
    most = max(abs(low), abs(high), linear)
    steps = [m * 10.0**e for e in range(floor(log10(linear / 2)), floor(log10(most)) + 1) for m in (1, 2, 5)]
    large = [step for step in steps if step >= linear / 2]
    ticks = [tick for tick in [*(-step for step in reversed(large)), 0.0, *large] if low <= tick <= high]
    return ticks if len(ticks) <= 8 else [tick for tick in ticks if tick == 0 or _is_power(abs(tick))]


def _is_power(x: float) -> bool:
    return abs(log10(x) - round(log10(x))) < 1e-9
