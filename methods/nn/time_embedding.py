"""Sines and cosines of a step number (Vaswani et al., NeurIPS 2017, section 3.5, in the order of DDPM's code)."""

import math

import torch
from torch import Tensor


def time_embedding(t: Tensor, width: int) -> Tensor:
    """Steps (N,) -> (N, width): sines, then cosines, of t times frequencies from 1 to 1/10,000 in equal ratios."""
    half = width // 2
    frequencies = torch.exp(-math.log(10_000) / (half - 1) * torch.arange(half, device=t.device))
    angles = t.float()[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)
