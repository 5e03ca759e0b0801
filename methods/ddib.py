"""Dual Diffusion Implicit Bridges (Su et al., ICLR 2023, arXiv 2203.08382).

Two diffusion models that never meet: one of the source, one of the target. The source's model encodes an image into its
noise by the deterministic map of DDIM, read backwards; the target's model decodes that noise into an image. Both maps
solve an ordinary differential equation, so the way back returns the image up to the error of the solver.

The models and their training are those of DDPM (Ho et al. 2020), the map is that of DDIM (Song et al. 2021).
"""

import torch
from torch import Tensor

from bench import register
from bench.methods.nn.diffusion import DiffusionConfig, DiffusionMethod, grid, move


@register
class DDIB(DiffusionMethod):
    """Encode with the source's diffusion model, decode with the target's; deterministic."""

    name = "ddib"
    paper = "Su et al., Dual Diffusion Implicit Bridges for Image-to-Image Translation, ICLR 2023, arXiv 2203.08382"
    year = 2023
    kind = "unpaired"
    needs = ()
    Config = DiffusionConfig
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
            "sample_steps": 20,
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
            "sample_steps": 3,
            "warmup_steps": 2,
        },
    }
    domains = ("source", "target")

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        return self._bridge(source, "source", "target")

    @torch.no_grad()
    def translate_back(self, images: Tensor, rng: torch.Generator) -> Tensor:
        return self._bridge(images, "target", "source")

    def _bridge(self, images: Tensor, start: str, end: str) -> Tensor:
        """Images of domain `start` -> noise -> images of domain `end`."""
        steps = grid(self.config.train_steps, self.config.sample_steps)
        noise = move(self.ema[start], images, steps, self.a)
        return move(self.ema[end], noise, steps[::-1], self.a)
