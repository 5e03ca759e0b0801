"""docs/methods/udit.md says what the records in results/bias say."""

from pathlib import Path

import pytest

import bench

ROOT = Path(__file__).resolve().parent.parent
ROWS = {
    "`identity`: the untouched outlines": ("identity", 0),
    "`truth`: the photographs of the same things": ("truth", 0),
    "MUNIT, seed 0": ("munit", 0),
    "MUNIT, seed 1": ("munit", 1),
    "UDIT, seed 0": ("udit", 0),
    "UDIT, seed 1": ("udit", 1),
}
METRICS = "misclassified_resnet", "confidence_drop_resnet", "lpips_diversity_19_pairs", "translated"


@pytest.mark.parametrize("row", ROWS)
def test_the_table_is_the_records(row: str) -> None:
    runs = bench.load_results(ROOT / "results" / "bias").set_index(["method", "seed"])
    page = (ROOT / "docs" / "methods" / "udit.md").read_text(encoding="utf-8")
    line = next(line for line in page.splitlines() if line.startswith(f"| {row} |"))
    values = [runs.loc[ROWS[row], metric] for metric in METRICS]
    assert [cell.strip() for cell in line.split("|")[2:-1]] == ["" if v != v else f"{v:.2f}" for v in values]
