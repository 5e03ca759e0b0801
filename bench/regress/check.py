"""`bench check` and `bench check --update`."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench.core.errors import UserError, unknown
from bench.core.files import writable_folder, write_json, write_text
from bench.core.progress import clock
from bench.core.provenance import commit
from bench.core.terminal import print_table
from bench.core.text import names_in, numbers_in
from bench.regress import baseline as baselines
from bench.regress import history
from bench.regress.baseline import Baseline, CheckGrid
from bench.regress.compare import compare, config_changes, confirm, equal_bits, machine_changes
from bench.regress.decide import Rule
from bench.regress.report import HEADINGS, Finding, markdown, short, table
from bench.regress.runs import CheckedRun, run_grid
from bench.regress.state import state_of
from bench.regress.update import changes, entry_of

FINE, REGRESSION = 0, 1


@dataclass(frozen=True)
class CheckRequest:
    """What was typed; methods and seeds separated by commas, None for those of the baseline file."""

    baseline: Path
    methods: str | None
    seeds: str | None
    workers: int
    results: Path


def check(request: CheckRequest) -> int:
    """Runs the grid, says what moved, and returns the exit code: 0, or 1 where something failed.

    Writes results/check.md and check.json, and a line of results/history.jsonl.
    """
    baseline, grid, methods = _read(request)
    missing = [name for name in methods if name not in baseline.methods]
    if len(missing) == len(methods):
        raise UserError(
            f"{request.baseline} has no figures of {', '.join(methods)} yet; python -m bench check --update makes them"
        )
    began, at = time.monotonic(), commit()
    judged = [name for name in methods if name in baseline.methods]
    past = history.read(request.results / "history.jsonl")
    runs, findings = _look(baseline, judged, _seeds(request) or grid.seeds, request, past)
    doubtful = sorted({finding.method for finding in findings if finding.decision and finding.failed})
    if doubtful:
        findings = confirm(findings, _look(baseline, doubtful, grid.confirm_seeds, request, past)[1])
    _remember(request, baseline, judged, findings, at)
    lines = _conclusion(findings, runs, baseline, time.monotonic() - began)
    lines += [f"{name} is not in the baseline: python -m bench check --update --methods {name}" for name in missing]
    lines += config_changes(runs, baseline) + machine_changes(runs, baseline)
    failed = [finding for finding in findings if finding.failed]
    if failed:
        lines += _advice(failed, request)
    _report(request, findings, lines, at)
    return REGRESSION if failed else FINE


def update(request: CheckRequest) -> int:
    """Runs the grid with the baseline's seeds and rewrites the file; 1, and the file as it was, where a run failed.

    Where there is no file and methods are named, it begins one (bench.regress.baseline.fresh).
    """
    if request.seeds is not None:
        raise UserError("--seeds goes with a check; those of the baseline are baseline_seeds in its file")
    baseline, grid, methods = _read(request, begin=True)
    at = commit()
    runs = _run(grid, methods, grid.baseline_seeds, request)
    failures = [f"{run.method} seed {run.seed}: {run.problem}" for run in runs if run.problem]
    if failures:
        print("\n".join([*failures, f"runs that failed: {len(failures)}; {request.baseline} is left as it was"]))
        return REGRESSION
    how = {"command": f"python -m bench check --update --workers {request.workers}", "commit": at, "finished": _now()}
    new = {name: entry_of(_of(runs, name), grid.baseline_seeds, how) for name in methods}
    rows = [row for name in methods for row in changes(name, baseline.methods.get(name), new[name], baseline, grid)]
    print_table(f"{request.baseline}: what changed", ("method", "value", "before", "now", "moved by", ""), rows)
    whole = Baseline(grid, {name: e for name, e in (baseline.methods | new).items() if name in grid.methods})
    baselines.write(request.baseline, whole)
    print("Values that are not listed moved by no more than a check allows.")
    if at and "+" in at:
        print("the tree has changes that are not committed: the baseline names no commit that can be checked out")
    print(f"written: {request.baseline}; commit it with the change that it belongs to")
    return FINE


def _read(request: CheckRequest, begin: bool = False) -> tuple[Baseline, CheckGrid, list[str]]:
    if request.workers < 1:
        raise UserError(f"--workers {request.workers}: at least 1")
    named = names_in(request.methods or "") or ()
    begins = begin and named and not request.baseline.exists()
    baseline = baselines.fresh(named) if begins else baselines.read(request.baseline)
    methods = tuple(baseline.grid.methods) if begins else named or tuple(baseline.grid.methods)
    for name in methods:
        if name not in baseline.grid.methods:
            raise unknown("method", name, baseline.grid.methods, mend=f"(of {request.baseline})")
    return baseline, baseline.grid, list(methods)


def _seeds(request: CheckRequest) -> tuple[int, ...] | None:
    if request.seeds is None:
        return None
    seeds = numbers_in(request.seeds, "--seeds")
    if len(set(seeds)) < len(seeds) or min(seeds, default=-1) < 0:
        raise UserError(f"--seeds {request.seeds!r}: at least one, each once, none below 0")
    return seeds


def _look(
    baseline: Baseline,
    methods: Sequence[str],
    seeds: Sequence[int],
    request: CheckRequest,
    past: Sequence[history.Line],
) -> tuple[list[CheckedRun], list[Finding]]:
    runs = _run(baseline.grid, methods, seeds, request)
    rule = Rule(baseline.grid.family_error, baseline.comparisons, baseline.grid.tolerance)
    return runs, [finding for name in methods for finding in compare(name, baseline, _of(runs, name), rule, past)]


def _run(grid: CheckGrid, methods: Sequence[str], seeds: Sequence[int], request: CheckRequest) -> list[CheckedRun]:
    folder = writable_folder(request.results, "results folder") / state_of(grid)
    print(f"[check] methods: {len(methods)}, seeds: {', '.join(map(str, seeds))}, workers: {request.workers}, {folder}")
    return run_grid(grid, methods, seeds, folder, request.workers)


def _of(runs: Sequence[CheckedRun], method: str) -> list[CheckedRun]:
    return [run for run in runs if run.method == method]


def _conclusion(
    findings: Sequence[Finding], runs: Sequence[CheckedRun], baseline: Baseline, seconds: float
) -> list[str]:
    failed = sum(finding.failed for finding in findings)
    better = sum(finding.decision is not None and finding.decision.verdict == "better" for finding in findings)
    equal, comparable = equal_bits(runs, baseline)
    lines = [
        f"Values compared: {len(findings)} ({failed} failed, {better} better), in {clock(seconds)}. "
        f"Unchanged code fails {100 * baseline.grid.family_error:g} % of such checks at most."
    ]
    if comparable:
        lines.append(f"{equal} of {comparable} values of the baseline's seeds are equal to the bit.")
    return lines


def _advice(failed: Sequence[Finding], request: CheckRequest) -> list[str]:
    methods = ",".join(sorted({finding.method for finding in failed}))
    again = f"python -m bench check --methods {methods}"
    known = {finding.last_fine for finding in failed if finding.last_fine and "+" not in finding.last_fine}
    lines = [f"With other seeds: {again} --seeds 200,201,202,203"]
    if len(known) == 1:
        lines.append(f"Which commit: git bisect start HEAD {short(known.pop())} && git bisect run {again}")
    return [*lines, f"On purpose: python -m bench check --update --methods {methods}, and commit {request.baseline}"]


def _report(request: CheckRequest, findings: Sequence[Finding], lines: Sequence[str], at: str | None) -> None:
    rows = table(findings)
    if rows:
        print_table(f"Moved at {short(at)} against {request.baseline}", HEADINGS, rows)
    print("\n".join(lines))
    write_text(request.results / "check.md", markdown(HEADINGS, rows, lines))
    write_json(request.results / "check.json", {"commit": at, "findings": [_json(f) for f in findings]})


def _json(finding: Finding) -> dict[str, Any]:
    return {**asdict(finding), "failed": finding.failed}


def _remember(
    request: CheckRequest, baseline: Baseline, methods: Sequence[str], findings: Sequence[Finding], at: str | None
) -> None:
    names = {failed: [f"{f.method} {f.value}" for f in findings if f.failed == failed] for failed in (False, True)}
    marks = {name: history.digest_of(baseline.methods[name]) for name in methods}
    line = history.Line(at, _now(), marks, tuple(names[False]), tuple(names[True]))
    history.append(request.results / "history.jsonl", line)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
