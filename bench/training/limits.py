"""Networks that this machine cannot hold are refused while they are built, before they take its memory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from bench.core.errors import UserError

MOST_TENSORS = 100_000  # of weights; the largest networks here have some hundreds
COPIES = 4  # training holds the weights, their gradients and Adam's two averages
MEND = "choose smaller values for the fields that set their size (--set)"


def physical_memory() -> int:
    """The bytes of memory of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def bounded() -> Iterator[None]:
    """Raises UserError as soon as the networks that are built inside have more weights than can be trained here.

    The operating system may end a process that takes too much memory without a word, so it must not come to that.
    """
    tensors, size = 0, 0
    most = physical_memory() // COPIES

    def count(module: nn.Module, name: str, weight: Tensor | None) -> None:
        nonlocal tensors, size
        if weight is None:
            return
        tensors += 1
        size += weight.numel() * weight.element_size()
        if tensors > MOST_TENSORS:
            raise UserError(f"the networks have more than {MOST_TENSORS:,} tensors of weights; {MEND}")
        if size > most:
            raise UserError(
                f"the networks have more than {most / 1e9:.0f} GB of weights, and training takes {COPIES} times as "
                f"much, which is more than this machine has; {MEND}"
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
