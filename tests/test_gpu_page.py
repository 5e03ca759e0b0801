"""docs/gpu.md says what the records in results/gpu say."""

import json
import re
import runpy
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

import bench
from bench.core.registry import entries

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
ROWS = {
    "untouched sources": "identity",
    "copies of target images": "copies",
    "the true drawings": "truth",
    "CycleGAN": "cyclegan",
    "CUT": "cut",
    "MUNIT": "munit",
    "M&MNets": "mnm",
}
METRICS = ("translated", "truth_retrieved", "lpips_truth_relative")
MODES = ("eager", "compile", "graphs", "graphs-bf16", "any-order", "channels-last", "recompute")


def cells(section: str, row: str) -> list[str]:
    text = PAGE.split(f"## {section}")[1].split("\n## ")[0]
    line = next(line for line in text.splitlines() if line.startswith(f"| {row} |"))
    return [cell.strip() for cell in line.split("|")[2:-1]]


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return bench.load_results(ROOT / "results" / "gpu" / "grid64")


def interval(runs: pd.DataFrame, method: str, metric: str) -> tuple[float, float, float]:
    """What 1000 target images add to 25, over pairs of equal seeds: mean and 95 % t interval."""
    scores = runs[runs.method == method].pivot(index="seed", columns="target_size", values=metric)
    gain = scores[1000] - scores[25]
    assert len(gain) == 3
    return gain.mean(), *stats.t.interval(0.95, len(gain) - 1, gain.mean(), stats.sem(gain))


@pytest.mark.parametrize("row", ROWS)
def test_the_grid_of_64_pixels_is_the_means_of_the_records(runs: pd.DataFrame, row: str) -> None:
    means = runs[runs.method == ROWS[row]].groupby("target_size")[list(METRICS)].mean()
    assert cells("A grid at 64 pixels", row) == [f"{means.loc[size, m]:.2f}" for m in METRICS for size in (25, 1000)]


@pytest.mark.parametrize("row", ["M&MNets", "CUT", "MUNIT", "CycleGAN"])
def test_what_scarcity_costs_is_what_the_records_say(runs: pd.DataFrame, row: str) -> None:
    wanted = []
    for metric in METRICS:
        mean, low, high = interval(runs, ROWS[row], metric)
        said = f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"
        wanted.append(f"**{said}**" if low > 0 or high < 0 else said)
    assert cells("A grid at 64 pixels", f"{row}, 1,000 less 25") == wanted


def rows_of(name: str) -> list[dict]:
    return [json.loads(line) for line in (ROOT / "results" / "gpu" / "h200" / name).read_text("utf-8").splitlines()]


def test_every_method_went_on_bit_for_bit() -> None:
    rows = rows_of("resume.jsonl")
    assert {row["method"] for row in rows} == set(entries("methods"))
    assert all(row["equal"] for row in rows)
    assert f"{len(rows)} of {len(rows)} (`results/gpu/h200/resume.jsonl`)" in " ".join(PAGE.split())


def test_the_errors_against_the_cpu_are_those_that_were_measured() -> None:
    """Of the losses and gradients on the GPU, and of gradients between two ways to convolve on one CPU."""
    gpu = {row["method"]: row for row in rows_of("parity.jsonl") if row["stage"] == "parity"}
    cpu = {row["method"]: row for row in rows_of("rounding.jsonl") if row["stage"] == "rounding"}
    names = dict(zip(ROWS.values(), ROWS)) | {"starganv2": "StarGAN v2", "sdit": "SDIT", "balagan": "BalaGAN"}
    names |= {"jdbw": "JD-BW", "funit": "FUNIT", "deepi2i": "DeepI2I"}
    assert len(gpu) == 9
    for method, row in gpu.items():
        own = f"{cpu[method]['grad_error']:.1g}" if method in cpu else "-"
        assert cells("Against the CPU", names[method]) == [f"{row['loss_error']:.1g}", f"{row['grad_error']:.1g}", own]


@pytest.mark.parametrize("row", ["MUNIT", "M&MNets", "CycleGAN"])
def test_the_times_side_by_side_are_those_that_were_measured(row: str) -> None:
    times = pd.DataFrame(rows_of("side_by_side.jsonl")).groupby(["method", "way", "together"]).ms.mean()[ROWS[row]]
    wanted = [f"{times[key]:.0f}" for key in (("plain", 1), ("plain", 14), ("mps", 14))]
    assert cells("Several runs on one GPU", row) == wanted


def test_the_work_of_fourteen_runs_is_that_of_their_times() -> None:
    """A run that takes twice as long beside others does half the work that it does alone."""
    table = pd.DataFrame(rows_of("side_by_side.jsonl"))
    alone = table[(table.way == "plain") & (table.together == 1)].set_index("method").ms
    ways = table[table.together == 14].groupby("way")
    work = {way: (alone[runs.method].to_numpy() / runs.ms).sum() for way, runs in ways}
    said = re.search(r"do ([\d.]+) times the work of one after the other, without it ([\d.]+) times", PAGE)
    assert said is not None and said.groups() == (f"{work['mps']:.1f}", f"{work['plain']:.1f}")


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
    assert len(methods) == 24


def test_readme_says_what_the_grid_of_64_pixels_measured(runs: pd.DataFrame) -> None:
    said = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for name, method in (("M&MNets", "mnm"), ("CUT", "cut")):
        mean, low, high = interval(runs, method, "translated")
        assert re.search(rf"{name} (?:loses )?{mean:.2f} \((?:95 % interval )?{low:.2f} to {high:.2f}\)", said), name
    for method in ("munit", "cyclegan"):
        _, low, high = interval(runs, method, "translated")
        assert low <= 0 <= high, f"{method} loses too"
    truth = runs[runs.method == "truth"].translated.mean()
    assert f"the true drawings {truth:.2f}" in said


def test_a_budget_fits_beside_the_others_and_alone() -> None:
    budget = runpy.run_path(str(ROOT / "scripts" / "gpu_budget.py"))["budget"]
    idle = {"flop": 1e12, "ms_row": 100.0, "gpu_busy": 0.1}  # 0.1 s a TFLOP alone, 0.01 s of it busy
    busy = {"flop": 2e12, "ms_row": 100.0, "gpu_busy": 1.0}  # 0.05 s a TFLOP, all of it busy
    assert budget([idle], 2, 100.0) == 750  # three quarters of 100 s, at 0.1 s a TFLOP
    assert budget([idle, busy], 2, 100.0) == 625  # two runs each: 2 x (0.01 + 0.05) s a TFLOP of all runs
