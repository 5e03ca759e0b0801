"""Which of several rows leads, by paired differences alone: means over unequal draws never decide."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from bench.statistics.conditions import Values
from bench.statistics.estimate import Estimate, draws, estimate, nested, paired

Row = TypeVar("Row")
Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Ranking(Generic[Row]):
    """What paired comparisons say of the rows of one table.

    leader     the row with the best mean among those that no other row beats in pairs; None where each is beaten by
               another one, or where there is no row
    best       whether the leader beats every other row
    gaps       row - leader over the draws that both have, of every row but the leader; None where they share none
    behind     the rows that the leader beats
    too_few    rows with one draw where others have several: their luck is not known, so they are not ranked
    """

    leader: Row | None
    best: bool
    gaps: Mapping[Row, Estimate | None]
    behind: frozenset[Row]
    too_few: frozenset[Row]


def rank(values: Mapping[Row, Values], better: Better) -> Ranking[Row]:
    """Ranks rows whose values were measured under one condition. Row a beats row b where the 95 % interval of their
    paired difference lies on a's side of zero; each comparison stands by itself."""
    several = {row: _draws(of_row) > 1 for row, of_row in values.items()}
    too_few = frozenset(row for row in values if any(several.values()) and not several[row])
    rivals = {row: of_row for row, of_row in values.items() if row not in too_few}
    unbeaten = [row for row in rivals if not any(beats(rivals[other], rivals[row], better) for other in rivals)]
    if not unbeaten:
        return Ranking(None, False, {}, frozenset(), too_few)
    sign = 1 if better == "lower" else -1
    leader = min(unbeaten, key=lambda row: sign * estimate(rivals[row]).mean)
    others = [row for row in rivals if row != leader]
    behind = frozenset(row for row in others if beats(rivals[leader], rivals[row], better))
    gaps = {row: paired(rivals[row], rivals[leader]) for row in others}
    return Ranking(leader, bool(others) and len(behind) == len(others), gaps, behind, too_few)


def beats(a: Values, b: Values, better: Better) -> bool:
    """Whether the paired interval of a - b lies on a's side of zero; never with fewer than two shared draws."""
    gap = paired(a, b)
    return gap is not None and (gap.high < 0 if better == "lower" else gap.low > 0)


def _draws(values: Values) -> int:
    return len(draws(values, nested([values])))
