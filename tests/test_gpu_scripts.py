"""The scripts that are run on a GPU, tried on the CPU with the smallest networks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(script: str, *words: str) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "scripts" / script), "--device", "cpu", "--tiny", *words]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("method", ["cyclegan", "pix2pix", "minegan"])
def test_the_check_sees_that_a_method_goes_on_bit_for_bit(tmp_path: Path, method: str) -> None:
    """One that is unpaired, one that learns from pairs, and one with a stage before its training."""
    run("gpu_check.py", "--out", str(tmp_path), "--methods", method, "--stages", "resume")
    (row,) = rows(tmp_path / "results.jsonl")
    assert row["equal"] is True, row


def test_the_check_compares_an_iteration_with_that_of_the_cpu(tmp_path: Path) -> None:
    """On a CPU it is the same iteration twice; without oneDNN it is another order of sums."""
    run("gpu_check.py", "--out", str(tmp_path), "--methods", "cyclegan", "--stages", "parity,rounding")
    parity, rounding = rows(tmp_path / "results.jsonl")
    assert parity["grad_error"] == 0
    assert 0 <= rounding["grad_error"] < 1e-3


def test_runs_side_by_side_are_counted_alone_and_together(tmp_path: Path) -> None:
    run("gpu_side_by_side.py", "--out", str(tmp_path), "--mix", "cyclegan=2", "--seconds", "3")
    alone, *together = rows(tmp_path / "side_by_side.jsonl")
    assert (alone["together"], [row["together"] for row in together]) == (1, [2, 2])
    assert all(row["iterations"] > 0 and row["ms"] > 0 for row in (alone, *together))
