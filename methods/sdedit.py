"""SDEdit (Meng et al., ICLR 2022, arXiv 2108.01073): noise the source a little, denoise it as an image of the target.

One diffusion model, of the target alone. A source image is drowned in noise up to a share t0 of the diffusion
(`noise_level`), where its details are gone and its layout is left, and the model takes the noise away again. A small t0
keeps the source, a large one gives an image of the target that has little to do with it.

The model and its training are those of DDPM (Ho et al. 2020); the noise is taken away by DDIM's step (Song et al. 2021)
with `eta=1`, which is DDPM's own random step, or `eta=0`, which is deterministic.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from bench import Task, register, setting
from bench.methods.nn.diffusion import DiffusionConfig, DiffusionMethod, grid, move, noised


@dataclass(frozen=True)
class SDEditConfig(DiffusionConfig):
    """The settings of the target's model, and how much of the source is drowned."""

    sample_steps: int = setting(
        999, "steps between an image and noise, of which a translation takes the share noise_level"
    )
    noise_level: float = setting(
        0.5, "share of the diffusion (t0); near 0 keeps the source, 1 forgets it", above=0, high=1
    )
    eta: float = setting(1.0, "randomness of the denoising; 1: that of DDPM; 0: none", high=1)


@register
class SDEdit(DiffusionMethod):
    """Noise on the source, taken away by the target's diffusion model."""

    name = "sdedit"
    paper = "Meng et al., SDEdit: Guided Image Synthesis and Editing with Stochastic Differential Equations, ICLR 2022"
    year = 2022
    kind = "unpaired"
    needs = ()
    Config = SDEditConfig
    presets = {
        "paper": {},
        "paper32": {  # DDPM's recipe for CIFAR-10
            "resolution": 32,
            "batch_size": 128,
            "budget_kimg": 102_400.0,
            "multipliers": (1, 2, 2, 2),
            "dropout": 0.1,
            "lr": 2e-4,
        },
        "cpu": {
            "resolution": 32,
            "batch_size": 8,
            "budget_kimg": 16.0,
            "width": 16,
            "multipliers": (1, 2, 2),
            "blocks": 1,
            "attention": (8,),
            "sample_steps": 40,
            "eta": 0.0,
            "lr": 1e-3,
            "warmup_steps": 100,
            "ema_decay": 0.995,
        },
        "smoke": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 0.02,
            "width": 4,
            "multipliers": (1, 1),
            "blocks": 1,
            "attention": (),
            "sample_steps": 6,
            "warmup_steps": 2,
        },
    }
    guidance = "noise"
    domains = ("target",)

    def __init__(self, task: Task, config: SDEditConfig) -> None:
        super().__init__(task, config)
        self.config: SDEditConfig = config

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        c = self.config
        steps = grid(c.train_steps, c.sample_steps, c.noise_level)
        noise = torch.randn(source.shape, generator=rng, device=source.device)
        start = noised(source, noise, self.a[steps[-1]])
        return move(self.ema["target"], start, steps[::-1], self.a, clip=True, eta=c.eta, rng=rng)
