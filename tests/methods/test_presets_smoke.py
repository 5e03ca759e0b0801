"""A run of the preset `smoke` trains on so few images that it takes seconds."""

import pytest

from bench.core.registry import entries
from bench.runs.build import task_of
from bench.testing.tiny import tiny_task

MOST_IMAGES = 20


@pytest.mark.parametrize("name", entries("methods"))
def test_a_smoke_run_ends_within_few_images(name: str) -> None:
    cls = entries("methods")[name].load()
    config = cls.Config(**cls.presets["smoke"])
    method = cls(task_of(tiny_task(resolution=config.resolution)), config)
    assert method.budget_images <= MOST_IMAGES
    assert method.total_steps <= MOST_IMAGES
