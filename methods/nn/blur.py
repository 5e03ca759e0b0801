"""Resampling by two behind a blur (Zhang, Making Convolutional Networks Shift-Invariant Again, ICML 2019)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BlurDown(nn.Module):
    """(N, C, H, W) -> half the side (rounded up): a 3x3 binomial blur with reflecting border, every second pixel."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", _binomial(1, 2, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        channels = int(x.shape[1])  # a constant where the network is traced
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(padded, self.kernel.expand(channels, 1, 3, 3), stride=2, groups=channels)


class BlurUp(nn.Module):
    """(N, C, H, W) -> twice the side: zeros between the pixels, then a 4x4 binomial blur with repeating border."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", 4 * _binomial(1, 3, 3, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        channels = int(x.shape[1])  # a constant where the network is traced
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
        weight = self.kernel.expand(channels, 1, 4, 4)
        return F.conv_transpose2d(padded, weight, stride=2, padding=3, groups=channels)


def _binomial(*taps: int) -> Tensor:
    """(k, k), of sum 1."""
    line = torch.tensor(taps, dtype=torch.float32)
    return torch.outer(line, line) / line.sum() ** 2
