"""The speed of training in units of a fixed calculation that is done beside it, so that a busy machine cancels out."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import torch
import torch.nn.functional as F

from bench.training.compute import Compute

PASSES = 3  # of the calculation, each time


class Pace:
    """Counts images in the intervals between the pauses of a training, and runs the calculation in each pause.

    On a CPU time is the processor time of this process, on a GPU the clock's with the queue emptied.
    """

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._conv = _Convolutions(compute.device)
        self._opened: tuple[int, float, float] | None = None  # images, time, seconds of a pass
        self._found: list[float] = []

    @contextmanager
    def pause(self, images: int) -> Iterator[None]:
        """What is done inside counts as no training; `images` have been seen so far."""
        seconds, opened = self._now(), self._opened
        passed = self._calibrate()
        if opened is not None:
            seen, began, before = opened
            self._found.append((images - seen) / (seconds - began) * (before + passed) / 2)
        yield
        self._opened = (images, self._now(), passed)

    @property
    def images_per_calibration(self) -> float | None:
        """Images that are trained on in the time of one pass of the calculation: the median over the intervals."""
        return median(self._found) if self._found else None

    def _calibrate(self) -> float:
        began = self._now()
        for _ in range(PASSES):
            self._conv.forward_and_backward()
        return (self._now() - began) / PASSES

    def _now(self) -> float:
        if self._compute.device.type == "cuda":
            torch.cuda.synchronize(self._compute.device)
            return time.perf_counter()
        return time.process_time()


class _Convolutions:
    """Three 3x3 convolutions of 32 channels on 4 images of 32x32. It draws nothing from torch's global generators."""

    def __init__(self, device: torch.device) -> None:
        rng = torch.Generator().manual_seed(0)
        shapes = [(32, 3, 3, 3), (32, 32, 3, 3), (32, 32, 3, 3)]
        self.images = torch.randn(4, 3, 32, 32, generator=rng).to(device)
        self.weights = [(torch.randn(s, generator=rng) / 17).to(device).requires_grad_() for s in shapes]

    def forward_and_backward(self) -> None:
        x = self.images
        for weight in self.weights:
            x = F.relu(F.conv2d(x, weight, padding=1))
        torch.autograd.grad(x.square().mean(), self.weights)
