"""`--json`: stdout is one JSON value; whatever else a command has to say goes to stderr."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RUN = ("--method", "identity", "--dataset", "digits8", "--target-size", "20", "--metrics", "kd_effnet")


def bench(results: Path, *words: str) -> tuple[Any, str]:
    """The value, and what was said beside it."""
    where = () if words[0] == "list" else ("--results", str(results))
    command = [sys.executable, "-m", "bench", *words, *where, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, bank_cache: Path) -> Path:
    """One finished run of an anchor row, made by `bench run --json`, and another beside it."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_BENCH_CACHE", str(bank_cache))
        value, said = bench(folder, "run", *RUN)
        assert value["record"]["identity"]["method"] == "identity" and "identity" in said
        assert Path(value["folder"]).is_dir()
        bench(folder, "run", *RUN, "--method", "copies")
    return folder


def test_a_dry_run_says_the_run(results: Path) -> None:
    value, _ = bench(results, "run", *RUN, "--method", "real", "--dry-run")
    assert value["spec"]["method"] == "real" and not Path(value["folder"]).exists()


def test_show_is_the_record(results: Path) -> None:
    value, _ = bench(results, "show", "identity")
    assert value["record"] == json.loads((Path(value["folder"]) / "record.json").read_text()) | {
        "folder": value["folder"],
        "added": False,
    }


def test_status_has_a_row_a_run(results: Path) -> None:
    value, _ = bench(results, "status")
    assert [(run["name"].split("/")[2], run["state"]) for run in value["runs"]] == [
        ("copies", "done"), ("identity", "done"),
    ]  # fmt: skip


def test_sweep_says_its_plan_and_what_it_will_take(results: Path) -> None:
    grid = ["--methods", "identity,real", "--datasets", "digits8", "--target-sizes", "20", "--resolution", "8"]
    value, said = bench(results, "sweep", *grid, "--metrics", "kd_effnet")
    assert [(run["spec"]["method"], run["state"], run["chosen"]) for run in value["runs"]] == [
        ("identity", "done", False), ("real", "new", True),
    ]  # fmt: skip
    assert value["sweep"] is None and value["estimate"]["unknown"] == ["real"] and value["estimate"]["runs"] == 1
    assert "runs to submit: 1" in said


def test_compare_has_a_row_a_metric(results: Path) -> None:
    value, _ = bench(results, "compare", "identity", "copies")
    (row,) = [row for row in value if row["metric"] == "kd_effnet"]
    assert row["difference"] == pytest.approx(row["a"] - row["b"])


def test_leaderboard_has_a_row_a_cell(results: Path) -> None:
    value, said = bench(results, "leaderboard")
    means = {cell["row"]: cell["mean"] for cell in value if cell["metric"] == "kd_effnet"}
    assert set(means) == {"identity", "copies"} and "index.html" in said


@pytest.mark.parametrize("what", ["methods", "datasets", "metrics", "presets", "fields cyclegan"])
def test_lists_have_a_row_an_entry(what: str, results: Path) -> None:
    value, _ = bench(results, "list", *what.split())
    assert len(value) > 3 and all(set(row) == set(value[0]) for row in value)
