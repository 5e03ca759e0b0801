"""The table of claims: for the terminal, and as a page of the documentation."""

from collections import Counter
from collections.abc import Iterator, Sequence
from math import isnan

from bench.claims.judge import WORDS, Finding, Judged
from bench.core.markdown import escape, table_of_text
from bench.core.progress import clock
from bench.leaderboard.numbers import name as metric_name
from bench.leaderboard.numbers import number, scale, value
from bench.statistics.conditions import by_condition, own
from bench.statistics.estimate import estimate

SUMMARY = ("claim", "paper", "result", "comparisons shown", "runs", "compute")
COMPARISONS = ("expected", "target images", "difference", "95 %", "pairs", "result")
HEAD = """# What the papers claim, tested

Each row is a sentence of a paper, tested in small with the code of this repository: shown, not shown, contradicted,
or not yet run. A comparison is *shown* where the 95 % interval of the paired differences (equal target subset, equal
seed) lies wholly on the expected side of zero, or of the margin that it names; *contradicted* where it lies wholly on
the other side; otherwise *not shown*. A claim is shown where all its comparisons are, and contradicted where one of
them is. All arms of a claim have the same budget of compute, preparation included (see [Budgets](runs.md#budgets)).
The settings are in `results/claims/*.toml`, the records beside them in `results/claims/records/`. `bench claims
report` prints this table, `bench claims report --page FILE` writes this page, and `bench claims run` carries out what
is missing.
"""


def summary_rows(judged: Sequence[Judged]) -> list[list[str]]:
    """One row a claim."""
    rows = []
    for one in judged:
        shown = sum(finding.word == "shown" for finding in one.findings)
        counts = f"{shown} of {len(one.findings)}"
        paper = one.claim.paper.split(":")[0]
        rows.append([one.claim.id, paper, one.word, counts, _runs(one), _compute(one)])
    return rows


def comparison_rows(one: Judged) -> list[list[str]]:
    """One row a comparison and target size."""
    return [
        [f.comparison.words(), _size(f), _difference(f), _interval(f), f"{f.pairs} of {f.planned}", _result(f)]
        for f in one.findings
    ]


def totals(judged: Sequence[Judged]) -> str:
    """ "Claims: 2 shown, 1 not shown, 3 not yet run."."""
    counts = Counter(one.word for one in judged)
    return "Claims: " + ", ".join(f"{counts[word]} {word}" for word in WORDS if counts[word]) + "."


def page(judged: Sequence[Judged]) -> str:
    """The page as Markdown."""
    everything = _table(SUMMARY, summary_rows(judged))
    return "\n".join([HEAD, totals(judged), "", everything, *(_section(one) for one in judged)]).rstrip() + "\n"


def _section(one: Judged) -> str:
    claim = one.claim
    budget = f"{claim.budget.tflop:g} TFLOP a run, {claim.resolution} px, preset {claim.preset}"
    where = f"{claim.dataset}, {_listed(claim.sizes)} target images"
    seeds = f"seeds {_listed(claim.seeds)}, target subsets {_listed(claim.subset_seeds)}"
    lines = [
        f"> {escape(claim.sentence)}",
        ">",
        f"> {escape(claim.paper)}, {escape(claim.where)}",
        "",
        f"**{one.word}.** {where}; {budget}; {seeds}.",
        "",
        _table(("arm", "what it is", *_arm_columns(one)), list(_arm_rows(one))),
        _table(COMPARISONS, comparison_rows(one)),
    ]
    if claim.notes:
        lines += [claim.notes.strip(), ""]
    return f"## {claim.id}\n\n" + "\n".join(lines)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return table_of_text(columns, rows) + "\n"


def _arm_columns(one: Judged) -> list[str]:
    return [f"{metric_name(metric)}, {size}" for metric in one.claim.metrics for size in one.claim.sizes]


def _arm_rows(one: Judged) -> Iterator[list[str]]:
    """Each arm with its mean, and the interval of that, on every metric and at every size."""
    for name, arm in one.claim.arms.items():
        fields = ", ".join(f"{key}={part}" for key, part in arm.set.items())
        what = arm.method + (f" ({fields})" if fields else "") + (f" on {arm.dataset}" if arm.dataset else "")
        yield [name, what, *(_mean(one, name, m, size) for m in one.claim.metrics for size in one.claim.sizes)]


def _mean(one: Judged, arm: str, metric: str, size: int) -> str:
    measured = by_condition(one.runs.get((arm, size), []), metric)
    condition = own(measured, None)
    return value(estimate(measured[condition]), scale(metric)) if condition else "-"


def _size(finding: Finding) -> str:
    more = finding.comparison.more_at
    return str(finding.size) if more is None else f"{more} against {finding.size}"


def _difference(finding: Finding) -> str:
    if finding.gap is None:
        return "-"
    return number(finding.gap.mean * scale(finding.comparison.metric))


def _interval(finding: Finding) -> str:
    gap, times = finding.gap, scale(finding.comparison.metric)
    return "-" if gap is None or isnan(gap.low) else f"{number(gap.low * times)} .. {number(gap.high * times)}"


def _result(finding: Finding) -> str:
    return finding.word + (f" ({finding.note})" if finding.note else "")


def _runs(one: Judged) -> str:
    return f"{len({record.folder for record in one.records})} of {one.planned}"


def _compute(one: Judged) -> str:
    """What the claim's runs took: a run that several arms share counts once."""
    records = {record.folder: record for record in one.records}.values()
    if not records:
        return "-"
    flop = sum((r.cost.train_flop or 0) + (r.cost.prepare_flop or 0) for r in records)
    seconds = sum(r.cost.train_cpu_seconds or 0.0 for r in records)
    return f"{number(flop / 1e12)} TFLOP, {clock(seconds)} of one CPU"


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
