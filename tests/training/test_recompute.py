"""Activation checkpointing: the same training to the bit, with fewer activations kept."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from bench.core.errors import UserError
from bench.core.registry import entries
from bench.runs.settings import RunSettings
from bench.testing import BFLOAT16, CPU, Case
from bench.training.compute import Compute
from bench.training.recompute import blocks, recompute_blocks


def cases(name: str, folder: Path, **settings: Any) -> tuple[Case, Case]:
    """The same method twice; the second one recomputes."""
    plain = Case(entries("methods")[name].load(), folder, settings)
    again = copy.deepcopy(plain)
    again.method.rng.set_state(plain.method.rng.get_state())
    for network in again.method.networks.values():
        recompute_blocks(network)
    return plain, again


def assert_equal_training(plain: Case, again: Case, compute: Compute) -> None:
    for step in range(2):
        wanted, found = (case.train(step, step + 1, compute=compute) for case in (plain, again))
        assert all(torch.equal(value, wanted[key]) for key, value in found.items())
    for name, network in plain.method.networks.items():
        state = again.method.networks[name].state_dict()
        assert list(state) == list(network.state_dict())
        for key, value in network.state_dict().items():
            assert torch.equal(value, state[key]), f"{name}.{key}"
    assert torch.equal(plain.method.rng.get_state(), again.method.rng.get_state())


@pytest.mark.parametrize("name", list(entries("methods")))
def test_every_method_trains_the_same_to_the_bit(name: str, tmp_path: Path) -> None:
    assert_equal_training(*cases(name, tmp_path), CPU)


@pytest.mark.parametrize("name", ["deepi2i", "funit"])
def test_under_autocast_too(name: str, tmp_path: Path) -> None:
    assert_equal_training(*cases(name, tmp_path), BFLOAT16)


def test_together_with_a_batch_in_parts(tmp_path: Path) -> None:
    """U-GAT-IT's discriminators have spectral norm, whose vectors move once for all parts."""
    plain, again = cases("ugatit", tmp_path, batch_size=2)
    for case in (plain, again):
        case.method.accumulate = 2
    assert_equal_training(plain, again, CPU)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 2, 3), nn.ReLU())


class Whole(nn.Module):
    """A stem of single layers, one of them under spectral norm, a list of blocks, and a block of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 2, 1), spectral_norm(nn.Conv2d(2, 2, 1)))
        self.trunk = nn.Sequential(Residual(), nn.ReLU(), nn.Sequential(Residual()))
        self.head = Residual()


def test_blocks_are_the_modules_that_hold_layers() -> None:
    whole = Whole()
    assert list(blocks(whole)) == [whole.trunk[0], whole.trunk[2][0], whole.head]
    assert list(blocks(nn.ModuleList([whole]))) == list(blocks(whole))


def kept_bytes(case: Case) -> int:
    """Of all tensors that the graphs of one iteration keep, or a block its inputs; weights and repeats left out."""
    sizes: dict[int, int] = {}
    weights = {p.untyped_storage().data_ptr() for net in case.method.networks.values() for p in net.parameters()}
    alive: list[Tensor] = []  # so that no address is used twice

    def pack(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
            alive.append(x)
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        case.method.train_step(case.sampler.batch(0))
    return sum(sizes.values())


@pytest.mark.parametrize("name", ["deepi2i", "funit"])
def test_less_is_kept(name: str, tmp_path: Path) -> None:
    plain, again = (kept_bytes(case) for case in cases(name, tmp_path))
    assert again < 0.7 * plain


class Noisy(nn.Module):
    """A block that does all that must not happen twice."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(3), nn.Dropout(0.5)

    def forward(self, x: Tensor, rng: torch.Generator) -> Tensor:
        return self.drop(self.norm(x)) * torch.rand(x.shape, generator=rng)


def test_statistics_dropout_generators_and_modes_are_those_of_the_first_pass() -> None:
    found = []
    for again in (False, True):
        torch.manual_seed(0)
        network, rng = nn.ModuleList([Noisy()]), torch.Generator().manual_seed(1)
        if again:
            recompute_blocks(network)
        x = torch.randn(4, 3, requires_grad=True)
        y = network[0](x, rng).square().sum()
        network.eval()
        torch.rand(1, generator=rng)
        y.backward()
        assert not network[0].training and not network[0].norm.training
        found.append([x.grad, rng.get_state(), torch.get_rng_state(), *network.state_dict().values()])
    assert all(torch.equal(a, b) for a, b in zip(*found))


def test_it_does_not_go_with_compile() -> None:
    with pytest.raises(UserError, match="--compile and --recompute do not go together"):
        RunSettings(compile=True, recompute=True)
