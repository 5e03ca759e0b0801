"""Spectral normalisation (Miyato et al., ICLR 2018): weights divided by their largest singular value.

sigma is estimated by one power iteration a forward pass, from a vector that the layer keeps. The division and its
gradient, which goes through sigma as well, are one function of autograd: on a GPU a pass of a layer starts 8 kernels
and its gradient 4, where torch.nn.utils.parametrizations.spectral_norm has 13 and 9. Where a layer's input is smaller
than its weight, that is divided in its place.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils import parametrize

from bench import as_in_first_turn

Layer = TypeVar("Layer", bound=nn.Module)


@dataclass
class Direction:
    """Estimates of the first singular vectors of a matrix W (rows, columns): left (rows,), right (columns,), both of
    length 1, and sigma = left^T W right."""

    left: Tensor
    right: Tensor
    sigma: Tensor

    @property
    def transposed(self) -> "Direction":
        return Direction(self.right, self.left, self.sigma)


@torch.no_grad()
def power_iteration(matrix: Tensor, left: Tensor) -> Direction:
    """right = normalise(W^T left), the next left = normalise(W right), sigma = |W right|."""
    right = matrix.mT.mv(left)
    product = matrix.mv(right)  # of the right before it is normalised, whose length cancels out
    lengths = torch.linalg.vector_norm(product), torch.linalg.vector_norm(right)
    return Direction(product / lengths[0], right / lengths[1], lengths[0] / lengths[1])


def divided(weight: Tensor, direction: Direction, rows: int = 0) -> Tensor:
    """weight / sigma. `rows` is the dimension of the weight that the matrix has as rows; the others are its columns."""
    made: Tensor = _Divide.apply(weight, direction.sigma, direction.left, direction.right, rows)
    return made


class _Divide(torch.autograd.Function):
    """W / sigma with sigma = u^T W v, u and v fixed: the gradient of a loss is (g - <g, W / sigma> u v^T) / sigma."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, sigma: Tensor, left: Tensor, right: Tensor, rows: int) -> Tensor:
        made = weight / sigma
        ctx.save_for_backward(made, sigma, left, right)
        ctx.rows = rows
        return made

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        made, sigma, left, right = ctx.saved_tensors
        along = torch.dot(grad.flatten(), made.flatten())
        matrix = grad.transpose(0, ctx.rows)
        gradient = torch.addr(matrix.flatten(1), left * along, right, alpha=-1).div_(sigma)
        return gradient.view(matrix.shape).transpose(0, ctx.rows), None, None, None, None


class _Sigma(torch.autograd.Function):
    """(W, sigma) as they are. What reaches sigma = u^T W v joins the gradient of W as u v^T times that."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, sigma: Tensor, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(left, right)
        return weight.view_as(weight), sigma.view_as(sigma)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_weight: Tensor, of_sigma: Tensor) -> tuple[Tensor, None, None, None]:
        left, right = ctx.saved_tensors
        return torch.addr(of_weight.flatten(1), left * of_sigma, right).view(of_weight.shape), None, None, None


class SpectralNorm(nn.Module):
    """The parametrisation of torch's spectral_norm: same draws, same vectors, same values in training.

    In evaluation mode the iteration is made as well, and forgotten: torch divides by a sigma of the weights before the
    last step there.
    """

    v: Tensor

    def __init__(self, weight: Tensor, rows: int, warm_up: int = 15) -> None:
        super().__init__()
        self.rows = rows
        matrix = self._matrix(weight.detach())
        torch.randn_like(matrix[:, 0])  # torch draws u first, of which nothing is left after an iteration
        v = F.normalize(torch.randn_like(matrix[0]), dim=0)
        for _ in range(warm_up):
            v = power_iteration(matrix.mT, v).left
        self.register_buffer("v", v)

    def forward(self, weight: Tensor) -> Tensor:
        with without_autocast(weight):
            step = as_in_first_turn(self, lambda: self._iteration(weight))
            return divided(weight, step.transposed, self.rows)

    def _iteration(self, weight: Tensor) -> Direction:
        step = power_iteration(self._matrix(weight).mT, self.v)
        if self.training:
            self.v.copy_(step.left)
        return step

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.transpose(0, self.rows).flatten(1)


def spectral_norm(layer: Layer) -> Layer:
    """Puts the weight of a conv, transposed conv or linear layer under spectral norm, and returns the layer."""
    assert isinstance(layer.weight, Tensor)
    rows = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight, rows))
    return layer


@dataclass
class Held:
    """What a layer found in the first pass of a stretch in which weights do not change."""

    direction: Direction | None = None
    moved: bool = False
    made: Tensor | None = None  # of passes without gradients


@contextmanager
def held(*networks: nn.Module) -> Iterator[None]:
    """Layers with a vector u0 make one power iteration inside, whatever the number of passes: for the parts of an
    accumulated batch, between two steps of the optimizer."""
    layers = [module for network in networks for module in network.modules() if "u0" in module._buffers]
    for layer in layers:
        layer.held = Held()  # type: ignore[assignment]
    try:
        yield
    finally:
        for layer in layers:
            del layer.held


def normalised(layer: nn.Module) -> Tensor:
    """Weight / sigma of a layer that keeps its left vector as u0 (1, rows), as BigGAN's do; it moves in training."""
    weight, kept = _weight(layer), _held(layer)
    with without_autocast(weight):
        direction = _direction(layer, kept)
        if torch.is_grad_enabled():
            return divided(weight, direction)
        if kept.made is None:
            kept.made = weight / direction.sigma
        return kept.made


def normalised_pass(layer: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """An input and a weight with layer(input, weight) = layer(x, weight / sigma), for a layer that is linear in its
    input but for its bias. On a CPU the smaller of the two is divided: at small maps that is x, by far. A GPU waits for
    the starts of kernels, of which this takes more."""
    weight = _weight(layer)
    if x.device.type != "cpu" or x.numel() >= weight.numel() or not torch.is_grad_enabled():
        return x, normalised(layer)
    with without_autocast(weight):
        direction = _direction(layer, _held(layer))
        same, sigma = _Sigma.apply(weight, direction.sigma, direction.left, direction.right)
        return x / sigma, same


def _weight(layer: nn.Module) -> Tensor:
    assert isinstance(layer.weight, Tensor)
    return layer.weight


def _held(layer: nn.Module) -> Held:
    return layer.__dict__.get("held") or Held()


def _direction(layer: nn.Module, kept: Held) -> Direction:
    """That of this pass, or of an earlier one of the same stretch; the layer's vector moves in training, once."""

    def find() -> Direction:
        u0 = layer.u0
        assert isinstance(u0, Tensor)
        if kept.direction is None:
            kept.direction = power_iteration(_weight(layer).flatten(1), u0[0])
        if layer.training and not kept.moved:
            u0.copy_(kept.direction.left[None])
            kept.moved = True
        return kept.direction

    return as_in_first_turn(layer, find)


def without_autocast(weight: Tensor) -> AbstractContextManager[Any]:
    """Matrix-vector products in bfloat16 would miss sigma by per cents."""
    kind = weight.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()
