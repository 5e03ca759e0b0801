"""The patch discriminators at several scales that MUNIT (code NVlabs/MUNIT at a82e222), UNIT, UDIT and DRIT share, and
their losses, which are summed over the scales."""

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.nn.layers import SLOPE, ConvBlock, normal_init

GAN = Literal["lsgan", "nsgan"]  # least squares, or sigmoid and cross entropy


class Discriminator(nn.Module):
    """Independent patch discriminators, the first on the image, each further one on an image half as large.

    slope  of the leaky ReLUs
    init   of the weights, called with the whole network
    """

    def __init__(
        self,
        channels: int,
        width: int,
        downs: int,
        n_scales: int,
        slope: float = SLOPE,
        init: Callable[[nn.Module], None] = normal_init,
    ) -> None:
        super().__init__()
        widths = [channels, *(width * 2**i for i in range(downs))]
        self.scales = nn.ModuleList(
            nn.Sequential(
                *(ConvBlock(a, b, 4, 2, 1, activation="leaky", slope=slope) for a, b in pairwise(widths)),
                nn.Conv2d(widths[-1], 1, 1),
            )
            for _ in range(n_scales)
        )
        init(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, C, S, S) -> scores (N, 1, s, s), s = S / 2^downs, then half of it, and so on."""
        maps = []
        for i, scale in enumerate(self.scales):
            if i > 0:
                image = F.avg_pool2d(image, 3, stride=2, padding=1, count_include_pad=False)
            maps.append(scale(image))
        return maps


def sum_over_scales(gan: GAN, maps: list[Tensor], wanted: float, weights: Tensor | None = None) -> Tensor:
    """How far the scores are from `wanted` (1: real, 0: generated): the mean of each scale, summed.

    `weights` (m,), which sum to 1, take the place of 1/m.
    """
    distance = F.mse_loss if gan == "lsgan" else F.binary_cross_entropy_with_logits
    if weights is None:
        return torch.stack([distance(scores, torch.full_like(scores, wanted)) for scores in maps]).sum()
    each = [distance(scores, torch.full_like(scores, wanted), reduction="none").flatten(1).mean(1) for scores in maps]
    return torch.stack([(weights * distances).sum() for distances in each]).sum()


def discriminator_loss(
    gan: GAN,
    discriminator: nn.Module,
    fake: Tensor,
    real: Tensor,
    of_fake: Tensor | None = None,
    of_real: Tensor | None = None,
    saw_real: Callable[[nn.Module, list[Tensor]], None] | None = None,
) -> Tensor:
    """Summed over scales, neither halved nor averaged; of_fake, of_real (m,) weigh the images; saw_real gets the
    discriminator and its scores of the real images (Method.saw_real)."""
    pairs = [scores.tensor_split([len(fake)]) for scores in discriminator(torch.cat([fake, real]))]
    if saw_real is not None:
        saw_real(discriminator, [scores for _, scores in pairs])
    on_fake = sum_over_scales(gan, [f for f, _ in pairs], 0.0, of_fake)
    return on_fake + sum_over_scales(gan, [r for _, r in pairs], 1.0, of_real)


def mean_score(maps: list[Tensor]) -> Tensor:
    """(m,): the mean of an image's scores, over positions and then over scales."""
    return torch.stack([scores.flatten(1).mean(1) for scores in maps]).mean(0)
