"""A tiny task made of arrays, and an artifact cache of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.core.progress import Quiet
from bench.data.task import TaskData
from bench.testing import tiny_task as make_tiny_task
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.loop import Loop

MakeTask = Callable[..., TaskData]


@pytest.fixture
def tiny_task() -> MakeTask:
    return make_tiny_task


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts", Loop(Compute.choose("cpu"), Quiet()))
