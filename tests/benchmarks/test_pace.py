"""The pace of a training that is nothing but the calculation it is measured with."""

from collections.abc import Callable

import torch

from bench.training.compute import Compute
from bench.training.pace import Pace

IMAGES = 8  # a step
CALCULATIONS = 4  # in a step


def test_pace_is_images_per_calculation(benchmark: Callable) -> None:
    """Each step is 4 calculations for 8 images: 2 images in the time of one, whatever else the machine does."""
    pace = Pace(Compute.choose("cpu"))
    before = torch.get_rng_state()
    assert pace.images_per_calibration is None

    def train() -> None:
        for number in range(9):
            for _ in range(6 * CALCULATIONS):
                pace._conv.forward_and_backward()
            with pace.pause(6 * IMAGES * (number + 1)):
                for _ in range(20):  # counts as no training
                    pace._conv.forward_and_backward()

    benchmark.pedantic(train, rounds=1)
    found = pace.images_per_calibration
    assert found is not None and 1.5 < found < 2.7
    assert torch.equal(torch.get_rng_state(), before), "it draws nothing from the global generator"
