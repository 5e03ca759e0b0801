"""What a sweep will take, computed by hand from a few records."""

import json
from pathlib import Path

import pytest

from bench.launch.estimate import Estimator
from bench.runs.record import Record, read_record
from bench.runs.spec import RunSpec


def finished(folder: Path, seconds: float, kimg: float = 1.0, device: str = "cpu", **changes: object) -> Record:
    """A record of a training of so many seconds; 10 more went to the other stages."""
    identity = {
        "method": "m", "kind": "method", "dataset": "emoji", "protocol": "default", "target_size": 20, "seed": 0,
        "resolution": 32, "subset_seed": 0, "config_hash": "a", "amp": "off",
    }  # fmt: skip
    whole = {
        "schema": 1, "identity": {**identity, **changes}, "task": {}, "status": "done", "error": None, "metrics": {},
        "config": {"width": 8, "budget_kimg": kimg}, "finished": "",
    }  # fmt: skip
    whole["cost"] = {
        "prepare_seconds": 1.0, "train_seconds": seconds, "translate_seconds": 2.0, "evaluate_seconds": 7.0,
        "images_seen": round(1000 * kimg), "train_flop": 10**12, "prepare_flop": 0,
    }  # fmt: skip
    whole["provenance"] = {"device": device}
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps(whole))
    return read_record(folder / "record.json")


def spec(**changes: object) -> RunSpec:
    values = {"method": "m", "dataset": "emoji", "target_size": 40, "resolution": 32, "seed": 7, **changes}
    config = values.pop("config", {"width": 8, "budget_kimg": 1.0})
    return RunSpec(**values, config=config)  # type: ignore[arg-type]


def test_equal_runs_tell_by_their_median(tmp_path: Path) -> None:
    records = [finished(tmp_path / str(i), seconds) for i, seconds in enumerate((90.0, 110.0, 500.0))]
    found = Estimator(records, gpu=False).of([spec(), spec(seed=8)])
    assert (found.by_records, found.seconds, found.longest, found.unknown) == (2, 240.0, 120.0, [])
    assert found.lines(at_once=2)[0].startswith(
        "time: 4:00 of computing, about 2:00 at 2 at a time, the longest run 2:00"
    )


def test_another_budget_is_scaled_by_images(tmp_path: Path) -> None:
    records = [finished(tmp_path / "a", 100.0)]
    found = Estimator(records, gpu=False).of([spec(config={"width": 8, "budget_kimg": 3.0})])
    assert (found.by_speed, found.seconds) == (1, 310.0)


def test_counted_flop_tell_where_no_such_run_was_on_the_device(tmp_path: Path) -> None:
    """10^12 FLOP, counted on a GPU, at the 10^10 a second that another method had on the CPU."""
    records = [finished(tmp_path / "a", 5.0, device="cuda"), finished(tmp_path / "b", 100.0, method="other")]
    found = Estimator(records, gpu=False).of([spec()])
    assert (found.by_flop, found.seconds) == (1, pytest.approx(100.0))
    budget = Estimator(records, gpu=False).of([spec(budget_tflop=5.0, method="new")])
    assert (budget.by_flop, budget.seconds) == (1, pytest.approx(500.0))


def test_what_no_record_tells_is_named(tmp_path: Path) -> None:
    records = [finished(tmp_path / "a", 100.0, device="cuda")]
    found = Estimator(records, gpu=False).of([spec(), spec(method="new")])
    assert found.unknown == ["m", "new"] and found.seconds == 0
    assert found.lines(1)[0].startswith("time: unknown")
    mixed = Estimator(records, gpu=True).of([spec(), spec(method="new")])
    assert mixed.lines(1)[1] == "  1 more of which no record tells: new"


def test_disk_is_that_of_the_folders_of_like_runs(tmp_path: Path) -> None:
    one = finished(tmp_path / "a", 100.0)
    (tmp_path / "a" / "translated.npy").write_bytes(bytes(2**20))
    found = Estimator([one], gpu=False).of([spec(), spec(seed=3), spec(method="new")])
    assert found.disk_runs == 2 and found.disk == 2 * (2**20 + (tmp_path / "a" / "record.json").stat().st_size)
    assert "disk: 2 MiB for 2 of 3 runs" in found.lines(1)
