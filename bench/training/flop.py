"""Floating-point operations of training, by torch's own counter: convolutions, products of matrices and attention.

One multiply-add is two operations (FLOP). Everything that runs counts: backward passes, penalties with their second
derivatives, passes without gradients. Sums, norms, activations and optimizers do not; they are small beside the rest.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

TERA = 10**12
COUNTED = 16  # steps of a training whose operations are counted


def _attention(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> int:
    return int(sdpa_flop_count(query.shape, key.shape, value.shape))


def _attention_backward(grad: Any, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> int:
    return int(sdpa_backward_flop_count(grad.shape, query.shape, key.shape, value.shape))


# attention as CPUs do it, which torch's registry lacks
_ON_CPU = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}


class FlopCounter(TorchDispatchMode):
    """While entered, adds up the FLOP of all that torch does; it changes no result.

    torch's FlopCounterMode also follows modules, which fails on gradients of gradients and on parametrised weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flop = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        known = dict(kwargs or {})
        count: Any = flop_registry.get(func._overloadpacket) or _ON_CPU.get(func._overloadpacket)
        if count is None:
            with self:  # what is made of other operations counts by these
                whole = func.decompose(*args, **known)
            return func(*args, **known) if whole is NotImplemented else whole
        result = func(*args, **known)
        self.flop += int(count(*args, **known, out_val=result))
        return result


def counted_steps(total: int) -> frozenset[int]:
    """At most COUNTED of the steps 0 ... total - 1, one at random from each of as many equal parts of the training.

    Equal for equal totals. The steps of some methods differ: phases, every third step, a number of passes that is
    drawn. The mean of these steps stands for all; where all steps are alike it is exact.
    """
    parts = min(COUNTED, total)
    bounds = [part * total // parts for part in range(parts + 1)]
    rng = np.random.default_rng([total, COUNTED])
    return frozenset(int(rng.integers(low, high)) for low, high in pairwise(bounds))


def of_all(flop: int, counted: int, total: int) -> int:
    """The FLOP of `total` steps, of which `counted` took `flop` together; 0 where none was counted."""
    if not counted:
        return 0
    return round(flop * total / counted) if flop * total % counted else flop * total // counted


@contextmanager
def counting(compiled: bool) -> Iterator[FlopCounter]:
    """A counter; networks that torch.compile changed run as they were, for what it makes of them cannot be counted."""
    eager: AbstractContextManager[Any] = nullcontext()
    if compiled and hasattr(torch.compiler, "set_stance"):  # torch 2.6
        eager = torch.compiler.set_stance("force_eager")
    with ExitStack() as stack:
        stack.enter_context(eager)
        yield stack.enter_context(FlopCounter())
