"""Activation checkpointing (Chen et al., arXiv 1604.06174): a block keeps its inputs, and makes what lies between anew
in the backward pass. Less memory for about a third more arithmetic, and the same gradients to the bit.

What a pass draws or moves it does once: the second pass of a block sees generators, dropout and the vectors of spectral
norm as the first one did, and moves no running statistics.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bench.training.share import recorded, repeated

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def recompute_blocks(network: nn.Module) -> None:
    """In place; names of parameters stay. Copies of the network do as it does."""
    for block in blocks(network):
        block.forward = MethodType(_recomputed, block)


def blocks(network: nn.Module) -> Iterator[nn.Module]:
    """The modules that hold layers, such as residual blocks; of one that holds a list of such, those of the list."""
    for child in network.children():
        if isinstance(child, CONTAINERS) or _holds_blocks(child):
            yield from blocks(child)
        elif _is_block(child):
            yield child


def _holds_blocks(module: nn.Module) -> bool:
    return any(isinstance(part, CONTAINERS) and any(map(_is_block, part.children())) for part in module.modules())


def _is_block(module: nn.Module) -> bool:
    own = [child for name, child in module.named_children() if name != "parametrizations"]  # as of spectral norm
    return bool(own) and not isinstance(module, CONTAINERS)


def _recomputed(block: nn.Module, *args: Any, **kwargs: Any) -> Any:
    def plain(*args: Any, **kwargs: Any) -> Any:
        return type(block).forward(block, *args, **kwargs)

    if not torch.is_grad_enabled():
        return plain(*args, **kwargs)
    again = _first_pass(block, [x for x in (*args, *kwargs.values()) if isinstance(x, torch.Generator)])
    return checkpoint(plain, *args, use_reentrant=False, context_fn=again, **kwargs)


def _first_pass(block: nn.Module, generators: list[torch.Generator]) -> Callable[[], tuple[Any, Any]]:
    """The contexts of a pass and of its repetitions."""
    made: dict[int, list[Any]] = {}
    modes = [(module, module.training) for module in block.modules()]
    states = [generator.get_state() for generator in generators]

    return lambda: (recorded(made), Repeatable(lambda: _second_pass(block, made, modes, list(zip(generators, states)))))


class Repeatable(AbstractContextManager[None]):
    """Opens a context anew each time: a gradient of a gradient repeats a pass twice."""

    def __init__(self, make: Callable[[], AbstractContextManager[None]]) -> None:
        self._make = make
        self._open: list[AbstractContextManager[None]] = []

    def __enter__(self) -> None:
        self._open.append(self._make())
        self._open[-1].__enter__()

    def __exit__(self, *error: Any) -> None:
        self._open.pop().__exit__(*error)


@contextmanager
def _second_pass(
    block: nn.Module,
    made: dict[int, list[Any]],
    modes: list[tuple[nn.Module, bool]],
    states: list[tuple[torch.Generator, Tensor]],
) -> Iterator[None]:
    later = [(generator, generator.get_state()) for generator, _ in states]
    for generator, state in states:
        generator.set_state(state)
    try:
        with _in_modes(modes), _on_copies_of_buffers(block), repeated(made):
            yield
    finally:
        for generator, state in later:
            generator.set_state(state)


@contextmanager
def _in_modes(modes: list[tuple[nn.Module, bool]]) -> Iterator[None]:
    """Training or not, as it was in the first pass."""
    later = [(module, module.training) for module, _ in modes]
    for module, training in modes:
        module.training = training
    try:
        yield
    finally:
        for module, training in later:
            module.training = training


@contextmanager
def _on_copies_of_buffers(block: nn.Module) -> Iterator[None]:
    """What the pass writes into buffers is forgotten; the tensors themselves are not touched."""
    own: list[tuple[dict[str, Tensor | None], str, Tensor]] = [
        (module._buffers, name, buffer)
        for module in block.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    for place, name, buffer in own:
        place[name] = buffer.clone()
    try:
        yield
    finally:
        for place, name, buffer in own:
            place[name] = buffer
