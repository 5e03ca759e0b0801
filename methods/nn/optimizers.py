"""The optimizer that MUNIT's, UNIT's, U-GAT-IT's and NICE-GAN's codes share."""

from collections.abc import Callable, Iterable

import torch
from torch import nn

from bench import Method


def scheduled_adam(method: Method, name: str, networks: Iterable[nn.Module], rate: Callable[[int], float]) -> None:
    """Gives the method an Adam with momentum 0.5 and an L2 penalty for these networks, and its schedule."""
    c = method.config
    parameters = [p for network in networks for p in network.parameters()]
    optimizer = torch.optim.Adam(parameters, c.lr, betas=(0.5, 0.999), weight_decay=c.weight_decay, fused=True)
    method.optimizers[name] = optimizer
    method.schedulers[name] = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
