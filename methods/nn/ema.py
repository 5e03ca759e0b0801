"""Exponential moving average of a network's weights."""

import copy

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


def copy_of(network: nn.Module) -> nn.Module:
    """The average at its start: a frozen copy in eval mode."""
    return copy.deepcopy(network).requires_grad_(False).eval()


@torch.no_grad()
def update(average: nn.Module, network: nn.Module, decay: float) -> None:
    """average <- decay * average + (1 - decay) * network; buffers are copied."""
    get_ema_multi_avg_fn(decay)(list(average.parameters()), list(network.parameters()), None)
    for mine, theirs in zip(average.buffers(), network.buffers()):
        mine.copy_(theirs)
