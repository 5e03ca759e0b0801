"""The random numbers that a translation draws, as inputs: so an exported network draws nothing itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

KINDS = {torch.randn: "normal", torch.rand: "uniform"}
OTHERS = (torch.randint, torch.randperm, torch.multinomial, torch.bernoulli, torch.normal, torch.randn_like,
          torch.rand_like, torch.randint_like)  # fmt: skip


class NotExportable(Exception):
    """Why a method's translation cannot be exported."""


@dataclass(frozen=True)
class Draw:
    """One call of torch.randn ("normal": mean 0, deviation 1) or torch.rand ("uniform": from 0 to 1), and its shape."""

    kind: str
    shape: tuple[int, ...]


@dataclass
class Recorded(TorchFunctionMode):
    """While entered, remembers what is drawn. Raises NotExportable for draws of another kind."""

    draws: list[Draw] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in OTHERS:
            raise NotExportable(f"it draws with torch.{func.__name__} while it translates")
        if func in KINDS:
            self.draws.append(Draw(KINDS[func], tuple(result.shape)))
        return result


@dataclass
class Replayed(TorchFunctionMode):
    """While entered, every draw is the next of these tensors."""

    tensors: Sequence[Tensor]
    used: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in KINDS:
            return func(*args, **(kwargs or {}))
        self.used += 1
        return self.tensors[self.used - 1]
