"""What all tests share: a cache folder of their own, and small real data."""

import os
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """--dist loadfile, but all of tests/slurm on one worker: its tests share a cluster and disturb it."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class OneCluster(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "tests/slurm" if nodeid.startswith("tests/slurm/") else super()._split_scope(nodeid)

    return OneCluster(config, log)


@pytest.fixture(autouse=True)
def _width_of_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are as wide as where nothing limits them, whatever shell or editor started the tests."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(scope="session")
def bank_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that holds the prepared bank of emoji at 32 pixels."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("I2I_BENCH_CACHE")
    os.environ["I2I_BENCH_CACHE"] = str(folder)
    try:
        from bench.data.task import load_task

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
