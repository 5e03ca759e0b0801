"""What the contract of a method itself does."""

import pytest
import torch

from bench.compute import Compute
from bench.method import Config, Method, Task
from bench.sampler import Stream
from bench.task import TaskData


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
