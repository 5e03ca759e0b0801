"""docs/results.md says what the records in results/reference say."""

import re
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

import bench

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return bench.load_results(ROOT / "results" / "reference")


@pytest.mark.parametrize("dataset", ["fashion", "ink"])
def test_every_number_of_the_tables_is_a_mean_of_the_records(runs: pd.DataFrame, dataset: str) -> None:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    section = page.split(f"### {dataset}:")[1].split("\n#")[0]
    cells = re.findall(r"^\| ([a-z0-9-]+)[^|]*\| ([^|]+)\| ([^|]+)\|", section, re.MULTILINE)
    wanted = runs[(runs.dataset == dataset) & runs.translated.notna()]
    assert {name for name, _, _ in cells} == set(wanted.method)
    for name, *scores in cells:
        for size, score in zip((25, 1000), scores):
            mean = wanted[(wanted.method == name) & (wanted.target_size == size)].translated.mean()
            if score.strip() in ("", "-"):
                assert pd.isna(mean)
            else:
                number = re.match(r"[\d.]+", score.strip())
                assert number is not None
                digits = len(number[0].partition(".")[2])
                assert abs(float(number[0]) - mean) <= 0.5 * 10**-digits + 1e-9, (name, size)


@pytest.mark.parametrize(
    ("dataset", "metric", "pages", "says"),
    [
        (
            "fashion",
            "translated",
            ("README.md", "docs/results.md"),
            "{mean:.2f} {}(95 % interval {low:.2f} to {high:.2f}",
        ),
        ("ink", "translated", ("docs/results.md",), "{mean:.2f} {}({low:.2f} to {high:.2f})"),
        ("ink", "truth_retrieved", ("docs/results.md",), "{mean:.2f} {}({low:.2f} to {high:.2f})"),
    ],
)
def test_what_scarcity_costs_is_the_mean_over_methods(
    runs: pd.DataFrame, dataset: str, metric: str, pages: tuple[str, ...], says: str
) -> None:
    chosen = runs[(runs.dataset == dataset) & (runs.kind == "method")]
    scores = chosen.pivot_table(index="method", columns="target_size", values=metric).dropna()
    lost = scores[1000] - scores[25]
    low, high = stats.t.interval(0.95, len(lost) - 1, lost.mean(), stats.sem(lost))
    before, after = says.format("|", mean=lost.mean(), low=low, high=high).split("|")
    for page in pages:
        text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
        assert re.search(re.escape(before) + "[^()]*" + re.escape(after), text), (page, before, after)


def test_the_picture_of_readme_shows_methods_that_have_run(runs: pd.DataFrame) -> None:
    assert {"cut", "cyclegan", "mnm", "jdbw"} <= set(runs[runs.dataset == "fashion"].method)
