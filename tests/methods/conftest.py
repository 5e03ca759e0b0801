"""A tiny task made of arrays, and an artifact cache of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.artifacts import Artifacts
from bench.compute import Compute
from bench.loop import Loop
from bench.task import TaskData
from bench.testing import Quiet
from bench.testing import tiny_task as make_tiny_task

MakeTask = Callable[..., TaskData]


@pytest.fixture
def tiny_task() -> MakeTask:
    return make_tiny_task


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts", Loop(Compute.choose("cpu"), Quiet()))
