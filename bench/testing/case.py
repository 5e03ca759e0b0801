"""A method on a tiny task, ready to train: what every promise is tried on."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.core.progress import Quiet
from bench.runs.build import task_of
from bench.testing.tiny import tiny_task
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.loop import Loop
from bench.training.method import Method
from bench.training.sampler import Sampler

CPU = Compute.choose("cpu")
BFLOAT16 = Compute.choose("cpu", amp="bf16")
STEPS = 2


class Case:
    """A method on a tiny task, ready to train."""

    def __init__(
        self,
        cls: type[Method],
        folder: Path,
        settings: dict[str, Any],
        seed: int = 0,
        compute: Compute = CPU,
        **task: int,
    ) -> None:
        preset = cls.presets.get("smoke") or cls.presets.get("cpu") or {}
        config = cls.Config(**{**preset, **settings})
        resolution = task.pop("resolution", config.resolution)
        config = replace(config, resolution=resolution)
        self.compute = compute
        self.data = tiny_task(resolution=resolution, paired="pairs" in cls.needs, **task)
        cls.check(task_of(self.data), config, self.data)
        torch.manual_seed(seed)
        self.method = cls(task_of(self.data), config)
        self.method.rng.manual_seed(seed)
        self.method.augment_discriminators()
        self.method.prepare(self.data, Artifacts(folder / "artifacts", Loop(compute, Quiet())))
        self.initial = copy.deepcopy(self.method.ema)
        self.method.train()
        self.sampler = Sampler(self.method.streams(self.data), self.data, seed, CPU)

    def train(self, first: int = 0, last: int = STEPS, compute: Compute | None = None) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        for step in range(first, last):
            with (compute or self.compute).autocast():
                losses = self.method.iterate(self.sampler.batch(step))
        return losses

    def arguments(self, noise: int = 0, first_reference: int = 0) -> tuple[Tensor, Tensor, torch.Generator, Tensor]:
        """The arguments of `translate`: source, reference, rng, label."""
        data, method = self.data, self.method
        rows = (np.arange(len(data.source_test)) + first_reference) % len(data.target_train)
        classes = data.source_test.labels if method.label_of == "source" else method.target_classes(data)[rows]
        label = torch.from_numpy(np.asarray(classes, np.int64))
        reference = CPU.images(data.target_train.images(rows))
        return CPU.images(data.source_test.images()), reference, torch.Generator().manual_seed(noise), label

    def translate(self, noise: int = 0, first_reference: int = 0) -> Tensor:
        self.method.train(False)
        with self.compute.autocast():
            images = self.method.translate(*self.arguments(noise, first_reference))
        self.method.train()
        return images

    def parameters(self) -> dict[str, Tensor]:
        return {
            f"{kind}.{name}.{key}": value.clone()
            for kind, networks in (("network", self.method.networks), ("ema", self.method.ema))
            for name, network in networks.items()
            for key, value in network.state_dict().items()
        }


Make = Callable[..., Case]
Check = Callable[[Make], None]


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Whether two sets of tensors have the same names and, to the bit, the same values."""
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
