"""Terms of DRIT's losses."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Attribute:
    """An encoded attribute (N, latent): a sample, and mean and log variance where the encoder gives a distribution."""

    sample: Tensor
    mean: Tensor
    log_variance: Tensor | None


def divergence(attribute: Attribute) -> Tensor:
    """Divergence of the encoded distribution from N(0, I), summed over numbers and images; the mean square where there
    is none."""
    if attribute.log_variance is None:
        return attribute.mean.square().mean()
    return 0.5 * (attribute.mean.square() + attribute.log_variance.exp() - 1 - attribute.log_variance).sum()


def sameness(images: tuple[Tensor, ...], codes: list[Tensor]) -> Tensor:
    """Mode seeking (Mao et al. 2019): 1 / (mean |x1 - x2| / mean |z1 - z2| + 1e-5)."""
    return 1 / (F.l1_loss(images[1], images[0]) / F.l1_loss(codes[1], codes[0]) + 1e-5)


def cross_entropy(logits: Tensor, wanted: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, wanted))
