"""What `bench status` makes of run folders, and of a scheduler that does not answer."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bench.core.ownership import Owner
from bench.launch import control, status, sweeps
from bench.launch.scheduler import _elements
from bench.runs.find import find_run


def run(results: Path, name: str, state: dict | None, *files: str) -> Path:
    folder = results / "runs" / name
    folder.mkdir(parents=True)
    if state is not None:
        (folder / "state.json").write_text(json.dumps({"time": 1000.0, **state}))
    for file in files:
        (folder / file).write_text(json.dumps(record((state or {}).get("state", "done"))))
    return folder


def record(status: str) -> dict:
    identity = {
        "method": "m", "kind": "method", "dataset": "e", "protocol": "default", "target_size": 9, "resolution": 32,
        "seed": 0, "subset_seed": 0, "config_hash": "a",
    }  # fmt: skip
    return {
        "schema": 1, "identity": identity, "task": {}, "config": {}, "status": status, "error": None, "metrics": {},
        "cost": {}, "provenance": {}, "finished": "",
    }  # fmt: skip


def owned(folder: Path, **changes: object) -> Path:
    (folder / ".owner-000000").write_text(json.dumps(asdict(replace(Owner.this(), **changes))))  # type: ignore[arg-type]
    return folder


@pytest.fixture
def results(tmp_path: Path) -> Path:
    sweeps.Sweep("local", "local", [], [], command=["sweep", "--methods", "a b", "--yes"]).write(tmp_path)
    return tmp_path


def states(results: Path) -> dict[str, tuple[str, str]]:
    return {row.name: (row.state, row.detail) for row in status.look(results).rows}


def test_every_state_that_a_folder_can_show(results: Path) -> None:
    train = {"stage": "train", "step": 120, "total": 500, "rate": 41.2, "seconds_left": 75.0}
    run(results, "e/9/done/0-a", {"state": "done", "began": 930.0, "starts": 3}, "record.json")
    run(results, "e/9/diverged/0-a", {"state": "diverged", "error": "the loss D is not finite"}, "record.json")
    owned(run(results, "e/9/running/0-a", {"state": "running", **train}))
    run(results, "e/9/failed/0-a", {"state": "failed", "error": "UserError: no data", "sweep": "local"})
    run(results, "e/9/hopeless/0-a", {"state": "timeout", "given_up": True, "error": "no progress"})
    owned(run(results, "e/9/killed/0-a", {"state": "running", "starts": 1, **train}), pid=2**22 + 1)
    run(results, "e/9/cancelled/0-a", {"state": "interrupted"}, "cancelled")
    run(results, "e/9/new/0-a", None)
    (results / "runs/e/9/old/0-a").mkdir(parents=True)
    (results / "runs/e/9/old/0-a/record.json").write_text(json.dumps(record("diverged")))
    (results / "runs/e/9/torn/0-a").mkdir(parents=True)
    (results / "runs/e/9/torn/0-a/record.json").write_text(json.dumps(record("diverged"))[:-9])
    found = states(results)
    state, why = found.pop("e/9/torn/0-a")
    assert state == "damaged" and "record.json is damaged: it is not JSON" in why
    assert found == {
        "e/9/done/0-a": ("done", "in 1:10, the last of 3 starts"),
        "e/9/diverged/0-a": ("diverged", "the loss D is not finite"),
        "e/9/running/0-a": ("running", "train 120/500  41.2 images/s  ETA 1:15"),
        "e/9/failed/0-a": ("failed", "UserError: no data"),
        "e/9/hopeless/0-a": ("timed out", "no progress"),
        "e/9/killed/0-a": ("interrupted", ""),
        "e/9/cancelled/0-a": ("cancelled", ""),
        "e/9/new/0-a": ("new", ""),
        "e/9/old/0-a": ("diverged", ""),
    }


def test_runs_of_a_local_sweep_wait_as_long_as_it_lives(results: Path) -> None:
    run(results, "e/9/m/0-a", {"state": "pending", "sweep": "local"})
    run(results, "e/9/m/1-a", {"state": "interrupted", "starts": 1, "sweep": "local"})
    assert [row.state for row in status.look(results).rows] == ["new", "interrupted"]
    owned(sweeps.folder(results, "local"))
    assert [(row.state, row.under_way) for row in status.look(results).rows] == [("pending", True)] * 2


def test_the_command_that_mends_is_the_one_that_was_typed(results: Path) -> None:
    run(results, "e/9/m/0-a", {"state": "failed", "sweep": "local"})
    run(results, "e/9/m/1-a", {"state": "interrupted", "starts": 1, "sweep": "local"})
    found = status.mends(results, status.look(results).rows)
    assert {command: [row.name for row in rows] for command, rows in found.items()} == {
        "python -m bench sweep --methods 'a b' --retry failed --yes": ["e/9/m/0-a"],
        "python -m bench sweep --methods 'a b' --yes": ["e/9/m/1-a"],
    }
    assert status.again(["check", "--seeds", "2"], "failed") == "python -m bench check --seeds 2"
    assert status.again(["sweep", "--retry", "failed", "g.toml", "--yes"], "timeout") == (
        "python -m bench sweep g.toml --retry timeout --yes"
    )


# squeue's and sacct's ways to write elements of an array (man sbatch, man squeue)
def test_elements_of_arrays() -> None:
    assert _elements("12") == ["12"]
    assert _elements("12_3") == ["12_3"]
    assert _elements("12_[3-5,9%2]") == ["12_3", "12_4", "12_5", "12_9"]


def broken_scheduler(folder: Path, script: str) -> Path:
    folder.mkdir()
    for name in ("squeue", "sacct"):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("script", "note"), [("exec sleep 60", "gave no answer within"), ("echo down >&2; exit 1", "squeue: down")]
)
def test_a_scheduler_that_does_not_answer_is_named_and_not_waited_for(
    script: str, note: str, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{broken_scheduler(results / 'bin', script)}{os.pathsep}{os.environ['PATH']}")
    run(results, "e/9/m/0-a", {"state": "pending", "sweep": "far"})
    run(results, "e/9/m/1-a", {"state": "done"}, "record.json")
    sweeps.Sweep("far", "slurm", ["runs/e/9/m/0-a"], [], jobs={"7_0": ["runs/e/9/m/0-a"]}).write(results)
    began = time.monotonic()
    view = status.look(results)
    assert time.monotonic() - began < 30  # a hang would be 60; how fast it is, tests/benchmarks measures
    assert [(row.state, row.under_way) for row in view.rows] == [("pending", True), ("done", False)]
    assert note in (view.note or "")


def test_text_of_an_error_cannot_steer_the_terminal(results: Path) -> None:
    run(results, "e/9/m/0-a", {"state": "failed", "error": "bad \x1b[2J\x07 name"})
    words = [sys.executable, "-m", "bench", "status", "--results", str(results)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout


def test_a_filter_is_a_part_of_a_name_or_a_state(results: Path) -> None:
    run(results, "emoji/9/m/0-a", {"state": "failed"})
    run(results, "afhq/9/m/0-a", {"state": "done"}, "record.json")
    for word, expected, state in (("emoji", "emoji/9/m/0-a", "failed"), ("done", "afhq/9/m/0-a", "done")):
        words = [sys.executable, "-m", "bench", "status", word, "--results", str(results)]
        first, second, *_ = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
        assert first.startswith(expected)
        assert second == f"total 1: 1 {state}"


def test_a_run_is_found_by_a_part_of_its_name_that_no_other_has(results: Path) -> None:
    first = run(results, "e/9/m/0-a", {"state": "done"})
    run(results, "e/9/m/1-b", {"state": "done"})
    assert find_run(results, "0-a") == first
    assert find_run(results, str(first)) == first
    with pytest.raises(Exception, match=r"2 runs in .* have 'e/9'"):
        find_run(results, "e/9")
    with pytest.raises(Exception, match="no run called"):
        find_run(results, "nothing")


def test_cancelling_marks_what_has_not_ended(results: Path) -> None:
    done = run(results, "e/9/m/0-a", {"state": "done"}, "record.json")
    waits = run(results, "e/9/m/1-a", {"state": "pending", "sweep": "local"})
    names, notes = control.cancel(results, [done, waits])
    assert (names, notes) == (["e/9/m/1-a"], [])
    assert Counter(row.state for row in status.look(results).rows) == {"done": 1, "cancelled": 1}
    shutil.rmtree(waits)
