"""UNSB (Kim et al., ICLR 2024, arXiv 2305.15086; code cyclomon/UNSB at d1f644f, its root folder).

CUT's networks made random and run several times. A bridge of T + 1 points leads from a source image to a target image.
From any point the generator guesses the end; the next point is a mix of the point, the guess and noise. An iteration
trains at one random point: an adversarial loss on the guess, the cost of transport less its entropy, which a network E
estimates, and PatchNCE as in CUT. A translation is T calls of the generator; the guess after each call is an output.

The defaults follow the public code where it differs from the paper. One such difference is large: in the code's blocks
the first conv and the time are computed and then overwritten, so that the generator does not know the time
(`block=code`; `block=intended` is what the layers were meant for).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench import (
    Batch,
    Config,
    DiscriminatorFields,
    Stream,
    Task,
    TaskData,
    Unfit,
    UserError,
    register,
    setting,
)
from bench.methods.nn import ema
from bench.methods.nn.cut_training import CUTFields, CUTTraining
from bench.methods.nn.host_random import HostRandom
from bench.methods.nn.losses import lsgan
from bench.methods.nn.patch_nce import PatchProjection, draw_positions, patch_nce, sample
from bench.methods.nn.resnet import least_side
from bench.methods.unsb.networks import BridgeGenerator, TimedPatchDiscriminator, Variant


@dataclass(frozen=True)
class UNSBConfig(Config, CUTFields, DiscriminatorFields):
    """UNSB's settings."""

    resolution: int = 256
    batch_size: int = setting(1, "target images of one iteration, which sees twice as many source images")
    budget_kimg: float | None = setting(  # type: ignore[assignment]
        None, "thousands of source images seen in training; none: all epochs of the larger domain"
    )
    width: int = setting(64, "channels after the first conv of generator, discriminator and E", low=1)
    block: Variant = setting(
        "code", "residual blocks; code: as published, the generator does not know the time; intended: it does"
    )
    style_bias_one: bool = setting(False, "scales of the blocks start at 1 instead of almost 0")

    steps: int = setting(5, "steps of the bridge (T)", low=2, high=1000)
    tau: float = setting(0.01, "variance of the bridge, and weight of the entropy")
    sb_weight: float = setting(
        1.0, "weight of transport and entropy; the code's option has 0.1, its published command 1"
    )
    calls: int | None = setting(None, "calls of the generator in a translation; none: all T", low=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        least = least_side(self.discriminator_layers)
        if self.resolution % 4 or self.resolution < least:
            raise Unfit(
                f"UNSB cannot take resolution {self.resolution}; choose a multiple of 4, at least {least} with "
                f"discriminator_layers={self.discriminator_layers}"
            )
        if self.n_calls > self.steps:
            raise UserError(f"calls={self.calls} is more than the steps={self.steps} of the bridge")
        self.check_nce_layers(12 + self.blocks)

    @property
    def n_calls(self) -> int:
        """Calls of the generator in a translation."""
        return self.steps if self.calls is None else self.calls


@register
class UNSB(CUTTraining):
    """A Schroedinger bridge from source to target, learned without pairs; several outputs on the way."""

    name = "unsb"
    paper = "Kim et al., Unpaired Image-to-Image Translation via Neural Schroedinger Bridge, ICLR 2024"
    year = 2024
    kind = "unpaired"
    needs = ()
    Config = UNSBConfig
    discriminators = ("D",)
    presets = {
        "paper": {},
        "cpu": {
            "resolution": 32,
            "batch_size": 4,
            "budget_kimg": 12.0,
            "width": 16,
            "blocks": 3,
            "discriminator_layers": 2,
            "steps": 3,
            "nce_layers": (0, 4, 8, 12, 14),
            "projection": 64,
            "lr": 2e-4,
            "ema_decay": 0.995,
        },
        "smoke": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 0.02,
            "width": 4,
            "blocks": 1,
            "discriminator_layers": 2,
            "steps": 3,
            "nce_layers": (0, 4, 8, 12),
            "patches": 16,
            "projection": 8,
        },
    }
    guidance = "noise"

    @classmethod
    def whole_batch(cls, config: UNSBConfig) -> str | None:
        return "the energy in its Schroedinger bridge loss is a log of a sum over its images"

    def __init__(self, task: Task, config: UNSBConfig) -> None:
        super().__init__(task, config)
        self.config: UNSBConfig = config
        c, channels = config, task.channels
        self.times = bridge_times(c.steps)
        self.steps = HostRandom()
        self.memory["steps"] = self.steps
        self.generator = BridgeGenerator(channels, c.width, c.blocks, c.block, c.style_bias_one)
        self.networks = {
            "G": self.generator,
            "F": PatchProjection(self.generator.feature_channels(c.nce_layers), c.projection),
            "D": TimedPatchDiscriminator(channels, c.width, c.discriminator_layers),
            "E": TimedPatchDiscriminator(4 * channels, c.width, c.discriminator_layers),
        }
        if c.ema_decay is not None:
            self.ema["G"] = ema.copy_of(self.generator)
        self.make_optimizers()

    @property
    def images_per_step(self) -> int:
        return 2 * self.config.batch_size

    def streams(self, data: TaskData) -> dict[str, Stream]:
        """Two independent orders of the source, x and x', and the target."""
        n = self.config.batch_size
        jitter, later = self.augmentation_in_epochs()
        orders = {"A": ("source", "shuffled"), "A2": ("source", "shuffled"), "B": ("target", "uniform")}
        return {name: Stream(pool, n, order, jitter, later=later) for name, (pool, order) in orders.items()}

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        """Three images walk to a random point of the bridge, their ends are guessed, then D, E, and G with F learn."""
        a, a2, b = batch["A"].image, batch["A2"].image, batch["B"].image
        n = len(a)
        step = self.steps.integer(self.config.steps, self.rng)
        t = torch.full((n,), step, device=self.device)
        with torch.no_grad():
            x, x2, xb = self._walk(torch.cat([a, a2, b]), step).split(n)
        y, yb = self._guess(torch.cat([x, xb]), torch.cat([t, t])).split(n)
        y2 = self._guess(x2, t)
        losses = {"D": self.discriminator_loss(b, y.detach(), t)}
        self.minimise("D", losses["D"])
        joint, apart = self.energies(x, y.detach(), x2, y2.detach(), t)
        losses["E"] = -joint + apart + apart.square()
        self.minimise("E", losses["E"])
        losses["G"] = lsgan(self.networks["D"](y, t), 1.0)
        losses["SB"] = self.bridge_loss(x, y, x2, y2, step)
        content, nce = self._content(a, y, b, yb)
        losses |= nce
        self.minimise(["G", "F"], losses["G"] + self.config.sb_weight * losses["SB"] + content)
        if self.config.ema_decay is not None:
            ema.update(self.ema["G"], self.generator, self.config.ema_decay)
        return {name: loss.detach() for name, loss in losses.items()}

    def _code(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(n, self.generator.n_code, generator=rng, device=self.device)

    def _guess(self, x: Tensor, t: Tensor) -> Tensor:
        """The end of the bridge from the points x of steps t, with new codes."""
        return self.generator(x, t, self._code(len(x), self.rng))

    def _walk(self, x: Tensor, last: int) -> Tensor:
        """Goes from images to the points of step `last` of their bridges."""
        for step in range(last):
            guess = self._guess(x, torch.full((len(x),), step, device=self.device))
            x = self.advance(x, guess, step + 1, self.rng)
        return x

    def advance(self, x: Tensor, guess: Tensor, step: int, rng: torch.Generator) -> Tensor:
        """The point of `step` between the point before it and the guess: (1 - a) x + a guess + noise."""
        a, variance = bridge_mix(self.times, step)
        noise = torch.randn(x.shape, generator=rng, device=x.device)
        return (1 - a) * x + a * guess + (self.config.tau * variance) ** 0.5 * noise

    def discriminator_loss(self, real: Tensor, fake: Tensor, t: Tensor) -> Tensor:
        """Least squares; the halving slows D down."""
        on_real, on_fake = self.networks["D"](torch.cat([real, fake]), torch.cat([t, t])).split(len(real))
        self.saw_real(self.networks["D"], on_real)
        return 0.5 * (lsgan(on_real, 1.0) + lsgan(on_fake, 0.0))

    def energies(self, x: Tensor, y: Tensor, x2: Tensor, y2: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """mean E of each bridge with itself, and log sum exp E of bridges with others, over images and positions."""
        bridge, other = torch.cat([x, y], 1), torch.cat([x2, y2], 1)
        pairs = torch.cat([torch.cat([bridge, bridge], 1), torch.cat([bridge, other], 1)])
        joint, apart = self.networks["E"](pairs, torch.cat([t, t])).float().split(len(x))
        return joint.mean(), apart.flatten().logsumexp(0)

    def bridge_loss(self, x: Tensor, y: Tensor, x2: Tensor, y2: Tensor, step: int) -> Tensor:
        """tau (mean (x - y)^2 - (T - step)/T (mean E - log sum exp E)): transport less entropy."""
        joint, apart = self.energies(x, y, x2, y2, torch.full((len(x),), step, device=self.device))
        share = (self.config.steps - step) / self.config.steps
        return self.config.tau * ((x - y).square().mean() - share * (joint - apart))

    def _content(self, a: Tensor, y: Tensor, b: Tensor, yb: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted mean of PatchNCE between the sources and their guesses and, with `identity`, between targets and
        theirs; and both by name. Input and output of a pair are encoded at step 0 with the same codes."""
        c = self.config
        inputs, outputs = (torch.cat([a, b]), torch.cat([y, yb])) if c.identity else (a, y)
        pairs = len(inputs) // len(a)
        t = torch.zeros(len(inputs), dtype=torch.int64, device=self.device)
        code = self._code(len(inputs), self.rng)
        queries = self.generator.features(outputs, t, code, c.nce_layers)
        with torch.no_grad():
            keys = self.generator.features(inputs, t, code, c.nce_layers)
            positions = draw_positions(keys, pairs, c.patches, self.rng)
            wanted = self.networks["F"](sample(keys, positions))
        projected = self.networks["F"](sample(queries, positions))
        nce = torch.stack([patch_nce(q, k, c.temperature) for q, k in zip(projected, wanted)]).mean(0)
        losses = dict(zip(("NCE", "NCE_Y"), (part.mean() for part in nce.split(len(a)))))
        return c.nce_weight * torch.stack(list(losses.values())).mean(), losses

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        return self.translate_steps(source, reference, rng, label)[-1]

    @torch.no_grad()
    def translate_steps(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> list[Tensor]:
        """The guess of the target image after each call of the generator."""
        assert rng is not None
        generator = self.ema.get("G", self.generator)
        x, guesses = source, list[Tensor]()
        for step in range(self.config.n_calls):
            if guesses:
                x = self.advance(x, guesses[-1], step, rng)
            t = torch.full((len(x),), step, device=x.device)
            code = torch.randn(len(x), self.generator.n_code, generator=rng, device=x.device)
            guesses.append(generator(x, t, code))
        return guesses


def bridge_times(steps: int) -> list[float]:
    """T + 1 times from 0 to 1: 0, then 0.5 and on to 1 in pieces that shrink like 1, 1/2, 1/3, ..."""
    harmonic = np.cumsum([0.0, *(1 / i for i in range(1, steps))])
    return [0.0, *(0.5 + 0.5 * harmonic / harmonic[-1]).tolist()]


def bridge_mix(times: list[float], step: int) -> tuple[float, float]:
    """What the move to `step` mixes: the share of the guess, and the variance of the noise before it is multiplied by
    tau."""
    delta, rest = times[step] - times[step - 1], 1 - times[step - 1]
    return delta / rest, delta * (1 - delta / rest)
