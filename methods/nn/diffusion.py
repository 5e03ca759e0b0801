"""Diffusion in discrete steps: schedules, training, deterministic and random sampling.

Notation of DDIM (Song et al., ICLR 2021): x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise, with a_t falling from almost 1 at
t = 0 to almost 0 at t = T - 1 (a_t is alpha-bar of DDPM). A network guesses the noise in x_t.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import Augment, Batch, Config, Method, Stream, Task, TaskData, Unfit, UserError, setting
from bench.methods.nn import ema
from bench.methods.nn.diffusion_unet import DiffusionUNet

Schedule = Literal["linear", "cosine"]


@dataclass(frozen=True)
class DiffusionConfig(Config):
    """The settings of small diffusion models; the defaults are DDPM's recipe for CelebA-HQ at 256 pixels."""

    resolution: int = 256
    batch_size: int = setting(64, "images of each model in one iteration")
    budget_kimg: float = setting(32_000.0, "thousands of images that each model sees")

    width: int = setting(128, "channels at the full side, an even number", low=4)
    multipliers: tuple[int, ...] = setting(
        (1, 1, 2, 2, 4, 4), "channels of each side from the full one on, halving, as multiples of the width", low=1
    )
    blocks: int = setting(2, "residual blocks of each side", low=1)
    attention: tuple[int, ...] = setting((16,), "sides of maps that have self-attention", low=1)
    dropout: float = setting(0.0, "probability of dropout in every residual block", below=1)

    train_steps: int = setting(1000, "steps of the diffusion that a model is trained on (T)", low=2, high=100_000)
    schedule: Literal["linear", "cosine"] = setting(
        "linear", "how the image is drowned; linear: as in DDPM; cosine: as Nichol and Dhariwal (2021)"
    )
    sample_steps: int = setting(250, "steps between an image and noise, evenly spaced; at most train_steps - 1", low=1)

    lr: float = setting(2e-5, "learning rate", above=0)
    warmup_steps: int = setting(5000, "iterations in which the learning rate rises from 0", low=1)
    max_gradient: float = setting(1.0, "the norm to which a longer gradient is cut", above=0)
    ema_decay: float = setting(0.9999, "decay of the averaged weights, which translate", below=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % 2:
            raise UserError(f"width={self.width} is odd; choose an even number")
        if self.sample_steps >= self.train_steps:
            raise UserError(f"sample_steps={self.sample_steps} must be below train_steps={self.train_steps}")
        if not self.multipliers:
            raise UserError("multipliers is empty; choose at least one")
        factor = 2 ** (len(self.multipliers) - 1)
        if self.resolution % factor:
            raise Unfit(
                f"the diffusion U-Net cannot take resolution {self.resolution}: with {len(self.multipliers)} "
                f"multipliers it has to be a multiple of {factor}; choose another, or fewer multipliers"
            )


def signal(schedule: Schedule, steps: int) -> Tensor:
    """a_t for t = 0 ... steps - 1, float32.

    linear  variances beta_t from 1e-4 to 0.02 in equal steps, for T = 1000 (DDPM, section 4); for another T they are
            larger by 1000/T, so that the image is drowned alike
    cosine  a_t = f(t + 1)/f(0) with f(t) = cos^2((t/T + 0.008)/1.008 * pi/2), each beta at most 0.999 (Nichol and
            Dhariwal, ICML 2021, equation 17)
    """
    if schedule == "linear":
        beta = np.linspace(1e-4, 0.02, steps) * 1000 / steps
    else:
        f = np.cos((np.arange(steps + 1) / steps + 0.008) / 1.008 * np.pi / 2) ** 2
        beta = 1 - f[1:] / f[:-1]
    return torch.from_numpy(np.cumprod(1 - np.minimum(beta, 0.999))).float()


def noised(x: Tensor, noise: Tensor, a: Tensor) -> Tensor:
    """x_t of images (N, C, S, S) and noise of the same shape; a: a_t, one number or (N,)."""
    a = a.reshape(-1, 1, 1, 1)
    return a.sqrt() * x + (1 - a).sqrt() * noise


Draw = Callable[[Callable[[int], Tensor], int], Tensor]


def denoising_loss(
    network: nn.Module, x: Tensor, a: Tensor, rng: torch.Generator, draw: Draw = lambda make, rows: make(rows)
) -> Tensor:
    """mean (noise - guess)^2 at a random step of each image (DDPM, equation 14).

    x in [-1, 1]; a: all a_t, (T,); draw: as Method.draw
    """
    t = draw(lambda m: torch.randint(len(a), (m,), generator=rng, device=x.device), len(x))
    noise = draw(lambda m: torch.randn(m, *x.shape[1:], generator=rng, device=x.device), len(x))
    guess = network(noised(x, noise, a[t]), t, rng)
    return F.mse_loss(guess.float(), noise)


def grid(train_steps: int, sample_steps: int, share: float = 1.0) -> list[int]:
    """Steps from 0, which stands for an image, up to share * (T - 1); as many intervals of `sample_steps` as fit."""
    last = share * (train_steps - 1)
    intervals = max(1, round(share * sample_steps))
    return [round(t) for t in np.linspace(0, last, intervals + 1)]


def move(
    network: nn.Module,
    x: Tensor,
    steps: Sequence[int],
    a: Tensor,
    clip: bool = False,
    eta: float = 0.0,
    rng: torch.Generator | None = None,
) -> Tensor:
    """Moves images from one step to the next (DDIM, equation 12), towards the noise or towards the image.

    steps  rising: encodes, the deterministic map read backwards (DDIM, section 4.3); falling: decodes
    clip   the guess of x_0 is cut to [-1, 1] and the noise that goes with it computed again
    eta    0: deterministic; 1: as random as DDPM (falling steps only); the noise comes from rng
    """
    for now, after in pairwise(steps):
        t = torch.full((len(x),), now, device=x.device)
        noise = network(x, t).float()
        clean = (x - (1 - a[now]).sqrt() * noise) / a[now].sqrt()
        if clip:
            clean = clean.clamp(-1, 1)
            noise = (x - a[now].sqrt() * clean) / (1 - a[now]).sqrt()
        sigma = eta * ((1 - a[after]) / (1 - a[now]) * (1 - a[now] / a[after])).clamp(min=0).sqrt()
        x = a[after].sqrt() * clean + (1 - a[after] - sigma.square()).clamp(min=0).sqrt() * noise
        if eta:
            x = x + sigma * torch.randn(x.shape, generator=rng, device=x.device)
    return x


class DiffusionMethod(Method):
    """A method that trains a diffusion model for each of its `domains`, independently of each other.

    A subclass says in `translate` what it does with the averaged models.
    """

    domains: ClassVar[tuple[Literal["source", "target"], ...]]

    @classmethod
    def whole_batch(cls, config: DiffusionConfig) -> str | None:
        return "dropout is drawn inside the network" if config.dropout else None

    def __init__(self, task: Task, config: DiffusionConfig) -> None:
        super().__init__(task, config)
        self.config: DiffusionConfig = config
        c = config
        self.a = signal(c.schedule, c.train_steps)
        for name in self.domains:
            network = DiffusionUNet(
                task.channels, task.resolution, c.width, c.multipliers, c.blocks, c.attention, c.dropout
            )
            self.networks[name] = network
            self.ema[name] = ema.copy_of(network)
            self.optimizers[name] = torch.optim.Adam(network.parameters(), c.lr, fused=True)
            self.schedulers[name] = torch.optim.lr_scheduler.LambdaLR(self.optimizers[name], self.rate)

    def rate(self, step: int) -> float:
        """Multiplier of the learning rate: linear from almost 0 to 1 in the first `warmup_steps` iterations."""
        return min(1.0, (step + 1) / self.config.warmup_steps)

    def to(self, device: torch.device, channels_last: bool = False) -> None:
        super().to(device, channels_last)
        self.a = self.a.to(device)

    def streams(self, data: TaskData) -> dict[str, Stream]:
        augment = Augment(flip=True)
        orders = {"source": "shuffled", "target": "uniform"}
        return {name: Stream(name, self.config.batch_size, orders[name], augment) for name in self.domains}

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        """Takes for each model a step on its domain's batch, then its average follows."""
        losses: dict[str, Tensor] = {}
        for name in self.domains:
            loss = denoising_loss(self.networks[name], batch[name].image, self.a, self.rng, self.draw)
            self.minimise(name, loss, self.config.max_gradient)
            losses[name] = loss.detach()
        self.once(lambda: ema.follow(self.ema, self.networks, self.config.ema_decay))
        return losses
