"""What the records say of a claim: its comparisons, each with a paired difference, an interval and a word."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Literal

from bench.claims.cells import ArmCell, arm_cells
from bench.claims.claim import Claim, Comparison
from bench.runs.record import Record
from bench.runs.request import RunRequest
from bench.statistics.conditions import Condition, Values, by_condition, common, difference, own
from bench.statistics.estimate import Estimate, estimate, paired

Word = Literal["shown", "not shown", "contradicted", "not yet run"]
WORDS: tuple[Word, ...] = ("shown", "not shown", "contradicted", "not yet run")
Find = Callable[[RunRequest], Record | None]


@dataclass(frozen=True)
class Finding:
    """One comparison at one target size.

    gap     arm - times x than, or the difference of two such differences; None without a pair of runs
    means   of the arm, and of what it is compared with, over their own runs; None without a run
    pairs   replicates that both have, of `planned`
    note    why there are fewer, or none
    """

    comparison: Comparison
    size: int
    word: Word
    gap: Estimate | None
    means: tuple[float | None, float | None]
    pairs: int
    planned: int
    note: str = ""


@dataclass(frozen=True)
class Judged:
    """A claim with its findings and its runs: arm and size -> finished ones."""

    claim: Claim
    findings: list[Finding]
    runs: Mapping[tuple[str, int], list[Record]]
    planned: int

    @property
    def word(self) -> Word:
        """contradicted where any comparison is; shown where all are; not yet run where one of them is not."""
        words = {finding.word for finding in self.findings}
        if "contradicted" in words:
            return "contradicted"
        if "not yet run" in words:
            return "not yet run"
        return "shown" if words == {"shown"} else "not shown"

    @property
    def records(self) -> list[Record]:
        return [record for several in self.runs.values() for record in several]


def judge(claim: Claim, find: Find) -> Judged:
    """Looks up every run of the claim and compares."""
    cells = list(arm_cells(claim))
    runs: dict[tuple[str, int], list[Record]] = {}
    for cell in cells:
        if (record := find(cell.request)) is not None:
            runs.setdefault((cell.arm, cell.size), []).append(record)
    findings = [one for comparison in claim.comparisons for one in _findings(claim, comparison, runs)]
    return Judged(claim, findings, runs, _distinct(cells))


def _distinct(cells: Iterable[ArmCell]) -> int:
    return len({cell.request for cell in cells})


def _findings(
    claim: Claim, comparison: Comparison, runs: Mapping[tuple[str, int], Sequence[Record]]
) -> Iterator[Finding]:
    planned = len(claim.seeds) * len(claim.subset_seeds)
    sides = {size: _Sides.of(comparison, size, runs) for size in comparison.sizes or claim.sizes}
    if comparison.more_at is None:
        for size, measured in sides.items():
            gap = estimate(measured.gaps) if measured.gaps else None
            word = _word(comparison, gap)
            yield Finding(comparison, size, word, gap, measured.means, len(measured.gaps), planned, measured.note)
        return
    most = sides.pop(comparison.more_at)
    for size, measured in sides.items():
        gap = paired(most.gaps, measured.gaps)
        notes = "; ".join(dict.fromkeys(note for note in (most.note, measured.note) if note))
        means = tuple(_mean(one.gaps) for one in (most, measured))
        pairs = gap.runs if gap else 0
        yield Finding(comparison, size, _word(comparison, gap), gap, (means[0], means[1]), pairs, planned, notes)


@dataclass(frozen=True)
class _Sides:
    """Both sides of a comparison at one size, and the differences on the replicates that both have."""

    gaps: Values
    means: tuple[float | None, float | None]
    note: str

    @classmethod
    def of(cls, comparison: Comparison, size: int, runs: Mapping[tuple[str, int], Sequence[Record]]) -> "_Sides":
        mine = runs.get((comparison.arm, size), [])
        a = by_condition(mine, comparison.metric)
        if not isinstance(comparison.than, str):
            chosen = own(a, None)
            values = a[chosen] if chosen else {}
            gaps = {key: value - comparison.than for key, value in values.items()}
            return cls(gaps, (_mean(values), comparison.than), _lost({comparison.arm: mine}, comparison.metric))
        theirs = runs.get((comparison.than, size), [])
        b = by_condition(theirs, comparison.metric)
        note = _lost({comparison.arm: mine, comparison.than: theirs}, comparison.metric)
        return cls._compared(comparison, a, b, _on_one_task(mine, theirs), note)

    @classmethod
    def _compared(
        cls,
        comparison: Comparison,
        a: Mapping[Condition, Values],
        b: Mapping[Condition, Values],
        alike: bool,
        note: str,
    ) -> "_Sides":
        """alike: both sides are measured on one task, so that only values of one condition are compared."""
        shared = common([a, b]) if alike else None
        one, other = own(a, shared), own(b, shared)
        values, others = a[one] if one else {}, b[other] if other else {}
        means = _mean(values), _mean(others)
        if one and other and (one != other if alike else one.version != other.version):
            return cls({}, means, f"not comparable: {difference(one, other)}")
        scaled = {key: comparison.times * value for key, value in others.items()}
        return cls({key: values[key] - scaled[key] for key in values if key in scaled}, means, note)


def _on_one_task(a: Sequence[Record], b: Sequence[Record]) -> bool:
    return len({(r.identity.dataset, r.identity.target_size) for r in (*a, *b)}) == 1


def _lost(sides: Mapping[str, Sequence[Record]], metric: str) -> str:
    """The runs that have no value, and why."""
    said = []
    for arm, records in sides.items():
        diverged = sum(record.status == "diverged" for record in records)
        if diverged:
            said.append(f"{diverged} of {arm} diverged")
        values = [record.metrics.get(metric) for record in records if record.status == "done"]
        reasons = [value.reason or "no value" if value else "not measured" for value in values if not _has(value)]
        if reasons:
            said.append(f"{len(reasons)} of {arm}: {reasons[0]}")
    return "; ".join(said)


def _has(value: object) -> bool:
    return value is not None and getattr(value, "value", None) is not None


def _mean(values: Values) -> float | None:
    return estimate(values).mean if values else None


def _word(comparison: Comparison, gap: Estimate | None) -> Word:
    """Whether the interval of the differences lies wholly on the expected side of zero, or of the margin."""
    if gap is None or isnan(gap.low):
        return "not yet run"
    low, high = (gap.low, gap.high) if comparison.expected == "higher" else (-gap.high, -gap.low)
    if low > -comparison.margin:
        return "shown"
    return "contradicted" if high < -comparison.margin else "not shown"
