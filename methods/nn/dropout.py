"""Dropout whose masks come from a given generator, so that a run can be resumed and a translation repeated."""

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Sets each value to zero with probability p and divides the others by 1 - p, where a generator is given."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor, rng: torch.Generator | None) -> Tensor:
        """Any shape -> the same; rng on the device of x, or None: the input is returned."""
        if rng is None or self.p == 0:
            return x
        kept = torch.rand(x.shape, generator=rng, device=x.device) >= self.p
        return x * kept / (1 - self.p)
