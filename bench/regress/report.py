"""What a check or an update prints: only what moved, in the terminal and as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.core.markdown import escape, table_of_text
from bench.metrics import METRICS
from bench.regress.decide import Decision

Cells = tuple[str, ...]
HEADINGS = ("method", "value", "baseline", "now", "moved by", "allowed", "", "last fine at")


@dataclass(frozen=True)
class Finding:
    """One value of one method, compared; or, without a decision, why it could not be.

    again  what the second look said, where there was one; a value fails if both say so
    """

    method: str
    value: str
    decision: Decision | None
    problem: str | None = None
    last_fine: str | None = None
    again: Decision | None = None

    @property
    def failed(self) -> bool:
        if self.decision is None:
            return self.problem is not None
        return self.decision.failed and (self.again is None or self.decision.says(self.again))

    @property
    def moved(self) -> bool:
        return self.decision is None or self.decision.verdict != "fine"


def table(findings: Sequence[Finding]) -> list[Cells]:
    """Cells of HEADINGS of those that moved, failures first, the farthest first within a method."""
    shown = [finding for finding in findings if finding.moved]
    return [_cells(f) for f in sorted(shown, key=lambda f: (not f.failed, f.method, -_distance(f)))]


def markdown(headings: Cells, rows: Sequence[Cells], lines: Sequence[str]) -> str:
    """The same table and the lines below it."""
    text = [table_of_text(headings, rows), ""] if rows else []
    return "\n".join([*text, *(f"{escape(line)}\n" for line in lines)])


def number(value: str, x: float) -> str:
    """A value as people are shown it, in the scale of the metric."""
    return f"{x * (METRICS[value].scale if value in METRICS else 1.0):.4g}"


def short(commit: str | None) -> str:
    if commit is None:
        return "unknown"
    head, plus, _ = commit.partition("+")
    return head[:10] + (" with changes" if plus else "")


def _cells(finding: Finding) -> Cells:
    d, value = finding.decision, finding.value
    if d is None:
        return (finding.method, value, "", "", "", "", finding.problem or "", short(finding.last_fine))
    reference = f"{number(value, d.mean)} ± {number(value, d.spread)}"
    looks = [d, *filter(None, [finding.again])]
    now = ", then ".join(number(value, look.now) for look in looks)
    moved = ", then ".join(f"{look.moved:+.1f}" for look in looks) + " spreads"
    if finding.failed:
        verdict = d.verdict.upper()
    else:
        verdict = "better: update the baseline" if d.verdict == "better" else "not confirmed"
    where = short(finding.last_fine) if finding.failed else ""
    return finding.method, value, reference, now, moved, f"{d.allowed:.1f}", verdict, where


def _distance(finding: Finding) -> float:
    return abs(finding.decision.moved) if finding.decision else float("inf")
