"""Spectral norm against torch's own, its gradient, and one power iteration for all parts of a batch."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from bench.methods.deepi2i.biggan import DownBlock, SNConv, SNLinear, UpBlock
from bench.methods.nn.spectral import held, normalised_pass, power_iteration, spectral_norm

LAYERS = {
    "conv": lambda: nn.Conv2d(3, 5, 3),
    "transposed": lambda: nn.ConvTranspose2d(3, 5, 4, 2, 1),
    "linear": lambda: nn.Linear(12, 7),
}


def pair(kind: str) -> tuple[Any, Any]:
    """The same layer under our norm and under torch's, both made from equal seeds."""
    found = []
    for norm in (spectral_norm, parametrizations.spectral_norm):
        torch.manual_seed(3)
        layer = LAYERS[kind]()
        norm(layer)
        found.append(layer)
    return found[0], found[1]


def inputs(kind: str) -> Tensor:
    return torch.randn(2, 12) if kind == "linear" else torch.randn(2, 3, 8, 8)


@pytest.mark.parametrize("kind", LAYERS)
def test_values_gradients_and_vectors_are_torchs_through_a_training(kind: str) -> None:
    ours, theirs = pair(kind)
    optimizers = [torch.optim.SGD(layer.parameters(), 1e-3) for layer in (ours, theirs)]
    for _ in range(5):
        x = inputs(kind)
        for layer, optimizer in zip((ours, theirs), optimizers):
            optimizer.zero_grad()
            (layer(x).sin().sum() + layer(2 * x).cos().sum()).backward()  # two passes, as of a discriminator
            optimizer.step()
        torch.testing.assert_close(
            ours.parametrizations.weight.original, theirs.parametrizations.weight.original, rtol=1e-4, atol=1e-5
        )
        torch.testing.assert_close(ours.parametrizations.weight[0].v, theirs.parametrizations.weight[0]._v)


@pytest.mark.parametrize("kind", LAYERS)
def test_evaluation_leaves_no_trace_and_uses_the_weights_as_they_are(kind: str) -> None:
    layer, _ = pair(kind)
    layer.eval()
    before, x = copy.deepcopy(layer.state_dict()), inputs(kind)
    first = layer(x)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    with torch.no_grad():
        layer.parametrizations.weight.original.mul_(3.0)
    torch.testing.assert_close(layer(x), first)  # the norm takes the factor away


def test_the_gradient_of_a_gradient_reaches_the_weights() -> None:
    """As R1 and gradient penalties need it: against torch's norm."""
    found = []
    for layer in pair("conv"):
        torch.manual_seed(0)
        x = inputs("conv").requires_grad_()
        (slope,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
        slope.square().sum().backward()
        found.append(layer.parametrizations.weight.original.grad)
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-3)  # of gradients up to 30


def test_sigma_becomes_the_largest_singular_value() -> None:
    matrix = torch.randn(5, 9, generator=torch.Generator().manual_seed(0))
    left = torch.ones(5) / 5**0.5
    for _ in range(200):
        found = power_iteration(matrix, left)
        left = found.left
    assert found.sigma.item() == pytest.approx(torch.linalg.svdvals(matrix)[0].item(), rel=1e-5)


SMALL_INPUTS = {  # a layer, and an input with fewer numbers than its weight has
    "conv": (lambda: SNConv(6, 8), (1, 6, 4, 4)),
    "linear": (lambda: SNLinear(12, 7), (2, 12)),
    "pooled": (lambda: DownBlock(16, 24), (2, 16, 2, 2)),
    "pooled, as one conv": (lambda: DownBlock(64, 64), (2, 64, 16, 16)),
    "enlarged": (lambda: UpBlock(16, 24, 5), (2, 16, 2, 2)),
}


def by_weights(layer: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """The definition: W / sigma, sigma = u^T W v with fixed vectors, differentiated by torch."""
    weight, u0 = layer.weight, layer.u0
    assert isinstance(weight, Tensor) and isinstance(u0, Tensor)
    with torch.no_grad():
        found = power_iteration(weight.flatten(1), u0[0])
        u0.copy_(found.left[None])
    return x, weight / (found.left @ weight.flatten(1) @ found.right)


@pytest.mark.parametrize("kind", SMALL_INPUTS)
def test_a_small_input_is_divided_in_place_of_its_weight(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs and all gradients are those of W / sigma, to rounding."""
    make, shape = SMALL_INPUTS[kind]
    torch.manual_seed(0)
    block, inputs = make(), [torch.randn(shape), *([torch.randn(2, 5)] if kind == "enlarged" else [])]
    found = []
    for divide in (normalised_pass, by_weights):
        for module in ("bench.methods.deepi2i.biggan", "methods.deepi2i.biggan"):
            monkeypatch.setattr(f"{module}.normalised_pass", divide)
        layer = copy.deepcopy(block)
        x = inputs[0].clone().requires_grad_()
        y = layer(x, *inputs[1:])
        y.sin().sum().backward()
        found.append({"y": y, "x": x.grad, **{name: p.grad for name, p in layer.named_parameters()}})
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name], rtol=1e-4, atol=1e-5, msg=name)


def test_the_smaller_of_input_and_weight_is_divided() -> None:
    layer = SNConv(4, 4)
    for side, divided in ((2, True), (8, False)):
        x = torch.randn(1, 4, side, side)
        given, weight = normalised_pass(layer, x)
        assert (given is x) is not divided
        assert torch.equal(weight, layer.weight) is divided


class TestHeld:
    def test_parts_share_one_iteration_and_the_vector_moves_once(self) -> None:
        torch.manual_seed(0)
        layer, x = SNConv(3, 4), torch.randn(1, 3, 4, 4)
        alone = copy.deepcopy(layer)
        wanted = alone(x)
        with held(layer):
            parts = [layer(x) for _ in range(4)]
        assert all(torch.equal(part, wanted) for part in parts)
        assert torch.equal(layer.u0, alone.u0)
        assert not torch.equal(layer(x), wanted)  # outside every pass iterates

    def test_a_pass_in_evaluation_mode_does_not_move_the_vector_but_a_later_one_in_training_does(self) -> None:
        torch.manual_seed(0)
        layer, x = SNConv(3, 4), torch.randn(1, 3, 4, 4)
        before, alone = layer.u0.clone(), copy.deepcopy(layer)
        alone(x)
        with held(layer):
            layer.eval()
            layer(x)
            assert torch.equal(layer.u0, before)
            layer.train()
            layer(x)
        assert torch.equal(layer.u0, alone.u0)

    def test_each_part_may_go_backward_by_itself(self) -> None:
        torch.manual_seed(0)
        layer, x = SNConv(3, 4), torch.randn(6, 3, 4, 4)
        whole = copy.deepcopy(layer)
        whole(x).square().sum().backward()
        with held(layer):
            for part in x.chunk(3):
                layer(part).square().sum().backward()
        torch.testing.assert_close(layer.weight.grad, whole.weight.grad, rtol=1e-4, atol=1e-5)
