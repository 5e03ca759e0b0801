"""docs/results.md and README say what the records in results/reference say."""

import re
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

import bench

ROOT = Path(__file__).resolve().parent.parent
TASKS = ["fashion", "ink", "styles"]
NAMES = {"CUT": "cut", "CycleGAN": "cyclegan", "JD-BW": "jdbw", "MUNIT": "munit"}


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return bench.load_results(ROOT / "results" / "reference")


def text(page: str) -> str:
    return " ".join((ROOT / page).read_text(encoding="utf-8").split())


def interval(values: pd.Series) -> tuple[float, float, float]:
    """Mean and 95 % t interval."""
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    return values.mean(), low, high


def gains(runs: pd.DataFrame, dataset: str, method: str) -> pd.Series:
    """By training seed, what 1000 target images add to the share of right translations over 25."""
    chosen = runs[(runs.dataset == dataset) & (runs.method == method)]
    by_size = chosen.pivot_table(index="seed", columns="target_size", values="translated")
    return (by_size[1000] - by_size[25]).dropna()


@pytest.mark.parametrize("dataset", TASKS)
def test_every_number_of_the_tables_is_a_mean_of_the_records(runs: pd.DataFrame, dataset: str) -> None:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    section = page.split(f"### {dataset}:")[1].split("\n#")[0]
    tables = re.findall(r"^\|  \| .*\n\|---.*\n((?:\|.*\n)+)", section, re.MULTILINE)
    headings = re.findall(r"^\|  \| (.*) \|$", section, re.MULTILINE)
    cells = [(heading.split(" | "), line.strip("| \n").split(" | ")) for heading, table in zip(headings, tables)
             for line in table.splitlines()]  # fmt: skip
    wanted = runs[(runs.dataset == dataset) & runs.translated.notna()]
    assert {name for _, (name, *_) in cells} == set(wanted.method)
    for heading, (name, *scores) in cells:
        sizes = [int(size) for size in heading if size.isdecimal()]
        assert 25 in sizes and 1000 in sizes
        for size, score in zip(sizes, scores):
            mean = wanted[(wanted.method == name) & (wanted.target_size == size)].translated.mean()
            number = re.match(r"[\d.]+", score.strip().strip("*"))
            if number is None:
                assert score.strip() == "-" and pd.isna(mean), (name, size)
                continue
            digits = len(number[0].partition(".")[2])
            assert abs(float(number[0]) - mean) <= 0.5 * 10**-digits + 1e-9, (name, size)


def test_the_table_of_gains_is_what_the_records_say(runs: pd.DataFrame) -> None:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    table = page.split("| method | fashion | ink | styles |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    assert len(rows) == 10
    for method, *cells in rows:
        for dataset, cell in zip(TASKS, cells):
            gain = gains(runs, dataset, method)
            mean, low, high = interval(gain)
            said = f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"
            said = f"**{said}**" if low > 0 or high < 0 else said
            assert cell == said + ("" if len(gain) == 3 else f", {len(gain)} seeds"), (method, dataset)


def test_readme_says_which_methods_lose_and_how_much(runs: pd.DataFrame) -> None:
    for name, method in NAMES.items():
        mean, low, high = interval(gains(runs, "fashion", method))
        assert low > 0
        pattern = rf"{name} (?:loses )?{mean:.2f} \((?:95 % interval )?{low:.2f} to {high:.2f}\)"
        assert re.search(pattern, text("README.md")), pattern
    others = set(runs[(runs.dataset == "fashion") & (runs.kind == "method")].method) - set(NAMES.values())
    assert len(others) == 6
    for method in others:
        _, low, high = interval(gains(runs, "fashion", method))
        assert low <= 0 <= high, f"{method} loses too"
    truth = runs[(runs.dataset == "fashion") & (runs.method == "truth")].translated.mean()
    assert f"the true photographs {truth:.2f}" in text("README.md")


def test_holms_correction_leaves_what_the_page_says(runs: pd.DataFrame) -> None:
    """Sorted p values of ten paired t tests, against 0.05 / 10, 0.05 / 9, ... until one is larger."""
    methods = sorted(set(runs[(runs.dataset == "fashion") & (runs.kind == "method")].method))
    p = {method: stats.ttest_1samp(gains(runs, "fashion", method), 0).pvalue for method in methods}
    left = []
    for number, method in enumerate(sorted(p, key=lambda name: p[name])):
        if p[method] > 0.05 / (len(p) - number):
            break
        left.append(method)
    assert left == ["cyclegan", "munit"]
    assert "corrected by Holm's method for ten methods CycleGAN and MUNIT are left" in text("docs/results.md")


def test_the_methods_that_beat_doing_nothing_are_those_of_the_page(runs: pd.DataFrame) -> None:
    """With 1000 targets the 95 % interval of the mean over seeds lies above the untouched sources'."""
    beaten: dict[str, list[str]] = {}
    for dataset in TASKS:
        chosen = runs[(runs.dataset == dataset) & (runs.target_size == 1000)]
        nothing = chosen[chosen.method == "identity"].translated.mean()
        for method, values in chosen[chosen.kind == "method"].groupby("method").translated:
            if len(values) >= 3 and interval(values)[1] > nothing:
                beaten.setdefault(str(method), []).append(dataset)
    for word, fewest in (("on all three tasks", 3), ("on two or more", 2)):
        names = sorted(method for method, where in beaten.items() if len(where) >= fewest)
        assert f"{word}: {', '.join(names)}" in text("docs/results.md"), names


@pytest.mark.parametrize("dataset", TASKS)
@pytest.mark.parametrize("metric", ["translated", "truth_retrieved"])
def test_the_mean_over_methods_is_that_of_the_page(runs: pd.DataFrame, dataset: str, metric: str) -> None:
    chosen = runs[(runs.dataset == dataset) & (runs.kind == "method")]
    scores = chosen.pivot_table(index="method", columns="target_size", values=metric)
    mean, low, high = interval((scores[1000] - scores[25]).dropna())
    assert f"{mean:.2f} ({low:.2f} to {high:.2f}) on `{dataset}`" in text("docs/results.md"), metric


def test_six_methods_lose_nothing_from_1000_targets_to_125(runs: pd.DataFrame) -> None:
    scores = runs[runs.dataset == "fashion"].pivot_table(index="method", columns="target_size", values="translated")
    methods = ["cyclegan", "cut", "munit", "funit", "balagan", "starganv2"]
    assert ((scores[125] - scores[1000]).abs()[methods] < 0.01).all()


def test_the_picture_of_readme_shows_methods_that_have_run(runs: pd.DataFrame) -> None:
    assert {"cut", "cyclegan", "mnm", "jdbw"} <= set(runs[runs.dataset == "fashion"].method)
