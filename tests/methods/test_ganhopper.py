"""GANHopper against the counts of the official code and hand calculations."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import Unfit
from bench.data.task import TaskData
from bench.methods.ganhopper import Discriminator, GANHopper, GANHopperConfig, Generator
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Batch, Sampler

MakeTask = Callable[..., TaskData]
SMALL = ("resolution=16", "width=4", "blocks=1", "discriminator_layers=2", "batch_size=2", "hops=3")


def make(*settings: str) -> GANHopper:
    config = build(GANHopperConfig, GANHopper.presets, "paper", [*SMALL, *settings])
    torch.manual_seed(0)
    return GANHopper(Task(config.resolution, 20, 6, 3), config)


def first_batch(model: GANHopper, data: TaskData) -> dict[str, Batch]:
    return Sampler(model.streams(data), data, 0, Compute.choose("cpu")).batch(0)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def images(n: int, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_parameter_counts_and_shapes_of_the_official_code() -> None:
    with torch.device("meta"):
        model = GANHopper(Task(128, 100, 10, 0), GANHopperConfig())
        assert model.networks["G_AB"](torch.empty(1, 3, 128, 128)).shape == (1, 3, 128, 128)
        assert model.networks["H"](torch.empty(1, 3, 128, 128)).shape == (1, 1, 14, 14)
    assert {name: count(net) for name, net in model.networks.items()} == {
        "G_AB": 14_925_440,
        "G_BA": 14_925_440,
        "D_A": 2_765_568,
        "D_B": 2_765_568,
        "H": 2_765_568,
    }


@pytest.mark.parametrize("network", [Generator(3, 32, 2), Discriminator(3, 32, 3)])
def test_initialisation(network: nn.Module) -> None:
    """A normal of deviation 0.02, cut at two deviations, has the deviation 0.02 * 0.8796 = 0.0176."""
    convs = [m.weight.flatten() for m in network.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    scales = torch.cat([m.weight for m in network.modules() if isinstance(m, nn.InstanceNorm2d)])
    assert torch.cat(convs).std().item() == pytest.approx(0.0176, rel=0.02) and torch.cat(convs).abs().max() <= 0.04
    assert scales.mean().item() == pytest.approx(1, abs=0.01) and scales.std().item() == pytest.approx(0.02, rel=0.25)


def test_generator_loss_by_hand() -> None:
    model, a, b = (
        make("adv_weight=2", "hybrid_weight=3", "cycle_weight=5", "smooth_weight=7"),
        images(2, 1),
        images(2, 2),
    )
    nets = model.networks
    fake_a, fake_b = nets["G_BA"](b), nets["G_AB"](a)
    total, parts = model.generator_loss(a, b, fake_a, fake_b, way=0.25)

    def squares(name: str, image: Tensor, wanted: float) -> float:
        return ((nets[name](image) - wanted) ** 2).mean().item()

    def l1(one: Tensor, other: Tensor) -> float:
        return (one - other).abs().mean().item()

    by_hand = {
        "adversarial": squares("D_B", fake_b, 1) + squares("D_A", fake_a, 1),
        "hybrid": squares("H", fake_b, 0.25) + squares("H", fake_a, 0.75),
        "cycle": l1(nets["G_BA"](fake_b), a) + l1(nets["G_AB"](fake_a), b),
        "smooth": l1(fake_b, a) + l1(fake_a, b),
    }
    assert {name: part.item() for name, part in parts.items()} == pytest.approx(by_hand, rel=1e-4)
    assert total.item() == pytest.approx(sum(w * v for w, v in zip((2, 3, 5, 7), by_hand.values())), rel=1e-4)


def test_discriminator_losses_by_hand() -> None:
    """H is trained on real images alone: 0 for the source, 1 for the target."""
    model, (real_a, real_b, fake_a, fake_b) = make(), (images(2, seed) for seed in range(4))
    nets = model.networks

    def half(name: str, true: Tensor, false: Tensor) -> float:
        return 0.5 * (((nets[name](true) - 1) ** 2).mean() + (nets[name](false) ** 2).mean()).item()

    by_hand = {
        "D_A": half("D_A", real_a, fake_a),
        "D_B": half("D_B", real_b, fake_b),
        "H": half("H", real_b, real_a),
    }
    totals = []
    model.minimise = lambda _, loss: totals.append(loss.item())
    losses = model._discriminator_step(real_a, real_b, fake_a, fake_b)
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(by_hand, rel=1e-4)
    assert totals == pytest.approx([sum(by_hand.values())], rel=1e-4)


def test_an_iteration_hops_from_the_translations_of_the_hop_before(tiny_task: MakeTask) -> None:
    """Three sub-steps of G and D; the second begins with what the first made, of the other domain each."""
    model = make("pool_size=0")
    batch = first_batch(model, tiny_task())
    steps, begun = [], []
    plain, plain_loss = model.minimise, model.generator_loss
    model.minimise = lambda name, loss: (steps.append(name), plain(name, loss))  # type: ignore
    model.generator_loss = lambda *args: (begun.append(args), plain_loss(*args))[1]  # type: ignore
    model.train_step(batch)
    assert steps == ["G", "D"] * 3
    assert [hop[4] for hop in begun] == pytest.approx([1 / 3, 2 / 3, 1])
    assert torch.equal(begun[0][0], batch["A"].image) and torch.equal(begun[0][1], batch["B"].image)
    for before, after in pairwise(begun):
        assert torch.equal(after[0], before[3]), "G_AB goes on from what G_AB made"
        assert torch.equal(after[1], before[2]), "G_BA goes on from what G_BA made"
        assert not after[0].requires_grad, "gradients end at a hop"


def test_the_discriminators_always_see_the_real_images_of_the_iteration(tiny_task: MakeTask) -> None:
    model = make()
    batch = first_batch(model, tiny_task())
    seen = []
    plain = model._discriminator_step
    model._discriminator_step = lambda a, b, **fakes: (seen.append((a, b)), plain(a, b, **fakes))[1]  # type: ignore
    model.train_step(batch)
    assert len(seen) == 3
    assert all(torch.equal(a, batch["A"].image) and torch.equal(b, batch["B"].image) for a, b in seen)


def test_every_hop_is_an_output() -> None:
    model, x = make(), images(2)
    steps = model.translate_steps(x)
    by_hand = [x]
    for _ in range(3):
        by_hand.append(model.networks["G_AB"](by_hand[-1]))
    assert len(steps) == 3 and all(torch.equal(a, b) for a, b in zip(steps, by_hand[1:]))
    assert torch.equal(model.translate(x), steps[-1])
    back = x
    for _ in range(3):
        back = model.networks["G_BA"](back)
    assert torch.equal(model.translate_back(x, torch.Generator()), back)


def test_the_rate_falls_over_the_last_quarter() -> None:
    model = make("budget_kimg=0.016")  # eight iterations of two images
    assert [model.rate(step) for step in range(8)] == pytest.approx([1] * 7 + [0.5])
    assert [make("budget_kimg=0.016", "decay_share=0").rate(step) for step in (0, 7)] == [1, 1]
    group = model.optimizers["G"].param_groups[0]
    assert group["betas"] == (0.5, 0.999) and group["initial_lr"] == 2e-4


def test_budget_and_streams_are_the_codes(tiny_task: MakeTask) -> None:
    model = make()
    assert model.budget_images == 100 * 20
    streams = model.streams(tiny_task())
    assert all(stream.augment.load_size == 18 and stream.augment.flip for stream in streams.values())


def test_impossible_resolutions_name_the_mend() -> None:
    with pytest.raises(Unfit, match="at least 32 with discriminator_layers=3"):
        GANHopperConfig(resolution=16)
