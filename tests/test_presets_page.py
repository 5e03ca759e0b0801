"""docs/presets.md says what the records of the search say, and the presets have what it says was chosen."""

import sys
from pathlib import Path

import pytest

from bench.core.registry import find

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import tuning  # noqa: E402

CHOSEN = {
    "balagan": {"lr": 5e-4, "batch_size": 8},
    "cut": {"lr": 4e-4, "batch_size": 2},
    "cyclegan": {"lr": 4e-4, "batch_size": 4},
    "funit": {"lr": 5e-4, "batch_size": 2},
    "jdbw": {"lr": 4e-4, "batch_size": 8},
    "mnm": {"lr": 4e-4, "batch_size": 8},
    "munit": {"lr": 4e-4, "batch_size": 2},
    "sdit": {"lr": 2e-3, "batch_size": 8},
    "starganv2": {"lr": 1e-3, "batch_size": 8},
}


def test_the_table_of_the_page_is_that_of_the_records() -> None:
    """Where this fails: python scripts/tuning.py"""
    page = (ROOT / "docs" / "presets.md").read_text(encoding="utf-8")
    assert tuning.table(ROOT / "results" / "tuning") == page.split(tuning.BEGIN)[1].split(tuning.END)[0]


@pytest.mark.parametrize("method", CHOSEN)
def test_the_preset_has_what_the_page_says(method: str) -> None:
    preset = find("methods", method).load().presets["cpu"]
    assert {name: preset[name] for name in CHOSEN[method]} == CHOSEN[method]
