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
    "deepi2i": {"lr_g": 8e-4, "lr_d": 8e-4, "batch_size": 8},
    "dmit": {"lr": 4e-4, "batch_size": 1},
    "drit": {"lr": 4e-4, "batch_size": 2},
    "funit": {"lr": 5e-4, "batch_size": 2},
    "ganhopper": {"lr": 4e-4, "batch_size": 4},
    "icgan": {"batch_size": 16},
    "jdbw": {"lr": 4e-4, "batch_size": 8},
    "mnm": {"lr": 4e-4, "batch_size": 8},
    "munit": {"lr": 4e-4, "batch_size": 2},
    "nicegan": {"lr": 4e-4, "batch_size": 2},
    "sdit": {"lr": 2e-3, "batch_size": 8},
    "stargan": {"lr": 8e-4, "batch_size": 8},
    "starganv2": {"lr": 1e-3, "batch_size": 8},
    "udit": {"lr": 4e-4, "batch_size": 1},
    "ugatit": {"lr": 4e-4, "batch_size": 1},
    "unit": {"lr": 4e-4, "batch_size": 1},
    "unsb": {"lr": 2e-4, "batch_size": 4},
    "uvcgan2": {"lr_g": 1e-4, "lr_d": 1e-4, "batch_size": 4},
}


def test_the_table_of_the_page_is_that_of_the_records() -> None:
    """Where this fails: python scripts/tuning.py"""
    page = (ROOT / "docs" / "presets.md").read_text(encoding="utf-8")
    assert tuning.table(ROOT / "results" / "tuning") == page.split(tuning.BEGIN)[1].split(tuning.END)[0]


@pytest.mark.parametrize("method", CHOSEN)
def test_the_preset_has_what_the_page_says(method: str) -> None:
    preset = find("methods", method).load().presets["cpu"]
    assert {name: preset[name] for name in CHOSEN[method]} == CHOSEN[method]
