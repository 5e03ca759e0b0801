"""The whole command `bench leaderboard` on 1,000 records: the bar is 2 seconds."""

import subprocess
import sys
from pathlib import Path

import pytest
from as_record import as_record

from bench.runs.record import write_record
from bench.runs.spec import RunSpec


@pytest.fixture
def thousand(tmp_path: Path) -> Path:
    value = {"value": 1.0, "low": 0.9, "high": 1.1, "n_gen": 5, "n_ref": 5, "version": 1, "reason": None}
    names = [f"metric_{i}" for i in range(15)] + ["kd_effnet", "fd_effnet", "target_share"]
    base = {
        "task": {}, "config": {f"field_{i}": i for i in range(30)}, "status": "done", "error": None,
        "metrics": dict.fromkeys(names, value), "cost": {"train_seconds": 1.0}, "provenance": {},
        "finished": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    for number in range(1000):
        size, method, seed = (125, 250, 500, 1000)[number % 4], f"method{number // 4 % 10}", number // 40
        spec = RunSpec(method, "emoji", size, 32, seed=seed)
        identity = {**vars(spec), "config_hash": spec.config_hash, "protocol": "default"}
        folder = spec.folder(tmp_path)
        folder.mkdir(parents=True)
        write_record(folder, as_record({**base, "identity": identity}))
    return tmp_path


def test_a_thousand_records(benchmark, thousand: Path) -> None:
    words = [sys.executable, "-m", "bench", "leaderboard", "--results", str(thousand)]
    benchmark.pedantic(lambda: subprocess.run(words, check=True, capture_output=True), rounds=3)
    if benchmark.enabled:
        assert benchmark.stats.stats.min < 2.0
