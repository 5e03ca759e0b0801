"""MineGAN's miner (Wang et al., CVPR 2020, arXiv 1912.05270, section 4): noise -> codes of a generator."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.nn.layers import kaiming_init


class Miner(nn.ModuleList):
    """M: noise u (N, widths[0]) -> codes z (N, widths[-1]); ReLU and pixel norm after each layer but the last."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__(nn.Linear(inputs, outputs) for inputs, outputs in pairwise(widths))
        self.inputs = widths[0]
        kaiming_init(self)

    def forward(self, u: Tensor) -> Tensor:
        *hidden, last = self
        for layer in hidden:
            u = F.relu(layer(u))
            u = u * torch.rsqrt(u.square().mean(1, keepdim=True) + 1e-8)
        return last(u)
