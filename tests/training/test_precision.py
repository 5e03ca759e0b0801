"""Which precision a GPU works in, that a record says so, and how the loss scale moves."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from test_method import TwoNets

from bench.core.registry import entries
from bench.testing import BFLOAT16, Case
from bench.training import compute
from bench.training.compute import Compute


@pytest.fixture
def switches() -> Iterator[None]:
    """Puts back what a test changes for the whole process."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark, cudnn.deterministic
    yield
    cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark, cudnn.deterministic = before
    torch.use_deterministic_algorithms(False)


def test_a_gpu_uses_tf32_and_sums_in_a_fixed_order_and_the_record_says_so(switches: None) -> None:
    compute._settle()
    assert torch.are_deterministic_algorithms_enabled()
    on_gpu = Compute(torch.device("cuda"), "bf16")
    settled = {"amp": "bf16", "tf32": True, "cudnn_benchmark": False, "deterministic": True}
    assert on_gpu.precision == settled
    with on_gpu.full_float32():
        assert on_gpu.precision == {**settled, "tf32": False}
    assert on_gpu.precision == settled
    torch.backends.cudnn.benchmark = True
    assert on_gpu.precision["cudnn_benchmark"]


def test_a_cpu_knows_no_tf32() -> None:
    assert Compute.choose("cpu").precision == {
        "amp": "off",
        "tf32": False,
        "cudnn_benchmark": False,
        "deterministic": True,
    }


def test_the_loss_scale_is_updated_once_an_iteration() -> None:
    method = TwoNets()
    method.scaler = torch.amp.GradScaler("cpu", enabled=True)
    for iteration in (1, 2):
        for name, network in method.networks.items():
            method.minimise(name, network(torch.ones(2, 4)).sum())
        method.end_iteration()
        assert method.scaler.state_dict()["_growth_tracker"] == iteration


def test_an_optimizer_may_step_twice_in_an_iteration() -> None:
    method = TwoNets()
    method.scaler = torch.amp.GradScaler("cpu", enabled=True)
    before = method.first.bias.detach().clone()
    for _ in range(2):
        method.minimise("first", method.first(torch.ones(2, 4)).sum())
    method.end_iteration()
    torch.testing.assert_close(before - method.first.bias, torch.full((4,), 4.0))  # two steps of rate 1, gradient 2


def test_exact_means_float32_under_every_autocast() -> None:
    method = TwoNets()
    with BFLOAT16.autocast():
        assert method.first(torch.ones(1, 4)).dtype == torch.bfloat16
        with method.exact():
            assert method.first(torch.ones(1, 4)).dtype == torch.float32


@pytest.mark.parametrize("name", ["starganv2", "funit", "balagan"])
def test_the_r1_penalty_is_that_of_float32_under_bfloat16(name: str, tmp_path: Path) -> None:
    """Of the first step: the penalty depends on real images and untouched weights alone."""
    cls = entries("methods")[name].load()
    plain, rounded = (Case(cls, tmp_path, {}) for _ in range(2))
    wanted = {k: v for k, v in plain.train(0, 1).items() if "r1" in k}
    found = rounded.train(0, 1, BFLOAT16)
    assert wanted
    first = min(wanted)
    assert found[first].item() == pytest.approx(wanted[first].item(), rel=1e-5)
