"""A thousand runs: how long `bench status` and the submission of a sweep take.

What is asserted is processor time, since the wall clock of a machine that also runs other tests says little.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.launch import status, sweeps

GRID = {
    "--methods": "cyclegan,munit,funit,balagan,sdit",
    "--datasets": "emoji",
    "--target-sizes": ",".join(map(str, range(50, 150, 10))),
    "--seeds": ",".join(map(str, range(20))),
    "--preset": "cpu",
    "--resolution": "32",
}


RECORD = next(iter(sorted(Path(__file__).parents[2].glob("results/reference/runs/*/*/*/*/record.json"))))


def thousand(results: Path) -> None:
    """A quarter each done, failed, running without a living process, and pending in a job."""
    values = [
        {"state": "done", "began": 900.0, "starts": 1},
        {"state": "failed", "error": "UserError: no data", "sweep": "far"},
        {"state": "running", "stage": "train", "step": 3, "total": 9, "rate": 20.0, "sweep": "far"},
        {"state": "pending", "sweep": "far"},
    ]
    names = []
    for i in range(1000):
        folder = results / "runs" / f"d{i % 5}" / str(125 * (i % 8)) / f"m{i % 9}" / f"{i}-0123456789"
        folder.mkdir(parents=True)
        (folder / "state.json").write_text(json.dumps({"time": 1000.0, **values[i % 4]}))
        if i % 4 == 0:
            shutil.copy(RECORD, folder)
        names.append(str(folder.relative_to(results)))
    jobs = {f"7_{i}": [name] for i, name in enumerate(names)}
    sweeps.Sweep("far", "slurm", names, [], jobs=jobs).write(results)


def bench(*words: str) -> tuple[str, float]:
    """What the command said, and the processor seconds of it and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-m", "bench", *words], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands of SLURM that answer at once, so that only our own time is measured; sbatch counts its calls."""
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {
        "sbatch": f"echo call >>{tmp_path}/calls; echo Submitted batch job 77",
        "srun": "exit 1",
        "squeue": 'i=3; while [ $i -lt 1000 ]; do echo "7_$i|PENDING"; i=$((i + 4)); done',
        "sacct": "exit 0",
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_status_of_a_thousand_runs(benchmark, commands: Path) -> None:
    results = commands / "results"
    thousand(results)
    said, seconds = benchmark.pedantic(bench, args=("status", "--results", str(results)), rounds=3, iterations=1)
    assert "total 1000: 250 done, 250 failed, 250 interrupted, 250 pending" in said
    if benchmark.enabled:
        assert seconds < 2.0


def test_watching_a_thousand_runs_costs_little(benchmark, commands: Path) -> None:
    """CPU seconds of one look in twenty seconds, those of squeue and sacct not counted."""
    results = commands / "results"
    thousand(results)

    def look() -> float:
        before = time.process_time()
        status.look(results)
        return time.process_time() - before

    seconds = benchmark.pedantic(look, rounds=3, iterations=1, warmup_rounds=1)
    if benchmark.enabled:
        assert seconds / 20 < 0.01


def test_submitting_a_thousand_runs(benchmark, commands: Path) -> None:
    results = commands / "results"
    words = [word for option in GRID.items() for word in option]
    more = ["--launcher", "slurm", "--results", str(results), "--yes"]
    said, seconds = benchmark.pedantic(bench, args=("sweep", *words, *more), rounds=1, iterations=1)
    assert "runs submitted: 1000" in said
    calls = len((commands / "calls").read_text().split())
    assert calls == (3 if "stages that they share" in said else 1)  # an array each: stages, runs with, without
    if benchmark.enabled:
        assert seconds < 10.0
