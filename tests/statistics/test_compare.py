"""Paired differences and slopes: what is paired, what the intervals are, what is said where nothing can be said."""

import csv
import io
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import records as handmade
from as_record import as_record
from records import boards, long
from scipy import stats

from bench.core.errors import UserError
from bench.leaderboard.cells import column, degradation
from bench.runs.record import write_record
from bench.runs.spec import RunSpec
from bench.statistics.compare import compare
from bench.statistics.slopes import Slope, line

METRIC = "kd_effnet"


def run(
    method: str,
    value: float | None,
    seed: int = 0,
    subset: int = 0,
    size: int = 5,
    config: dict | None = None,
    metric: str = METRIC,
    data: str = "d0",
    **measured: object,
) -> dict:
    """A record of one run with one metric; `measured` replaces fields of its value."""
    made = handmade.run(method, value, seed, size, metric, data=data, config=config or {})
    made["identity"]["subset_seed"] = subset
    made["metrics"][metric] |= {
        "n_gen": 9,
        "n_ref": 9,
        "reason": None if value is not None else "no labels",
        **measured,
    }
    made["folder"] = str(RunSpec(method, "d", size, 32, seed, subset, config=config).folder(Path("results")))
    return made


def several(method: str, values: list[float], **same) -> list[dict]:
    return [run(method, value, seed, **same) for seed, value in enumerate(values)]


def only(records: list[dict], a: str = "a", b: str = "b") -> dict:
    (row,) = compare(long(records), a, b).to_dict("records")
    return row


def test_the_interval_is_that_of_a_paired_t_test() -> None:
    a, b = [1.0, 2.5, 3.1, 4.0], [2.0, 2.9, 4.6, 4.8]
    row = only(several("a", a) + several("b", b))
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert row["difference"] == pytest.approx(np.mean(a) - np.mean(b))
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
    assert (row["cells"], row["draws"], row["verdict"]) == (4, 4, "a is better")


def test_seeds_are_paired_and_not_merely_averaged() -> None:
    """The spread between seeds is large, the difference in each seed is 1 +- 0.01: only pairing shows it."""
    noise = [0.0, 40.0, -30.0, 7.0]
    a = several("a", [x + 1 + d for x, d in zip(noise, (0.01, -0.01, 0.0, 0.01))])
    assert only(a + several("b", noise))["verdict"] == "b is better"
    assert only(a + several("b", noise[::-1]))["verdict"] == "no difference shown"


def test_higher_is_better_and_neither_is() -> None:
    values = several("a", [3.0, 3.1, 3.2], metric="recall_effnet") + several(
        "b", [1.0, 1.1, 1.3], metric="recall_effnet"
    )
    assert only(values)["verdict"] == "a is better"
    values = several("a", [3.0, 3.1, 3.2], metric="nn_ratio") + several("b", [1.0, 1.1, 1.3], metric="nn_ratio")
    assert only(values)["verdict"] == "differs"


def test_one_cell_has_no_interval_and_no_verdict() -> None:
    row = only([run("a", 1.0), run("b", 2.0), run("b", 2.0, seed=1)])
    assert (row["cells"], row["verdict"]) == (1, "")
    assert math.isnan(row["low"])
    assert "one cell: no interval" in row["note"]


@pytest.mark.parametrize(
    ("other", "note"),
    [
        ({"n_gen": 8}, "3 left out: unequal numbers of translations (9 against 8)"),
        ({"n_ref": 8}, "3 left out: unequal numbers of reference images (9 against 8)"),
        ({"version": 2}, "3 left out: unequal metric versions (1 against 2)"),
        ({"data": "d1"}, "no cell in common"),
        ({"subset": 1}, "no cell in common"),
    ],
)
def test_what_was_not_measured_alike_is_never_compared(other: dict, note: str) -> None:
    row = only(several("a", [1.0, 2.0, 3.0]) + several("b", [7.0, 8.0, 9.5], **other))
    assert (row["cells"], row["verdict"]) == (0, "")
    assert math.isnan(row["a"]) and math.isnan(row["difference"])
    assert note in row["note"]


def test_a_missing_value_and_a_diverged_run_are_named() -> None:
    lost = run("b", 0.0, seed=2)
    lost.update(status="diverged", metrics={})
    records = [*several("a", [1.0, 2.0, 3.0, 4.0]), run("b", 7.0), run("b", 8.1, 1), lost, run("b", None, 3)]
    row = only(records)
    assert row["cells"] == 2
    assert "b: 1 of 4 runs diverged, left out" in row["note"]
    assert "1 left out: b has no value (no labels)" in row["note"]


def test_target_sizes_stand_apart() -> None:
    records = several("a", [1.0, 1.1]) + several("b", [2.0, 2.2]) + several("a", [5.0, 5.1], size=10)
    records += several("b", [5.0, 5.2], size=10)
    found = compare(long(records), "a", "b")
    assert list(found["target_size"]) == [5, 10]
    assert found["difference"].to_list() == pytest.approx([-1.05, -0.05])


def test_training_seeds_of_one_subset_are_no_further_draws() -> None:
    """Three subsets with differences 1, 2, 3, each with two training seeds: t(2) = 4.3027, not t(5) = 2.5706."""
    records = []
    for subset in range(3):
        for seed in range(2):
            records += [run("a", subset + 1.0 + (0.5 - seed), seed, subset), run("b", 0.0, seed, subset)]
    row = only(records)
    assert (row["cells"], row["draws"]) == (6, 3)
    assert row["high"] - row["difference"] == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)


def test_an_anchor_is_paired_with_every_training_seed() -> None:
    row = only([*several("a", [3.0, 4.0, 5.0]), run("identity", 9.0)], "a", "identity")
    assert (row["cells"], row["difference"], row["verdict"]) == (3, -5.0, "a is better")
    row = only([*several("a", [3.0, 4.0, 5.0]), run("identity", 9.0)], "identity", "a")
    assert (row["cells"], row["difference"], row["verdict"]) == (3, 5.0, "b is better")


def test_variants_and_presets_by_name() -> None:
    wide = several("a", [5.0, 5.1], config={"width": 9})
    records = several("a", [1.0, 1.2]) + wide
    for made in wide:
        made["identity"]["preset"] = "paper"
    with pytest.raises(
        UserError, match=r"several variants; name one of a:\w{6} \(preset cpu\), a:\w{6} \(preset paper\)"
    ):
        only(records, "a", "a:paper")
    assert only(records, "a:cpu", "a:paper")["difference"] == pytest.approx(-3.95)
    variant = long(wide)["variant"].iloc[0]
    assert only(records, "a:cpu", f"a:{variant}")["difference"] == pytest.approx(-3.95)
    with pytest.raises(UserError, match="same runs"):
        only(records, "a:paper", f"a:{variant}")
    with pytest.raises(UserError, match="no variant or preset 'cpv'"):
        only(records, "a:cpv", "a:paper")
    with pytest.raises(UserError, match="unknown method 'zzz'"):
        only(records, "zzz", "a:paper")


def test_nothing_in_common() -> None:
    with pytest.raises(UserError, match="no data set, target size and metric in common"):
        only([run("a", 1.0), run("b", 1.0, size=10)])


def slopes(records: list[dict], metric: str = METRIC) -> list[Slope]:
    """The slope of each row of the one table that these records make."""
    (board,) = boards(records)
    columns = [column(board, metric, size) for size in board.sizes]
    return [degradation(columns, row) for row in board.rows]


def test_a_slope_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(3)
    sizes = np.repeat([125, 250, 500, 1000], 3)
    values = 9 - 0.7 * np.log2(sizes) + rng.normal(0, 0.3, 12)
    records = [run("a", float(v), seed=i, size=int(s)) for i, (s, v) in enumerate(zip(sizes, values))]
    (row,) = slopes(records)
    expected = stats.linregress(np.log2(sizes), values)
    half = stats.t.ppf(0.975, 10) * expected.stderr
    assert row.estimate and row.estimate.mean == pytest.approx(expected.slope)
    assert (row.estimate.low, row.estimate.high) == pytest.approx((expected.slope - half, expected.slope + half))
    assert (row.estimate.draws, row.sizes, row.reason) == (12, (125, 250, 500, 1000), "")


def test_training_seeds_of_one_subset_are_averaged_before_the_line() -> None:
    records = [
        run("a", size / 10 + subset + seed, seed, subset, size)
        for size in (2, 4, 8)
        for subset in (0, 1)
        for seed in (0, 1)
    ]
    (row,) = slopes(records)
    assert row.estimate and (row.estimate.draws, row.estimate.runs) == (6, 12)


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (several("a", [1.0, 2.0]), "one target size; a slope needs two"),
        ([run("a", 1.0), run("a", 2.0, size=10, data="d1")], "measured on data that changed"),
        ([run("a", 1.0), run("a", 2.0, size=10, n_gen=3)], "measured on unequal numbers of images"),
        ([run("a", 1.0), run("a", 2.0, size=10, version=2)], "measured by several versions of the metric"),
    ],
)
def test_why_there_is_no_slope(records: list[dict], reason: str) -> None:
    (row,) = slopes(records)
    assert row.estimate is None and row.reason == reason


def test_two_draws_have_a_slope_without_an_interval() -> None:
    """n_ref may differ between sizes: where a classifier is trained it counts the target subset."""
    (row,) = slopes([run("a", 1.0), run("a", 2.0, size=10, n_ref=3)])
    assert row.estimate and row.estimate.mean == pytest.approx(1.0) and math.isnan(row.estimate.low)
    assert row.reason == "three draws or more are needed for an interval"


def test_an_older_version_of_the_metric_in_one_row_takes_no_slope_from_it() -> None:
    """The leaderboard's column and `bench slopes` are one calculation: the row that is only old keeps its own line."""
    old = [run("a", value, size=size) for size, value in ((5, 3.0), (10, 2.0), (20, 1.0))]
    new = [run("b", value, size=size, version=2) for size, value in ((5, 6.0), (10, 4.0), (20, 2.0))]
    a, b = slopes([*old, *new])
    assert a.estimate and b.estimate and (a.estimate.mean, b.estimate.mean) == pytest.approx((-1.0, -2.0))


def test_the_slopes_interval_covers_the_truth() -> None:
    """400 draws from a line with normal noise: 95 % +- 2.2 % (two standard errors of a share of 400)."""
    rng = np.random.default_rng(0)
    x = np.repeat(np.log2([125, 250, 500, 1000]), 3)
    inside = 0
    for _ in range(400):
        _, low, high = line(x, 3 - 0.5 * x + rng.normal(0, 1, 12))
        inside += low <= -0.5 <= high
    assert 0.928 <= inside / 400 <= 0.972


@pytest.fixture
def results(tmp_path: Path) -> Path:
    records = []
    for size in (5, 10, 20):
        records += several("a", [0.001, 0.0012, 0.0011], size=size) + several(
            "b | <i>", [0.002, 0.0023, 0.0021], size=size
        )
    return kept(tmp_path, records)


def kept(results: Path, records: list[dict]) -> Path:
    """The results folder with these records."""
    for made in records:
        identity = made["identity"]
        folder = RunSpec(identity["method"], "d", identity["target_size"], 32, identity["seed"]).folder(results)
        folder.mkdir(parents=True)
        write_record(folder, as_record(made))
    return results


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    script = (
        "import sys; sys.argv = ['bench', *sys.argv[1:]]\n"
        "from bench.cli.app import main\n"
        "try:\n    main()\nfinally:\n    assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    return subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=60)


def test_the_commands(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    where = ("--results", str(results))
    done = bench("compare", "a", "b | <i>", *where)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("a is better") == 3
    assert "Intervals: 3, each at 95 %" in done.stdout
    assert "kd_effnet ↓ x1000 │ 1.1 │ 2.13" in done.stdout
    done = bench("compare", "a", "b | <i>", "--markdown", "--metrics", "kd_effnet", *where)
    assert "b \\| &lt;i>" in done.stdout.replace("&gt;", ">")
    assert "| kd\\_effnet ↓ x1000 | 1.1 | 2.13 | -1.03 |" in done.stdout
    done = bench("compare", "a", "b | <i>", "--csv", *where)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == 3 and float(rows[0]["a"]) == pytest.approx(0.0011)
    done = bench("slopes", *where)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("5, 10, 20") == 2
    done = bench("slopes", "--csv", *where)
    assert len(pd.read_csv(io.StringIO(done.stdout))) == 2
    assert bench("leaderboard", *where).stdout.count("per doubling") >= 1


def test_without_an_interval_it_says_what_gives_one(tmp_path: Path) -> None:
    done = bench("compare", "a", "b", "--results", str(kept(tmp_path, [run("a", 0.1), run("b", 0.2)])))
    assert "need runs of both with two or more seeds" in done.stdout and "Intervals: 0" not in done.stdout


def test_bad_names_are_one_line_and_exit_code_2(results: Path) -> None:
    for words in (("compare", "a", "c"), ("slopes", "--metrics", "fid")):
        done = bench(*words, "--results", str(results))
        assert done.returncode == 2, done.stdout + done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert words[0] == "slopes" or "what was added from elsewhere is not compared" in done.stderr
