"""docs/augment_d.md says what the records in results/augment_d say."""

from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

import bench

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "augment_d.md").read_text(encoding="utf-8")
NAMES = {
    "cut": "CUT",
    "cyclegan": "CycleGAN",
    "funit": "FUNIT",
    "mnm": "M&MNets",
    "munit": "MUNIT",
    "starganv2": "StarGAN v2",
}


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    """`translated`: a row a method, a column a size and a kind of augmentation."""
    runs = bench.load_results(ROOT / "results" / "augment_d")
    kind = runs["config.augment_d"].fillna("none")
    return runs.assign(kind=kind).pivot(index="method", columns=["target_size", "kind"], values="translated")


@pytest.mark.parametrize("method", NAMES)
def test_the_table_is_the_records(scores: pd.DataFrame, method: str) -> None:
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| {NAMES[method]} |"))
    columns = [(size, kind) for size in (50, 250) for kind in ("none", "diffaugment", "ada")]
    assert [cell.strip() for cell in line.split("|")[2:-1]] == [f"{scores.loc[method, c]:.2f}" for c in columns]


@pytest.mark.parametrize("kind", ["diffaugment", "ada"])
@pytest.mark.parametrize("size", [50, 250])
def test_the_mean_change_is_that_of_the_records(scores: pd.DataFrame, size: int, kind: str) -> None:
    change = scores[size][kind] - scores[size]["none"]
    low, high = stats.t.interval(0.95, len(change) - 1, change.mean(), stats.sem(change))
    assert f"{change.mean():.2f} ({low:.2f} to {high:.2f})" in " ".join(PAGE.split())
    assert len(change) == len(NAMES)
