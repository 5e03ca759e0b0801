from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("I2I_BENCH_WEIGHTS", raising=False)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
