"""Batch weight: a share of the batch for each image, so that two domains with other class frequencies meet.

What JD-BW and MUNIT with batch weight have in common: the arithmetic and the weighting network ("Batch weight for
domain adaptation with mass shift", 2019); formulas in methods/jdbw/. m is the size of a batch.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.nn.kernels import Conv2d
from bench.methods.nn.layers import SLOPE, normal_init, normalised


def clipped_softmax(scores: Tensor, bound: float) -> Tensor:
    """Softmax over the last axis of clamp(s - mean s, -bound, bound): weights that differ by at most e^(2 bound)."""
    scores = scores.float()
    return (scores - scores.mean(-1, keepdim=True)).clamp(-bound, bound).softmax(-1)


def with_uniform(weights: Tensor) -> Tensor:
    """(1/m + w)/2 of weights (..., m) that sum to 1: the batch estimate of (1 + dQ/dP)/2."""
    return (weights + 1 / weights.shape[-1]) / 2


def clip_bound(step: int, start: int, full: int) -> float:
    """t(k) = 0.25 + (k - start)/(full - start), 0 before the start: a ratio of weights of at most e^(2t)."""
    return 0.25 + (step - start) / (full - start) if step >= start else 0.0


def composite(
    networks: Mapping[str, nn.Module], x: Tensor, gy: Tensor, gx: Tensor, y: Tensor, size: int, bound: float
) -> tuple[Tensor, Tensor]:
    """Weights w = dQ/dP of the pairs (x, gy) and v = dP/dQ of (gx, y), each (n, size) of n batches and summing to 1:
    the mean of what Wx says of the source's images and Wy of the target's. Wx is log dQ/dP, Wy is log dP/dQ.

    x, gy, gx, y  (n size, C, S, S)
    """

    def share(scores: Tensor) -> Tensor:
        return clipped_softmax(scores.view(-1, size), bound)

    on_x, on_gx = networks["Wx"](torch.cat([x, gx])).split(len(x))
    on_gy, on_y = networks["Wy"](torch.cat([gy, y])).split(len(gy))
    return (share(on_x) + share(-on_gy)) / 2, (share(-on_gx) + share(on_y)) / 2


def effective_size(weights: Tensor) -> Tensor:
    """1 / sum w^2 of weights (m,): m where they are equal, 1 where one has all."""
    return 1 / weights.square().sum()


class Progress:
    """The generator step, and the weight of each class in each domain: averages (decay 0.99) of a batch's sums."""

    decay = 0.99

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.step = 0
        self.sums = torch.zeros(2, len(classes) + 1)  # source and target; unknown labels come last

    def add(self, source: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]) -> None:
        """Adds for each domain the weights (m,) and the labels int64 (m,), -1 where unknown."""
        self.step += 1
        self.sums = self.sums.to(source[0].device)
        for total, (weights, labels) in zip(self.sums, (source, target)):
            batch = torch.zeros_like(total).index_add_(0, labels.remainder(len(total)), weights)
            total.mul_(self.decay).add_(batch, alpha=1 - self.decay)

    @property
    def masses(self) -> Tensor:
        """(2, classes): the averages of source and target, each without the zeros that it started from."""
        return self.sums[:, :-1] / (1 - self.decay ** max(1, self.step))

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "sums": self.sums.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self.sums = state["step"], state["sums"].clone()

    def figures(self, every_class: bool) -> dict[str, Tensor]:
        """What is logged: the largest difference of the domains' masses, and every mass (figure 3 of the paper)."""
        masses = self.masses
        if not masses.numel():
            return {}
        figures = {"mass_gap": (masses[0] - masses[1]).abs().max()}
        for domain, row in zip(("source", "target"), masses if every_class else ()):
            figures |= {f"class_mass/{name}/{domain}": mass for name, mass in zip(self.classes, row.unbind())}
        return figures


class ScoreNetwork(nn.Module):
    """DCGAN's discriminator as in the authors' code: four convs without bias, a linear layer; S is a multiple of 16.

    discriminator  leaky ReLUs, N(0, 0.02) and spectral norm: for one_sided, whose discriminator sees one image; else
                   ReLUs, torch's initialisation and no norm: a weighting network
    """

    def __init__(self, channels: int, resolution: int, width: int = 64, discriminator: bool = False) -> None:
        super().__init__()
        widths = [channels, width, 2 * width, 4 * width, 8 * width]
        self.slope = SLOPE if discriminator else 0.0
        self.convs = nn.ModuleList(Conv2d(a, b, 4, 2, 1, bias=False) for a, b in pairwise(widths))
        self.score = nn.Linear(8 * width * (resolution // 16) ** 2, 1)
        if discriminator:
            normal_init(self)
            normalised(self)

    def forward(self, *images: Tensor) -> Tensor:
        h = torch.cat(images, dim=1)
        for conv in self.convs:
            h = F.leaky_relu(conv(h), self.slope)
        return self.score(h.flatten(1))[:, 0]
