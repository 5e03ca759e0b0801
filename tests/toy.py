"""A method that trains in milliseconds and can be told to misbehave."""

from dataclasses import dataclass

import torch
from torch import nn

from bench.core.registry import register
from bench.training import method
from bench.training.sampler import Stream


@dataclass(frozen=True)
class ToyConfig(method.Config):
    nan_at: int = -1  # the step at which the loss becomes NaN
    guide: str = "none"


@register
class Toy(method.Method):
    """Learns a colour shift."""

    name = "toy"
    paper = "none"
    Config = ToyConfig
    presets = {"paper": {}, "cpu": {"resolution": 32, "batch_size": 4, "budget_kimg": 0.08}}

    def __init__(self, task: method.Task, config: ToyConfig) -> None:
        super().__init__(task, config)
        self.guidance = config.guide
        self.networks["G"] = nn.Conv2d(3, 3, 1)
        self.optimizers["G"] = torch.optim.Adam(self.networks["G"].parameters(), 1e-2)
        self.steps = 0

    def streams(self, data):
        return {"source": Stream("source", 4), "target": Stream("target", 4, "uniform")}

    def train_step(self, batch):
        gap = self.networks["G"](batch["source"].image).mean((2, 3)) - batch["target"].image.mean((2, 3))
        noise = torch.randn((), generator=self.rng) * 1e-3
        loss = gap.square().mean() + noise
        self.steps += 1
        if self.steps == self.config.nan_at:
            loss = loss * float("nan")
        self.minimise("G", loss)
        return {"gap": loss.detach(), "parts/noise": noise, "parts/colour": (loss - noise).detach()}

    def translate(self, source, reference=None, rng=None, label=None):
        image = self.networks["G"](source)
        if self.guidance == "noise":
            image = image + torch.randn(image.shape, generator=rng)
        if self.guidance == "reference":
            image = image + reference.mean((2, 3), keepdim=True)
        return image
