"""docs/gpu.md says what the records in results/gpu say."""

import json
import re
import runpy
from pathlib import Path

import pandas as pd
import pytest

import bench

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
ROWS = {
    "untouched sources": "identity",
    "copies of target images": "copies",
    "the true drawings": "truth",
    "CycleGAN": "cyclegan",
    "CUT": "cut",
}
MODES = ("eager", "compile", "graphs", "graphs-bf16", "any-order", "channels-last", "recompute")


def cells(section: str, row: str) -> list[str]:
    text = PAGE.split(f"## {section}")[1].split("\n## ")[0]
    line = next(line for line in text.splitlines() if line.startswith(f"| {row} |"))
    return [cell.strip() for cell in line.split("|")[2:-1]]


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return bench.load_results(ROOT / "results" / "gpu" / "grid64")


@pytest.mark.parametrize("row", ROWS)
def test_the_grid_of_64_pixels_is_the_records(runs: pd.DataFrame, row: str) -> None:
    own = runs[runs.method == ROWS[row]].set_index("target_size")
    metrics = "translated", "truth_retrieved", "lpips_truth_relative"
    assert cells("A grid at 64 pixels", row) == [f"{own.loc[size, m]:.2f}" for m in metrics for size in (25, 1000)]


@pytest.mark.parametrize(
    ("row", "method"),
    [
        ("CycleGAN", "cyclegan"),
        ("CUT", "cut"),
        ("M&MNets", "mnm"),
        ("MUNIT", "munit"),
        ("StarGAN v2", "starganv2"),
        ("SDIT", "sdit"),
    ],
)
def test_the_times_of_the_modes_are_those_that_were_measured(row: str, method: str) -> None:
    lines = (ROOT / "results" / "gpu" / "h200" / "modes.jsonl").read_text(encoding="utf-8").splitlines()
    measured = {r["mode"]: r for r in map(json.loads, lines) if r["method"] == method}
    wanted = []
    for mode in MODES:
        seen = measured.get(mode)
        if seen is None:
            wanted.append("")
        else:
            wanted.append("not ready" if "error" in seen else f"{seen['ms']:.0f} ({seen['peak_GB']:.1f})")
    assert cells("Compiled networks, CUDA graphs and other modes", row) == wanted


def test_the_budget_of_the_grid_is_that_of_its_records(runs: pd.DataFrame) -> None:
    methods = runs[runs.kind == "method"]
    said = re.search(r"([\d,]+) TFLOP a run", PAGE)
    assert said is not None
    assert (methods.budget_tflop == float(said[1])).all()
    assert len(methods) == 4


def test_readme_says_what_the_grid_of_64_pixels_measured(runs: pd.DataFrame) -> None:
    said = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split()).split("How much it costs depends")[1]
    found = runs.pivot(index="method", columns="target_size", values="truth_retrieved")
    numbers = [f"{found.loc[method, size]:.2f}" for method in ("cut", "cyclegan") for size in (25, 1000)]
    assert re.findall(r"0\.\d\d", said)[:5] == [*numbers, f"{found.loc['identity', 1000]:.2f}"]


def test_a_budget_fits_beside_the_others_and_alone() -> None:
    budget = runpy.run_path(str(ROOT / "scripts" / "gpu_budget.py"))["budget"]
    idle = {"flop": 1e12, "ms_row": 100.0, "gpu_busy": 0.1}  # 0.1 s a TFLOP alone, 0.01 s of it busy
    busy = {"flop": 2e12, "ms_row": 100.0, "gpu_busy": 1.0}  # 0.05 s a TFLOP, all of it busy
    assert budget([idle], 2, 100.0) == 750  # three quarters of 100 s, at 0.1 s a TFLOP
    assert budget([idle, busy], 2, 100.0) == 625  # two runs each: 2 x (0.01 + 0.05) s a TFLOP of all runs
