"""What the contract of a method itself does."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench.data.task import TaskData
from bench.training.compute import Compute
from bench.training.method import Config, Method, Task
from bench.training.sampler import Stream


class TwoNets(Method):
    name = "two-nets"
    paper = "none"
    Config = Config

    def __init__(self) -> None:
        super().__init__(Task(8, 1, 1, 0), Config())
        self.first, self.second = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
        self.networks = {"first": self.first, "second": self.second}
        self.optimizers = {name: torch.optim.SGD(net.parameters(), lr=1.0) for name, net in self.networks.items()}

    def streams(self, data: TaskData) -> dict[str, Stream]:
        return {}

    def train_step(self, batch: object) -> dict[str, torch.Tensor]:
        return {}

    def translate(self, source: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        return source


def test_minimise_gives_gradients_to_its_own_optimizer_alone() -> None:
    method = TwoNets()
    first, second = method.first, method.second
    before = second.weight.clone()
    method.minimise("first", second(first(torch.ones(2, 4))).sum())
    assert first.weight.grad is not None and second.weight.grad is None
    assert torch.equal(second.weight, before)


def test_after_minimise_autocast_sees_the_new_weights() -> None:
    """Autocast caches the cast weights of a step; the next loss of the same step must not be computed from old ones."""
    torch.manual_seed(0)
    method, x = TwoNets(), torch.ones(2, 4)
    net = method.first
    with Compute.choose("cpu", amp="bf16").autocast():
        method.minimise("first", net(x).float().sum())
        after = net(x)
    assert torch.equal(after, torch.nn.functional.linear(x.bfloat16(), net.weight.bfloat16(), net.bias.bfloat16()))


@pytest.mark.parametrize("kimg, steps", [(0.01, 4), (0.009, 3)])
def test_total_steps_cover_the_budget(kimg: float, steps: int) -> None:
    method = TwoNets()
    method.config = Config(batch_size=3, budget_kimg=kimg)
    assert method.total_steps == steps


class Products(TorchDispatchMode):
    """Counts matrix products."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("name", "frozen", "wanted"), [("first", False, 4), ("second", False, 3), ("first", True, 4)])
def test_minimise_computes_no_gradient_that_nobody_wants(name: str, frozen: bool, wanted: int) -> None:
    """Two forward. Back for `first`: through `second` to its input, then its own weights; for `second` its own weights.
    A plain backward pass makes five: also the weights of the network that does not step."""
    method = TwoNets()
    method.second.requires_grad_(not frozen)
    with Products() as products:
        method.minimise(name, method.second(method.first(torch.ones(2, 4))).square().sum())
    assert products.count == wanted
    with Products() as products:
        TwoNets().second(method.first(torch.ones(2, 4))).square().sum().backward()
    assert products.count == 5


@pytest.mark.parametrize(("limit", "step"), [(None, (3.0, 4.0)), (10.0, (3.0, 4.0)), (1.0, (0.6, 0.8))])
def test_minimise_scales_gradients_down_to_the_norm_it_is_given(limit: float | None, step: tuple[float, float]) -> None:
    """The gradient (3, 4) of two parameters has the norm 5, together."""
    method = TwoNets()
    parameters = [torch.nn.Parameter(torch.zeros(())) for _ in range(2)]
    method.optimizers["both"] = torch.optim.SGD(parameters, lr=1.0)
    method.minimise("both", 3 * parameters[0] + 4 * parameters[1], clip_norm=limit)
    assert [-p.item() for p in parameters] == pytest.approx(step, rel=1e-5)
