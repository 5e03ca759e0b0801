"""Exponential moving average of a network's weights."""

import copy
from collections.abc import Mapping

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


def copy_of(network: nn.Module) -> nn.Module:
    """The average at its start: a frozen copy in eval mode."""
    return copy.deepcopy(network).requires_grad_(False).eval()


def follow(averages: Mapping[str, nn.Module], networks: Mapping[str, nn.Module], decay: float | None) -> None:
    """Updates the average of each network that has one; no decay: none has."""
    for name, average in averages.items():
        assert decay is not None
        update(average, networks[name], decay)


@torch.no_grad()
def update(average: nn.Module, network: nn.Module, decay: float, average_buffers: bool = False) -> None:
    """average <- decay * average + (1 - decay) * network, for the parameters.

    average_buffers  False: buffers are copied. True: they are averaged like the parameters, as BigGAN-PyTorch does;
                     this needs a network whose buffers are all floating point
    """
    get_ema_multi_avg_fn(decay)(list(average.parameters()), list(network.parameters()), None)
    for mine, theirs in zip(average.buffers(), network.buffers()):
        mine.copy_(torch.lerp(theirs, mine, decay) if average_buffers else theirs)
