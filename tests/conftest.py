"""What all tests share: a cache folder of their own, and small real data."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def bank_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that holds the prepared bank of emoji at 32 pixels."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("I2I_BENCH_CACHE")
    os.environ["I2I_BENCH_CACHE"] = str(folder)
    try:
        from bench.task import load_task

        load_task("emoji", 20, 32)
    finally:
        if before is None:
            del os.environ["I2I_BENCH_CACHE"]
        else:
            os.environ["I2I_BENCH_CACHE"] = before
    return folder


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, bank_cache: Path) -> None:
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("I2I_BENCH_CACHE", str(bank_cache))
