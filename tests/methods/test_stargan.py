"""StarGAN against its official code's counts, hand calculations and a plain version of its iteration."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import Artifacts, Batch, Task, TaskData, UserError
from bench.methods.nn import losses
from bench.methods.stargan import Discriminator, Generator, StarGAN, StarGANConfig
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.sampler import Sampler

MakeTask = Callable[..., TaskData]
SMALL = ("resolution=16", "width=4", "blocks=1", "batch_size=4", "critic_steps=2")


def make(*settings: str) -> StarGAN:
    config = build(StarGANConfig, StarGAN.presets, "paper", [*SMALL, *settings])
    torch.manual_seed(0)
    model = StarGAN(Task(16, 20, 6, 3), config)
    model.rng.manual_seed(1)
    return model


def random_batch(n: int, classes: int = 2) -> dict[str, Batch]:
    rng = torch.Generator().manual_seed(5)
    images = torch.rand(n, 3, 16, 16, generator=rng) * 2 - 1
    return {"source": Batch(images, torch.randint(0, classes, (n,), generator=rng), torch.arange(n))}


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_parameter_counts_of_the_official_code() -> None:
    """Five attributes at 128 pixels."""
    with torch.device("meta"):
        generator, discriminator = Generator(3, 5, 64, 6), Discriminator(3, 5, 64, 6, 128)
        assert count(generator) == 8_430_528 and count(discriminator) == 44_762_048
        scores, logits = discriminator(torch.empty(2, 3, 128, 128))
        image = generator(torch.empty(2, 3, 128, 128), torch.empty(2, 5))
    assert (scores.shape, logits.shape, image.shape) == ((2, 1, 2, 2), (2, 5), (2, 3, 128, 128))


@pytest.mark.parametrize(("side", "halvings", "kernel"), [(64, 5, 2), (128, 6, 2), (256, 6, 4)])
def test_depth_of_the_discriminator_follows_the_side(side: int, halvings: int, kernel: int) -> None:
    assert StarGANConfig(resolution=side).halvings == halvings
    with torch.device("meta"):
        model = StarGAN(Task(side, 20, 6, 3), StarGANConfig(resolution=side))
    assert model.discriminator.label[0].kernel_size == (kernel, kernel)
    assert len([m for m in model.discriminator.trunk if isinstance(m, nn.Conv2d)]) == halvings


def test_the_class_is_painted_over_the_image_and_reaches_the_output() -> None:
    model = make()
    first = model.generator.layers[0]
    assert isinstance(first, nn.Conv2d) and first.in_channels == 3 + 2 and first.padding_mode == "zeros"
    x = torch.rand(2, 3, 16, 16)
    to_source, to_target = (model.translate(x, label=torch.full((2,), c)) for c in (0, 1))
    assert not torch.allclose(to_source, to_target, atol=1e-4)
    back = model.translate_back(x, torch.Generator())
    assert back is not None and torch.equal(back, to_source)


def test_statistics_are_those_of_the_image_in_eval_mode_too() -> None:
    model = make()
    x, label = torch.rand(2, 3, 16, 16), torch.tensor([0, 1])
    trained = model.translate(x, label=label)
    model.train(False)
    assert torch.equal(trained, model.translate(x, label=label))


def test_the_paper_preset_is_the_official_code() -> None:
    c = build(StarGANConfig, StarGAN.presets, "paper", [])
    with torch.device("meta"):
        model = StarGAN(Task(128, 100, 10, 0), c)
    assert model.total_steps == 40_000 and c.critic_steps * model.total_steps == 200_000 and c.batch_size == 16
    assert (c.cls_weight, c.gp_weight, c.rec_weight) == (1, 10, 10) and not model.ema
    for optimizer in model.optimizers.values():
        (group,) = optimizer.param_groups
        assert (group["lr"], group["betas"], group["weight_decay"]) == (1e-4, (0.5, 0.999), 0)


def test_the_learning_rate_falls_by_a_hundred_thousandth_a_thousand_steps_as_in_the_code() -> None:
    """200,000 steps of D, 5 an iteration: constant up to 100,000, 9.99e-5 at the end."""
    with torch.device("meta"):
        model = StarGAN(Task(128, 100, 10, 0), StarGANConfig())
    assert model.rate(0) == model.rate(20_000) == model.rate(20_199) == 1
    assert model.rate(20_200) == 1 - 1e-5 == model.rate(20_399)
    assert 1e-4 * model.rate(40_000) == pytest.approx(9.99e-5)


def test_the_linear_learning_rate_falls_to_zero() -> None:
    with torch.device("meta"):
        model = StarGAN(Task(128, 100, 10, 0), StarGANConfig(lr_decay="linear"))
    assert model.rate(20_199) == 1 and model.rate(20_200) == pytest.approx(0.99)
    assert model.rate(30_000) == pytest.approx(0.5) and model.rate(40_000) == 0


class Flat(nn.Module):
    """A discriminator that can be worked out by hand: realness 2 * sum(x), logits (x_0, 0)."""

    def trunk(self, x: Tensor) -> Tensor:
        return x

    def realness(self, x: Tensor) -> Tensor:
        return (2 * x).sum((1, 2, 3), keepdim=True)

    def label(self, x: Tensor) -> Tensor:
        return torch.stack([x[:, 0, 0, 0], 0 * x[:, 0, 0, 0]], 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.realness(x), self.label(x)


def test_losses_by_hand() -> None:
    model = make("cls_weight=5", "rec_weight=7", "gp_weight=3")
    model.discriminator = Flat()
    real, fake, x = (torch.full((2, 1, 2, 2), value) for value in (0.25, -0.5, 0.1))
    label = torch.tensor([0, 1])
    total, parts = model.discriminator_loss(real, label, fake, torch.tensor([0.0, 1.0]))
    cls = (math.log(1 + math.exp(-0.25)) + math.log(1 + math.exp(0.25))) / 2
    penalty = (math.sqrt(4 * 2.0**2) - 1) ** 2  # four pixels, each with a slope of 2
    assert parts["gp"].item() == pytest.approx(penalty)
    assert total.item() == pytest.approx(-2.0 + -4.0 + 5 * cls + 3 * penalty, rel=1e-5)

    total, _ = model.generator_loss(x, fake, label, rebuilt=x + 0.3)
    cls = (math.log(1 + math.exp(0.5)) + math.log(1 + math.exp(-0.5))) / 2
    assert total.item() == pytest.approx(4.0 + 5 * cls + 7 * 0.3, rel=1e-5)


def test_gradient_penalty_of_a_mixture_by_hand() -> None:
    """D(x) = sum x^2: its gradient 2x has the norm 2 |x|, at the place that the share says."""
    real, fake = torch.full((2, 1, 1, 2), 1.0), torch.full((2, 1, 1, 2), -3.0)
    mixed = losses.mixture(real, fake, torch.tensor([0.25, 1.0]))
    assert mixed.flatten(1).tolist() == [[-2, -2], [1, 1]] and mixed.requires_grad
    norms = [2 * math.sqrt(8), 2 * math.sqrt(2)]
    found = losses.wgan_gp(mixed.square(), mixed)
    assert found.item() == pytest.approx(sum((norm - 1) ** 2 for norm in norms) / 2)


def plain_iteration(model: StarGAN, batch: dict[str, Batch], rng: torch.Generator) -> list[str]:
    """As the code does it: five times a translation and a step of D, then a step of G on a new translation."""
    c, n, g, d, order = model.config, model.config.batch_size, model.generator, model.discriminator, []
    images, labels = batch["source"].image.split(n), batch["source"].label.split(n)
    wanted = [label[torch.randperm(n, generator=rng)] for label in labels]

    def step(loss: Tensor, name: str) -> None:
        for optimizer in model.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        model.optimizers[name].step()
        order.append(name)

    for x, own, target in zip(images, labels, wanted):
        fake = g(x, F.one_hot(target, 2).float()).detach()
        scores, logits = d(x)
        share = torch.rand(n, generator=rng)[:, None, None, None]
        mixed = (share * x + (1 - share) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(d(mixed)[0].sum(), mixed, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        loss = -scores.mean() + d(fake)[0].mean() + F.cross_entropy(logits, own) + c.gp_weight * penalty
        step(loss, "D")
    fake = g(images[-1], F.one_hot(wanted[-1], 2).float())
    scores, logits = d(fake)
    again = g(fake, F.one_hot(labels[-1], 2).float())
    loss = -scores.mean() + F.cross_entropy(logits, wanted[-1]) + c.rec_weight * (again - images[-1]).abs().mean()
    step(loss, "G")
    return order


@pytest.mark.parametrize("critic_steps", [1, 3])
def test_iterations_equal_the_plain_recipe(critic_steps: int) -> None:
    """Two of them, with plain gradient descent instead of Adam, which blows rounding up where a gradient is zero."""
    ours, theirs = make(f"critic_steps={critic_steps}"), make(f"critic_steps={critic_steps}")
    before = copy.deepcopy(ours.networks)
    for model in (ours, theirs):
        model.optimizers = {name: torch.optim.SGD(net.parameters(), lr=0.002) for name, net in model.networks.items()}
    rng, batch, order = torch.Generator().manual_seed(1), random_batch(ours.images_per_step), []
    plain = ours.minimise
    ours.minimise = lambda name, loss: (order.append(name), plain(name, loss))  # type: ignore
    for _ in range(2):
        order.clear()
        ours.train_step(batch)
        assert order == plain_iteration(theirs, batch, rng) == ["D"] * critic_steps + ["G"]
    for name in "GD":
        pairs = list(zip(ours.networks[name].parameters(), theirs.networks[name].parameters()))
        assert all(torch.allclose(a, b, atol=2e-6, rtol=1e-5) for a, b in pairs), name
        moved = max((a - b).abs().max() for a, b in zip(ours.networks[name].parameters(), before[name].parameters()))
        assert moved > 1e-4, name


@pytest.mark.parametrize(("classes", "number"), [("domain", 2), ("labels", 4), ("modes:2", 3)])
def test_classes(tiny_task: MakeTask, artifacts: Artifacts, classes: str, number: int) -> None:
    """The target is one more class; all images are drawn in proportion, and every class equally often if asked."""
    model = make(f"classes={classes}", "encoder_width=4", "encoder_epochs=1", "encoder_batch=4", "balanced=true")
    data = tiny_task(n_target=2)
    assert model.n_classes == number
    model.prepare(data, artifacts)
    assert model.target_classes(data).tolist() == [number - 1] * 2
    sampler = Sampler(model.streams(data), data, 0, Compute.choose("cpu"))
    drawn = torch.cat([sampler.batch(step)["source"].label for step in range(100)])
    share = (drawn == number - 1).float().mean().item()
    assert abs(share - 1 / number) < 4 * math.sqrt(0.25 / 800)
    model.train_step(sampler.batch(0))
    assert (model.translate_back(torch.rand(1, 3, 16, 16), torch.Generator()) is None) == (classes != "domain")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("batch_size=1", "at least 2"),
        ("resolution=30", "cannot halve the image"),
        ("resolution=32 discriminator_layers=6", "lower discriminator_layers"),
        ("critic_steps=0", "at least 1"),
        ("decay_share=1.5", "at most 1"),
        ("classes=mode:3", "is not one of domain"),
    ],
)
def test_values_that_make_no_sense_are_one_line(setting: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        build(StarGANConfig, StarGAN.presets, "paper", setting.split())
    assert "\n" not in str(raised.value)
