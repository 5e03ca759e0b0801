"""The runs of one method against its entry in the baseline."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bench.regress import history
from bench.regress.baseline import Baseline
from bench.regress.decide import Rule, decide
from bench.regress.report import Finding
from bench.regress.runs import CheckedRun


def compare(
    method: str, baseline: Baseline, runs: Sequence[CheckedRun], rule: Rule, past: Sequence[history.Line]
) -> list[Finding]:
    """One finding a value of the baseline; a run that failed is one of its own, and then the others go on alone."""
    entry = baseline.methods[method]

    def fine_at(value: str) -> str | None:
        return history.last_fine(past, baseline, method, value)

    findings = [
        Finding(method, f"seed {run.seed}", None, run.problem, entry.how.get("commit")) for run in runs if run.problem
    ]
    done = [run for run in runs if not run.problem]
    for name, measured in entry.values.items() if done else ():
        now = [run.values[name] for run in done if name in run.values]
        versions = {version for _, version in now}
        if len(now) < len(done):
            problem = f"missing: {len(done) - len(now)} of {len(done)} runs have no such value"
            findings.append(Finding(method, name, None, problem, fine_at(name)))
        elif versions != {measured.version}:
            problem = f"version {max(versions)} of the metric, the baseline has {measured.version}: update it"
            findings.append(Finding(method, name, None, problem, fine_at(name)))
        else:
            decision = decide(name, measured.values, [value for value, _ in now], rule)
            findings.append(Finding(method, name, decision, None, fine_at(name)))
    return findings


def confirm(findings: Sequence[Finding], second: Sequence[Finding]) -> list[Finding]:
    """The findings with what a second look at the same methods said; its runs that failed are added."""
    again = {(f.method, f.value): f.decision for f in second}
    looked = [replace(f, again=again.get((f.method, f.value))) if f.failed else f for f in findings]
    return looked + [f for f in second if f.problem is not None]


def equal_bits(runs: Sequence[CheckedRun], baseline: Baseline) -> tuple[int, int]:
    """How many values but costs equal those of the same seed in the baseline, and of how many that have one."""
    equal = comparable = 0
    for run in runs:
        entry = baseline.methods[run.method]
        if run.seed not in entry.seeds:
            continue
        position = entry.seeds.index(run.seed)
        for name, measured in entry.values.items():
            if name in run.values and not name.startswith("cost/"):
                comparable += 1
                equal += run.values[name][0] == measured.values[position]
    return equal, comparable


def config_changes(runs: Sequence[CheckedRun], baseline: Baseline) -> list[str]:
    """One line a method whose Config is no longer the baseline's: not a failure, but perhaps the cause of one."""
    lines = []
    for run in runs:
        entry = baseline.methods[run.method]
        if run.config is None or run.seed != entry.seeds[0]:
            continue
        names = [name for name in {**entry.config, **run.config} if entry.config.get(name) != run.config.get(name)]
        if names:
            differing = ", ".join(f"{n} {entry.config.get(n)} -> {run.config.get(n)}" for n in names)
            lines.append(f"{run.method}: the Config differs from the baseline's: {differing}")
    return lines


def machine_changes(runs: Sequence[CheckedRun], baseline: Baseline) -> list[str]:
    """What differs between where the baseline was made and here: no failure either, but equal bits are then luck."""
    changes: dict[str, None] = {}
    for run in runs:
        before, now = _machine(baseline.methods[run.method].how), _machine(facts_of(run))
        changes |= {f"{name} {before[name]} -> {now[name]}": None for name in now if before.get(name) != now[name]}
    return [f"The baseline was made elsewhere: {', '.join(changes)}"] if changes else []


def facts_of(run: CheckedRun) -> dict[str, Any]:
    """The part of the record's provenance that an entry of the baseline keeps: libraries and machine."""
    return {name: getattr(run.provenance, name, None) for name in ("python", "packages", "platform", "cpu", "threads")}


def _machine(facts: dict[str, Any]) -> dict[str, Any]:
    named = {"cpu": facts.get("cpu"), "python": facts.get("python"), **(facts.get("packages") or {})}
    return {name: value for name, value in named.items() if value is not None}
