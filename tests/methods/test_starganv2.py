"""StarGAN v2 against its official code, hand calculations and a plain version of its iteration."""

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.errors import UserError
from bench.data.task import TaskData
from bench.methods.starganv2 import Countdown, StarGANv2, StarGANv2Config, partners
from bench.methods.starganv2.networks import Discriminator, DownBlock, Generator, MappingNetwork, StyleEncoder, UpBlock
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Batch, Sampler

MakeTask = Callable[..., TaskData]
SMALL = ("resolution=32", "width=4", "max_width=8", "mapping_width=6", "batch_size=4")


def make(*settings: str, preset: str = "paper", channels: int = 3, n_target: int = 6) -> StarGANv2:
    config = build(StarGANv2Config, StarGANv2.presets, preset, [*SMALL, *settings])
    torch.manual_seed(0)
    model = StarGANv2(Task(config.resolution, 20, n_target, 3, channels), config)
    model.rng.manual_seed(1)
    return model


def train(model: StarGANv2, data: TaskData, first: int, last: int) -> list[dict[str, Tensor]]:
    sampler = Sampler(model.streams(data), data, 0, Compute.choose("cpu"))
    return [model.train_step(sampler.batch(step)) for step in range(first, last)]


def random_batch(n: int, classes: int = 2, channels: int = 3, side: int = 32) -> dict[str, Batch]:
    rng = torch.Generator().manual_seed(5)

    def images() -> Tensor:
        return torch.rand(n, channels, side, side, generator=rng) * 2 - 1

    own, label = torch.randint(0, classes, (2, n), generator=rng)
    index = torch.arange(n)
    return {
        "source": Batch(images(), own, index),
        "reference": Batch(images(), label, index),
        "partner": Batch(images(), label, index),
    }


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("side", "w_hpf", "classes", "counts"),
    [
        (256, 0, 3, (33_892_995, 3_259_072, 20_949_760, 20_852_803)),
        (256, 1, 2, (43_467_395, 2_438_272, 20_916_928, 20_852_290)),
        (128, 0, 2, (33_632_003, 2_438_272, 20_799_744, 20_735_106)),
        (64, 0, 2, (32_634_883, 2_438_272, 20_327_808, 20_263_170)),
    ],
)
def test_parameter_counts_of_the_official_networks(
    side: int, w_hpf: float, classes: int, counts: tuple[int, ...]
) -> None:
    c = StarGANv2Config(resolution=side, w_hpf=w_hpf)
    with torch.device("meta"):
        networks = (
            Generator(3, c),
            MappingNetwork(c, classes),
            StyleEncoder(3, c, classes),
            Discriminator(3, c, classes),
        )
        assert tuple(map(count, networks)) == counts
        x, y = torch.empty(2, 3, side, side), torch.zeros(2, dtype=torch.int64)
        assert networks[0].encode(x).shape[2:] == ((8, 8) if w_hpf else (16, 16))
        style = networks[1](torch.empty(2, 16), y)
        assert style.shape == networks[2](x, y).shape == (2, 64)
        assert networks[0](x, style).shape == x.shape
        assert networks[3](x, y).shape == (2,)


def test_the_paper_preset_is_the_published_recipe() -> None:
    c = build(StarGANv2Config, StarGANv2.presets, "paper", [])
    with torch.device("meta"):
        model = StarGANv2(Task(128, 100, 10, 0), c)
    assert list(model.networks) == ["G", "F", "E", "D"] and list(model.ema) == ["G", "F", "E"]
    assert c.first_width == 128 and model.total_steps == 100_000 and c.batch_size == 8
    assert model.diversity.steps == 100_000 and model.diversity.value == 2.0
    for name, rate in (("G", 1e-4), ("F", 1e-6), ("E", 1e-4), ("D", 1e-4)):
        (group,) = model.optimizers[name].param_groups
        assert (group["lr"], group["betas"], group["weight_decay"]) == (rate, (0.0, 0.99), 1e-4)
        assert isinstance(model.optimizers[name], torch.optim.Adam)
    assert (c.style_weight, c.cycle_weight, c.r1_weight, c.ema_decay) == (1, 1, 1, 0.999)


def test_initialisation_and_averages_start_from_it() -> None:
    model = make("width=32", "max_width=64", "mapping_width=128")
    for name, network in model.networks.items():
        for part in network.modules():
            if isinstance(part, (nn.Conv2d, nn.Linear)):
                if part.weight.numel() > 5000:
                    wanted = math.sqrt(2 / part.weight[0].numel())
                    assert part.weight.std().item() == pytest.approx(wanted, rel=0.05)
                assert part.bias is None or not part.bias.any()
            elif isinstance(part, nn.InstanceNorm2d):
                assert (part.weight == 1).all() and not part.bias.any() and part.running_mean is None
        if name != "D":
            pairs = zip(network.parameters(), model.ema[name].parameters())
            assert all(torch.equal(a, b) for a, b in pairs)


# The recipe of the official code, step by step and with nothing shared.


def normed(x: Tensor) -> Tensor:
    mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), unbiased=False, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5)


def plain_down(b: DownBlock, x: Tensor) -> Tensor:
    hidden = b.conv1(F.leaky_relu(b.norm1(x), 0.2))
    hidden = F.avg_pool2d(hidden, 2) if b.down else hidden
    hidden = b.conv2(F.leaky_relu(b.norm2(hidden), 0.2))
    kept = b.shortcut(x)
    return ((F.avg_pool2d(kept, 2) if b.down else kept) + hidden) / math.sqrt(2)


def plain_styled(norm: nn.Module, x: Tensor, style: Tensor) -> Tensor:
    gamma, beta = norm.linear(style)[:, :, None, None].chunk(2, 1)  # type: ignore[operator]
    return (1 + gamma) * normed(x) + beta


def plain_up(b: UpBlock, x: Tensor, style: Tensor) -> Tensor:
    hidden = F.leaky_relu(plain_styled(b.norm1, x, style), 0.2)
    if b.up:
        x, hidden = (v.repeat_interleave(2, 2).repeat_interleave(2, 3) for v in (x, hidden))
    hidden = b.conv2(F.leaky_relu(plain_styled(b.norm2, b.conv1(hidden), style), 0.2))
    return hidden if b.high_pass else (hidden + b.shortcut(x)) / math.sqrt(2)


def plain_g(g: Generator, x: Tensor, style: Tensor) -> Tensor:
    x = g.from_rgb(x)
    for down in g.encoder:
        x = plain_down(down, x)
    for up in g.decoder:
        x = plain_up(up, x, style)
    return g.to_rgb(x)


def plain_trunk(trunk: nn.Sequential, x: Tensor) -> Tensor:
    x = trunk[0](x)
    for block in trunk[1:-3]:
        x = plain_down(block, x)
    return F.leaky_relu(trunk[-2](F.leaky_relu(x, 0.2)), 0.2)


def plain_e(e: StyleEncoder, x: Tensor, y: Tensor) -> Tensor:
    hidden = plain_trunk(e.trunk, x).flatten(1)
    return torch.stack([e.heads[int(k)](row) for row, k in zip(hidden, y)])


def plain_f(f: MappingNetwork, z: Tensor, y: Tensor) -> Tensor:
    return torch.stack([f.heads[int(k)](f.shared(row)) for row, k in zip(z, y)])


def plain_d(d: Discriminator, x: Tensor, y: Tensor) -> Tensor:
    logits = d.logits(plain_trunk(d.trunk, x))
    return torch.stack([row[int(k), 0, 0] for row, k in zip(logits, y)])


def bce(logits: Tensor, wanted: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, wanted))


def plain_iteration(model: StarGANv2, batch: dict[str, Batch], z: Tensor, z2: Tensor, ds_weight: float) -> None:
    g, f, e, d = (model.networks[name] for name in "GFED")
    x, own = batch["source"].image, batch["source"].label
    refs, label = (batch["reference"].image, batch["partner"].image), batch["reference"].label

    def styles(turn: str) -> tuple[Tensor, Tensor]:
        if turn == "latent":
            return plain_f(f, z, label), plain_f(f, z2, label)
        return plain_e(e, refs[0], label), plain_e(e, refs[1], label)

    def step(loss: Tensor, names: str) -> None:
        for optimizer in model.optimizers.values():
            optimizer.zero_grad()
        loss.backward()
        for name in names:
            model.optimizers[name].step()

    for turn in ("latent", "ref"):
        real = x.clone().requires_grad_()
        logits = plain_d(d, real, own)
        (gradient,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
        r1 = 0.5 * gradient.pow(2).sum((1, 2, 3)).mean()
        fake = plain_g(g, x, styles(turn)[0]).detach()
        step(bce(logits, 1) + bce(plain_d(d, fake, label), 0) + r1, "D")
    for turn in ("latent", "ref"):
        style, style2 = styles(turn)
        fake = plain_g(g, x, style)
        loss = bce(plain_d(d, fake, label), 1) + (plain_e(e, fake, label) - style).abs().mean()
        loss = loss - ds_weight * (fake - plain_g(g, x, style2).detach()).abs().mean()
        loss = loss + (plain_g(g, fake, plain_e(e, x, own)) - x).abs().mean()
        step(loss, "GFE" if turn == "latent" else "G")


@pytest.mark.parametrize("w_hpf", [0, 1])
def test_iterations_equal_the_plain_recipe(w_hpf: float) -> None:
    """Two of them: losses, weights, who is stepped when, and the falling diversity weight. Plain gradient descent
    instead of Adam, which blows rounding up where a gradient is zero."""
    ours = make(f"w_hpf={w_hpf}", "diversity_steps=4")
    theirs = make(f"w_hpf={w_hpf}")
    before = copy.deepcopy(ours.networks)
    for model in (ours, theirs):
        model.optimizers = {name: torch.optim.SGD(net.parameters(), lr=0.002) for name, net in model.networks.items()}
    draws = torch.Generator().manual_seed(1)
    batch = random_batch(4)
    for ds_weight in (2.0, 1.5):
        ours.train_step(batch)
        noise = torch.randn(8, 16, generator=draws)
        plain_iteration(theirs, batch, noise[:4], noise[4:], ds_weight)
    for name in "GFED":
        pairs = zip(ours.networks[name].parameters(), theirs.networks[name].parameters())
        assert all(torch.allclose(a, b, atol=5e-6, rtol=1e-5) for a, b in pairs), name
        moved = max((a - b).abs().max() for a, b in zip(ours.networks[name].parameters(), before[name].parameters()))
        assert moved > 5e-5, name


def test_discriminator_loss_by_hand() -> None:
    model = make("r1_weight=3")
    direction = torch.linspace(-1, 1, 12).reshape(3, 2, 2)
    model.discriminator = lambda x, y: (x * direction).sum((1, 2, 3)) * (y + 1)
    real, fake = torch.randn(2, 2, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    own, label = torch.tensor([0, 1]), torch.tensor([1, 0])
    total, parts = model.discriminator_loss(real, own, fake, label)

    def logit(image: Tensor, k: int) -> float:
        return (image * direction).sum().item() * (k + 1)

    wanted_real = sum(math.log(1 + math.exp(-logit(real[i], int(own[i])))) for i in range(2)) / 2
    wanted_fake = sum(math.log(1 + math.exp(logit(fake[i], int(label[i])))) for i in range(2)) / 2
    square = direction.square().sum().item()
    wanted_r1 = 0.5 * (square + 4 * square) / 2
    assert parts["real"].item() == pytest.approx(wanted_real, rel=1e-5)
    assert parts["fake"].item() == pytest.approx(wanted_fake, rel=1e-5)
    assert parts["r1"].item() == pytest.approx(wanted_r1, rel=1e-5)
    assert total.item() == pytest.approx(wanted_real + wanted_fake + 3 * wanted_r1, rel=1e-5)


def test_generator_loss_by_hand() -> None:
    model = make("style_weight=2", "cycle_weight=5", "diversity_weight=3", "diversity_steps=10")
    model.discriminator = lambda x, y: x.mean((1, 2, 3))
    shape = (2, 1, 2, 2)
    fake, fake2, rebuilt, x = (torch.full(shape, v) for v in (0.5, 0.2, 0.1, -0.3))
    style, judged = torch.zeros(2, 4), torch.tensor([[1.0, 1, 1, 1], [0, 0, 0, 2]])
    total, parts = model.generator_loss(fake, torch.tensor([0, 1]), style, judged, fake2, rebuilt, x)
    adv = math.log(1 + math.exp(-0.5))
    assert {k: round(v.item(), 5) for k, v in parts.items()} == {
        "adv": round(adv, 5),
        "sty": 0.75,
        "ds": 0.3,
        "cyc": 0.4,
    }
    assert total.item() == pytest.approx(adv + 2 * 0.75 - 3 * 0.3 + 5 * 0.4, rel=1e-5)


def test_the_diversity_weight_falls_to_zero() -> None:
    weight = Countdown(2.0, 4)
    seen = []
    for _ in range(6):
        seen.append(weight.value)
        weight.advance()
    assert seen == [2.0, 1.5, 1.0, 0.5, 0.0, 0.0]
    assert make("diversity_steps=none", "budget_kimg=0.04").diversity.steps == 10


def test_resumed_training_is_bit_equal(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data = tiny_task(resolution=32)
    whole, first = make("diversity_steps=5"), make("diversity_steps=5")
    for model in (whole, first):
        model.prepare(data, artifacts)
    losses = train(whole, data, 0, 4)
    train(first, data, 0, 2)
    second = make("diversity_steps=5")
    second.prepare(data, artifacts)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    again = train(second, data, 2, 4)
    assert second.diversity.done == 4
    for a, b in zip(losses[2:], again):
        assert all(torch.equal(a[name], b[name]) and torch.isfinite(a[name]) for name in a)
    for name in "GFED":
        pairs = zip(whole.networks[name].parameters(), second.networks[name].parameters())
        assert all(torch.equal(a, b) for a, b in pairs)


def test_the_average_follows_with_its_decay(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    model = make("ema_decay=0.75", "lr=0.01", "mapping_lr=0.01")
    before = {name: [p.clone() for p in net.parameters()] for name, net in model.ema.items()}
    model.train_step(random_batch(4))
    for name, average in model.ema.items():
        for old, p, now in zip(before[name], average.parameters(), model.networks[name].parameters()):
            torch.testing.assert_close(p, 0.75 * old + 0.25 * now)


def test_batches(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    """Both domains equally often in both batches; a reference always meets the same partner of its own class."""
    data = tiny_task(n_source=30, n_target=3, resolution=32)
    model = make("batch_size=16", n_target=3)
    model.prepare(data, artifacts)
    streams = model.streams(data)
    assert all(s.augment.crop_scale == (0.8, 1.0) and s.augment.crop_ratio == (0.9, 1.1) for s in streams.values())
    assert all(s.augment.flip for s in streams.values())
    sampler = Sampler(streams, data, 0, Compute.choose("cpu"))
    met: dict[int, int] = {}
    shares = []
    for step in range(40):
        batch = sampler.batch(step)
        assert torch.equal(batch["reference"].label, batch["partner"].label)
        assert not torch.equal(batch["source"].index, batch["reference"].index)
        shares.append([(batch[name].label == 1).float().mean().item() for name in ("source", "reference")])
        for one, other in zip(batch["reference"].index.tolist(), batch["partner"].index.tolist()):
            assert met.setdefault(one, other) == other
    assert np.abs(np.mean(shares, axis=0) - 0.5).max() < 0.08  # 640 draws: 4 standard deviations
    assert sorted(met) == sorted(met.values()) == list(range(33))
    assert {met[i] for i in (30, 31, 32)} == {30, 31, 32}

    unbalanced = make("balanced=false", n_target=3)
    unbalanced.prepare(data, artifacts)
    assert {s.order for s in unbalanced.streams(data).values()} == {"shuffled"}


def test_partners_do_not_change_when_a_run_is_resumed(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data = tiny_task(resolution=32)
    first, second = make(), make()
    for model in (first, second):
        model.prepare(data, artifacts)
    second.load_state_dict(first.state_dict())
    assert np.array_equal(first.streams(data)["partner"].partners, second.streams(data)["partner"].partners)
    torch.randn(3, generator=second.rng)
    assert np.array_equal(first.streams(data)["partner"].partners, second.streams(data)["partner"].partners)


def test_partners_are_a_permutation_inside_each_class() -> None:
    classes = np.array([0, 1, 0, 2, 1, 0, 1, 1])
    found = partners(classes, np.random.default_rng(0))
    assert sorted(found) == list(range(8)) and np.array_equal(classes[found], classes)
    assert not np.array_equal(found, np.arange(8))


@pytest.mark.parametrize("guide", ["noise", "reference"])
def test_translations(guide: str) -> None:
    model = make(f"guide={guide}")
    assert model.guidance == guide
    model.train_step(random_batch(4))
    torch.manual_seed(0)
    source, reference, label = torch.rand(4, 3, 32, 32), torch.rand(4, 3, 32, 32), torch.ones(4, dtype=torch.int64)
    state = copy.deepcopy(model.state_dict())

    def translate(seed: int, references: Tensor, y: Tensor) -> Tensor:
        return model.translate(source, references, torch.Generator().manual_seed(seed), y)

    out = translate(1, reference, label)
    assert out.shape == source.shape and not out.requires_grad
    assert torch.equal(out, translate(1, reference, label))
    assert torch.equal(out, translate(2, reference, label)) == (guide == "reference")
    assert torch.equal(out, translate(1, reference.flip(0), label)) == (guide == "noise")
    assert not torch.equal(out, translate(1, reference, 0 * label))
    style = (
        model.ema["F"](torch.randn(4, 16, generator=torch.Generator().manual_seed(1)), label)
        if guide == "noise"
        else model.ema["E"](reference, label)
    )
    torch.testing.assert_close(out, plain_g(model.ema["G"], source, style), atol=1e-4, rtol=1e-4)
    after = model.state_dict()
    for group in ("networks", "ema"):
        assert all(torch.equal(v, after[group][n][k]) for n, net in state[group].items() for k, v in net.items())


def test_every_network_is_trained_and_an_unused_head_is_too() -> None:
    model = make("classes=modes:3")
    batch = random_batch(4, classes=2)
    before = copy.deepcopy(model.networks)
    model.train_step(batch)
    for name in "GFED":
        pairs = zip(model.networks[name].parameters(), before[name].parameters())
        moved = [not torch.equal(new, old) for new, old in pairs if old.any()]  # biases start at 0; unused ones stay
        assert all(moved), name
    heads = model.mapping.heads
    assert len(heads) == 4  # three modes of the source, and the target
    assert not torch.equal(
        heads[3][0].weight, before["F"].heads[3][0].weight
    )  # weight decay reaches it, as in the code


@pytest.mark.parametrize(("channels", "side", "classes"), [(1, 64, "labels"), (3, 32, "modes:39"), (3, 16, "domain")])
def test_other_tasks(channels: int, side: int, classes: str) -> None:
    config = build(StarGANv2Config, StarGANv2.presets, "paper", [*SMALL, f"resolution={side}", f"classes={classes}"])
    model = StarGANv2(Task(side, 50, 6, 3, channels), config)
    k = {"labels": 4, "modes:39": 40, "domain": 2}[classes]
    assert len(model.mapping.heads) == k
    with torch.autocast("cpu", torch.bfloat16):
        found = model.train_step(random_batch(2, k, channels, side))
    assert all(torch.isfinite(value) and not value.requires_grad for value in found.values())


def test_classes_of_the_target(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data = tiny_task(resolution=32)
    model = make("classes=labels")
    model.prepare(data, artifacts)
    assert model.target_classes(data).tolist() == [3] * 6


@pytest.mark.parametrize("side", [8, 48])
def test_a_resolution_that_cannot_be_halved_is_refused(side: int) -> None:
    with pytest.raises(UserError, match=f"resolution {side}"):
        make(f"resolution={side}")
