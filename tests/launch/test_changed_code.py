"""Runs that other code has done: a sweep counts them, and `bench run --force` does one anew without losing a number."""

import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench.launch.grid import Grid, cells
from bench.launch.plan import Feasibility, plan
from bench.runs import frozen
from bench.runs.record import read_record

WORDS = ("--method", "identity", "--dataset", "emoji", "--target-size", "20", "--resolution", "32", "--metrics", "none")


def done(results: Path) -> Path:
    made = bench.run(
        method="identity", dataset="emoji", target_size=20, resolution=32, metrics=[], results=results, quiet=True
    )
    return made.folder


def summary(results: Path) -> str:
    grid = Grid(methods=("identity",), datasets=("emoji",), target_sizes=(20,), resolution=32)
    return "\n".join(plan(cells([grid]), results, False, (), Feasibility(), print).summary())


def test_a_sweep_counts_runs_of_other_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done(tmp_path)
    assert "other code" not in summary(tmp_path)
    monkeypatch.setattr(frozen, "source_sha256", lambda method, dataset: "another")
    assert "1 done by other code than there is now; bench run ... --force" in summary(tmp_path)


def test_force_on_the_command_line_keeps_the_earlier_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(frozen, "source_sha256", lambda method, dataset: "another")
        folder = done(tmp_path)
    before = (folder / "record.json").read_bytes()
    words = [sys.executable, "-m", "bench", "run", *WORDS, "--results", str(tmp_path)]
    again = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0 and "the code has changed since (source another" in again.stdout, again.stderr
    assert (folder / "record.json").read_bytes() == before
    anew = subprocess.run([*words, "--force"], capture_output=True, text=True, timeout=120)
    assert anew.returncode == 0, anew.stderr
    assert (folder / "earlier" / "1" / "record.json").read_bytes() == before
    assert read_record(folder / "record.json").provenance.source_sha256 not in ("another", None)
