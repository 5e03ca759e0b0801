"""docs/calibration.md says of the anchors what the records in results/reference say."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROWS = {"source": "identity", "truth": "truth", "truth, blurred": "truth-blurred"}


@pytest.mark.parametrize("dataset", ["ink", "fashion", "styles"])
@pytest.mark.parametrize(("row", "anchor"), ROWS.items())
def test_a_row_of_the_page_is_the_anchor_of_the_reference_results(dataset: str, row: str, anchor: str) -> None:
    page = (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8")
    table = page.split(f"bench calibrate {dataset} --resolution 32 --metrics translated")[1].split("\n## ")[0]
    found = re.search(rf"^\| {row} \| (\d+) \| ([\d.]+) ± ", table, re.MULTILINE)
    assert found is not None
    (path,) = (ROOT / "results" / "reference" / "runs" / dataset / "25" / anchor).glob("*/record.json")
    value = json.loads(path.read_text())["metrics"]["translated"]
    assert int(found[1]) == value["n_gen"]
    assert float(found[2]) == pytest.approx(value["value"], abs=0.0005 + 1e-9)
