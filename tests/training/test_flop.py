"""FLOP of training steps against hand counts: 2 x output positions x output channels x input channels x kernel."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.core.progress import Quiet
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.flop import FlopCounter, counted_steps, of_all
from bench.training.loop import Loop

CPU = Compute.choose("cpu")
# a batch of 2 images of 8 x 8: two convolutions with padding 1, 3 -> 8 and 8 -> 4 channels, kernels of 3 x 3
FIRST = 2 * 2 * 8 * 8 * 8 * 3 * 9
SECOND = 2 * 2 * 8 * 8 * 4 * 8 * 9


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.LeakyReLU(), nn.Conv2d(8, 4, 3, padding=1))


def images() -> Tensor:
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_a_forward_pass() -> None:
    with FlopCounter() as counter:
        network()(images())
    assert counter.flop == FIRST + SECOND


def test_a_backward_pass_takes_twice_the_forward_pass_but_for_the_images_gradient() -> None:
    """Each convolution has a gradient for its weights and one for its input; nobody asks for that of the images."""
    with FlopCounter() as counter:
        network()(images()).sum().backward()
    assert counter.flop == 2 * FIRST + 3 * SECOND


def test_a_gradient_penalty_counts_with_its_second_derivatives() -> None:
    """Of one convolution y = w * x: y itself, dy/dx, and then of |dy/dx|^2 the gradient for w. The gradient for x,
    which is zero, is not asked for."""
    conv, real = nn.Conv2d(3, 8, 3, padding=1), images().requires_grad_()
    with FlopCounter() as counter:
        (gradient,) = torch.autograd.grad((conv(real) ** 2).sum(), real, create_graph=True)
        gradient.square().sum().backward(inputs=list(conv.parameters()))
    forward, first = FIRST, FIRST
    second = 2 * FIRST  # of dy/dx for w: as a kernel, and through y, whose square makes dy/dx depend on it
    through = FIRST  # the gradient that arrives at y
    assert counter.flop == forward + first + second + through


def test_attention_and_products_count_also_without_gradients() -> None:
    query = torch.randn(1, 2, 5, 7)
    with FlopCounter() as counter, torch.inference_mode():
        nn.Linear(4, 6)(torch.randn(3, 4))
        torch.nn.functional.scaled_dot_product_attention(query, query, query)
    assert counter.flop == 2 * 3 * 4 * 6 + 2 * (2 * 2 * 5 * 5 * 7)


def test_attention_forth_and_back() -> None:
    """Forth two products; back five: the attention itself again, and two gradients of each product."""
    query, key, value = (torch.randn(1, 2, 5, 7, requires_grad=True) for _ in range(3))
    with FlopCounter() as counter:
        torch.nn.functional.scaled_dot_product_attention(query, key, value).sum().backward()
    assert counter.flop == (2 + 5) * (2 * 2 * 5 * 5 * 7)


def test_counting_changes_no_result() -> None:
    def trained(counter: FlopCounter | None) -> list[Tensor]:
        torch.manual_seed(0)
        model = network()
        optimizer = torch.optim.Adam(model.parameters())
        for _ in range(3):
            optimizer.zero_grad()
            if counter is None:
                model(images()).square().mean().backward()
                optimizer.step()
            else:
                with counter:
                    model(images()).square().mean().backward()
                    optimizer.step()
        return [p.detach().clone() for p in model.parameters()]

    assert all(map(torch.equal, trained(None), trained(FlopCounter())))


def test_one_step_of_each_part_of_a_training_is_counted() -> None:
    found = sorted(counted_steps(800))
    assert [step // 50 for step in found] == list(range(16))
    assert counted_steps(800) == counted_steps(800)
    assert counted_steps(3) == {0, 1, 2}


def test_equal_steps_are_exact_and_unequal_ones_are_averaged() -> None:
    huge = 10**15 + 1
    assert of_all(16 * huge, 16, 1001) == 1001 * huge
    assert of_all(10 + 20, 2, 5) == 75


class Walk:
    """A stage of a convolution that works on the images."""

    def __init__(self) -> None:
        self.net = network()

    def step(self, number: int) -> dict[str, Tensor]:
        return {"loss": self.net(images()).mean().detach()}

    def state_dict(self) -> dict:
        return self.net.state_dict()

    def load_state_dict(self, state: dict) -> None:
        self.net.load_state_dict(state)


def test_a_stage_says_what_all_its_steps_took(tmp_path: Path) -> None:
    walk = Walk()
    spent = Loop(CPU, Quiet()).run("train", tmp_path, walk, walk.step, 50, 2)
    assert spent.flop == 50 * (FIRST + SECOND)
    assert spent.cpu_seconds > 0


def test_an_artifact_keeps_what_it_took_for_every_run_that_uses_it(tmp_path: Path) -> None:
    def made(artifacts: Artifacts) -> None:
        def build(folder: Path) -> None:
            walk = Walk()
            artifacts.loop.run("stage", folder, walk, walk.step, 10, 2)
            np.save(folder / "x.npy", np.zeros(1))

        artifacts.make("kind", {"version": 1}, build)

    first, second = (Artifacts(tmp_path, Loop(CPU, Quiet())) for _ in range(2))
    assert first.flop == 0
    made(first)
    made(first)
    assert first.flop == 10 * (FIRST + SECOND)
    made(second)
    assert second.flop == first.flop
    (spent,) = tmp_path.glob("kind/*/spent.json")
    spent.unlink()
    assert second.flop is None
    assert second.uncounted == [spent.parent]


def test_a_stage_that_was_killed_and_goes_on_counts_each_step_once(tmp_path: Path) -> None:
    """The second half of the steps does twice the work, so it matters which steps are counted."""

    def uneven(walk: Walk, stop: int | None = None) -> Callable[[int], dict[str, Tensor]]:
        def step(number: int) -> dict[str, Tensor]:
            if number == stop:
                raise KeyboardInterrupt
            return [walk.step(number) for _ in range(1 + (number >= 20))][-1]

        return step

    whole, first, second = Walk(), Walk(), Walk()
    alone = Loop(CPU, Quiet()).run("train", tmp_path / "a", whole, uneven(whole), 40, 2)
    with pytest.raises(KeyboardInterrupt):
        Loop(CPU, Quiet(), 0).run("train", tmp_path / "b", first, uneven(first, 27), 40, 2)
    resumed = Loop(CPU, Quiet()).run("train", tmp_path / "b", second, uneven(second), 40, 2)
    assert resumed.flop == alone.flop == 60 * (FIRST + SECOND)
