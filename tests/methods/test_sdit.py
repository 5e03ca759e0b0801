"""SDIT against its official code, hand calculations and a plain version of its iteration."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.errors import UserError
from bench.data.task import TaskData
from bench.methods.sdit import SDIT, SDITConfig
from bench.methods.sdit.networks import CINBranch, Discriminator, Generator
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Batch, Sampler

MakeTask = Callable[..., TaskData]
SMALL = (
    "resolution=16",
    "width=4",
    "encoder_blocks=1",
    "attention_blocks=1",
    "batch_size=4",
    "critic_steps=2",
)


def make(*settings: str, n_target: int = 6) -> SDIT:
    config = build(SDITConfig, SDIT.presets, "paper", [*SMALL, *settings])
    torch.manual_seed(0)
    model = SDIT(Task(config.resolution, 20, n_target, 3), config)
    model.rng.manual_seed(1)
    return model


def random_batch(n: int, classes: int = 2, channels: int = 3, side: int = 16) -> dict[str, Batch]:
    rng = torch.Generator().manual_seed(5)
    images = torch.rand(n, channels, side, side, generator=rng) * 2 - 1
    return {"source": Batch(images, torch.randint(0, classes, (n,), generator=rng), torch.arange(n))}


def train(model: SDIT, data: TaskData, first: int, last: int) -> list[dict[str, Tensor]]:
    sampler = Sampler(model.streams(data), data, 0, Compute.choose("cpu"))
    losses = []
    for step in range(first, last):
        losses.append(model.train_step(sampler.batch(step)))
        for schedule in model.schedulers.values():
            schedule.step()
    return losses


def count(network: nn.Module | None) -> int:
    assert network is not None
    return sum(p.numel() for p in network.parameters())


def test_parameter_counts_of_the_official_networks() -> None:
    with torch.device("meta"):
        g = Generator(3, 5, SDITConfig())
        assert g.cin is not None
        parts = (g.encoder, g.cin.blocks, g.cin.mlp, g.attention, g.decoder)
        assert tuple(map(count, parts)) == (7_765_376, 4_720_640, 331_264, 5_905_666, 665_152)
        assert count(g) == 19_388_098  # 19,683,522 of the code without its unused dummy stack of 295,424
        assert count(Generator(3, 5, SDITConfig(attention=False))) == 13_482_432
        d = Discriminator(3, 5, SDITConfig())
        assert count(d) == 44_909_840
        real, label, code = d(torch.empty(2, 3, 128, 128))
    assert (real.shape, label.shape, code.shape) == ((2, 1, 2, 2), (2, 5), (2, 8))


def test_parameter_counts_of_the_paper_variant() -> None:
    """Six blocks each; M is 8-256-n with 512 numbers a norm; 8 norms would make it the 1M of the paper."""
    with torch.device("meta"):
        g = Generator(3, 5, SDITConfig(variant="paper"))
        assert g.cin is not None
        assert count(g.cin.blocks) == 6 * 2 * (256 * 256 * 9 + 256)
        assert count(g.cin.mlp) == 8 * 256 + 256 + 256 * 12 * 512 + 12 * 512
        assert count(g.attention) == 6 * 1_180_672 + 256 * 9 + 2
        four = Generator(3, 5, SDITConfig(variant="paper", cin_blocks=4))
        assert four.cin is not None
        assert count(four.cin.mlp) == 8 * 256 + 256 + 256 * 4096 + 4096


def test_the_paper_preset_is_the_published_recipe() -> None:
    c = build(SDITConfig, SDIT.presets, "paper", [])
    with torch.device("meta"):
        model = SDIT(Task(128, 100, 10, 0), c)
    assert list(model.networks) == ["G", "D"] and not model.ema
    assert model.total_steps == 40_000 and c.critic_steps * model.total_steps == 200_000 and c.batch_size == 16
    weights = (c.gan_weight, c.cls_weight, c.gp_weight, c.rec_weight, c.lat_weight)
    assert weights == (1, 1, 10, 10, 800)
    for optimizer in model.optimizers.values():
        assert isinstance(optimizer, torch.optim.Adam)
        (group,) = optimizer.param_groups
        assert (group["lr"], group["betas"], group["weight_decay"]) == (1e-4, (0.5, 0.999), 0)


def test_the_learning_rate_follows_the_code_or_falls_to_zero() -> None:
    """By hand, 200,000 steps of the discriminator, 5 an iteration: full for 100,000, then a change every 1,000. The
    code takes lr / 100,000 away 100 times (solver.py, update_lr); falling to 0 takes lr / 100 each time."""
    for decay, once, half, last, end in (
        ("code", 1 - 1e-5, 1 - 50e-5, 1 - 99e-5, 1 - 100e-5),
        ("linear", 0.99, 0.5, 0.01, 0.0),
    ):
        model = make(f"lr_decay={decay}", "critic_steps=5", "batch_size=16", "budget_kimg=3200", "decay_every=1000")
        assert model.rate(0) == model.rate(20_000) == model.rate(20_199) == 1
        assert model.rate(20_200) == pytest.approx(once, rel=1e-9) == model.rate(20_399)
        assert model.rate(30_000) == pytest.approx(half, rel=1e-9)
        assert model.rate(39_999) == pytest.approx(last, rel=1e-9)
        assert model.rate(40_000) == pytest.approx(end, abs=1e-12)
    assert SDITConfig().lr_decay == "code"


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_a_latent_head_whose_units_are_all_negative_learns_on_only_with_a_slope(slope: float) -> None:
    """The code's head is a ReLU between two linear layers: below 0 its output is the last bias, whatever the image."""
    head = Discriminator(3, 2, SDITConfig(resolution=16, width=4, lat_slope=slope)).code
    features = torch.randn(5, 16, 2, 2, requires_grad=True)
    head[2].bias.data.fill_(-100.0)
    read = head(features)
    hidden = head[1](head[0](features)) @ head[2].weight.T - 100
    torch.testing.assert_close(read, slope * hidden @ head[4].weight.T + head[4].bias)
    (gradient,) = torch.autograd.grad(read.sum(), features)
    assert bool(gradient.any()) == (slope > 0)


def test_variants_and_overrides() -> None:
    code, paper = SDITConfig().settled, SDITConfig(variant="paper").settled
    assert (code.mixing, code.cin_blocks, code.attention_blocks, code.mlp_layers) == ("masked", 4, 5, 3)
    assert (code.cin_slices, code.lat_in_d, code.gan, code.cycle_code) == ("shared", False, "wgan-gp", "new")
    assert (paper.mixing, paper.cin_blocks, paper.attention_blocks, paper.mlp_layers) == ("blended", 6, 6, 2)
    assert (paper.cin_slices, paper.lat_in_d, paper.gan, paper.cycle_code) == ("own", True, "log", "same")
    mixed = SDITConfig(variant="paper", lat_in_d=False, gan="wgan-gp").settled
    assert (mixed.lat_in_d, mixed.gan, mixed.mixing) == (False, "wgan-gp", "blended")


@pytest.mark.parametrize("variant", ["code", "paper"])
def test_initialisation(variant: str) -> None:
    config = SDITConfig(variant=variant, width=32, resolution=32, encoder_blocks=1)
    torch.manual_seed(0)
    for network in (Generator(3, 2, config), Discriminator(3, 2, config)):
        for part in network.modules():
            if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)) and part.weight.numel() > 5000:
                fan_in = part.weight[0].numel()  # of a transposed conv too: the framework takes dimension 1
                wanted = 0.02 if variant == "paper" else 1 / math.sqrt(3 * fan_in)  # U(-1/sqrt(n), 1/sqrt(n))
                assert part.weight.std().item() == pytest.approx(wanted, rel=0.05)
            elif isinstance(part, nn.InstanceNorm2d):
                assert part.affine and part.running_mean is None


@pytest.mark.parametrize("width", [8, 16, 32, 64, 128])
def test_shared_slices_follow_the_code(width: int) -> None:
    """The code cuts 8w numbers off the front for each norm, but only while more than that are left."""
    left, offset, wanted = 1024, 0, []
    for _ in range(8):
        wanted.append(offset // (8 * width))
        if left > 8 * width:
            left, offset = left - 8 * width, offset + 8 * width
    with torch.device("meta"):
        branch = CINBranch(4 * width, 8, SDITConfig().settled)
    assert branch.slices == wanted
    if width == 64:
        assert wanted == [0, 1, 1, 1, 1, 1, 1, 1]
    if width == 16:
        assert wanted == list(range(8))


# The recipe of the official code, step by step and with nothing shared.


def normed(x: Tensor) -> Tensor:
    mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), unbiased=False, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5)


def plain_cin(branch: CINBranch, x: Tensor, code: Tensor) -> Tensor:
    numbers, c = branch.mlp(code), x.shape[1]
    for i, block in enumerate(branch.blocks):
        hidden = x
        for j, conv in enumerate((block.first, block.second)):
            start = branch.slices[2 * i + j] * 2 * c
            beta, gamma = numbers[:, start : start + c], numbers[:, start + c : start + 2 * c]
            hidden = F.conv2d(F.pad(hidden, (1, 1, 1, 1), mode="reflect"), conv.weight, conv.bias)
            hidden = normed(hidden) * gamma[:, :, None, None] + beta[:, :, None, None]
            hidden = F.relu(hidden) if j == 0 else hidden
        x = x + hidden
    return x


def plain_g(g: Generator, x: Tensor, label: Tensor, code: Tensor, classes: int) -> Tensor:
    planes = torch.zeros(len(x), classes, *x.shape[2:])
    for i, k in enumerate(label):
        planes[i, int(k)] = 1
    e = g.encoder(torch.cat([x, planes], 1))
    f = plain_cin(g.cin, e, code) if g.cin is not None else g.plain(e)
    if g.attention is not None:
        a = g.attention(e)
        assert a.shape[1] == 1 and ((a > 0) & (a < 1)).all()
        f = a * f if g.mixing == "masked" else (1 - a) * e + a * f
    return g.decoder(f)


def plain_iteration(model: SDIT, batch: dict[str, Batch], rng: torch.Generator, lat_weight: float) -> None:
    g, d, paper = model.generator, model.discriminator, model.config.variant == "paper"
    n, steps, k = model.config.batch_size, model.config.critic_steps, model.n_classes
    images, labels = batch["source"].image.split(n), batch["source"].label.split(n)
    wanted = [label[torch.randperm(n, generator=rng)] for label in labels]
    codes = torch.randn(steps * n, 8, generator=rng).split(n)

    def step(loss: Tensor, name: str) -> None:
        for optimizer in model.optimizers.values():
            optimizer.zero_grad()
        loss.backward()
        model.optimizers[name].step()

    for x, own, target, code in zip(images, labels, wanted, codes):
        share = torch.rand(n, generator=rng)
        fake = plain_g(g, x, target, code, k).detach()
        real_score, logits, _ = d(x)
        fake_score, _, read = d(fake)
        if paper:
            loss = -torch.sigmoid(real_score).log().mean() - (1 - torch.sigmoid(fake_score)).log().mean()
            loss = loss + lat_weight * (read - code).abs().mean()
        else:
            mixture = torch.stack([s * a + (1 - s) * b for s, a, b in zip(share, x, fake)]).requires_grad_()
            (gradient,) = torch.autograd.grad(d(mixture)[0].sum(), mixture, create_graph=True)
            penalty = (gradient.pow(2).sum((1, 2, 3)).sqrt() - 1).pow(2).mean()
            loss = -real_score.mean() + fake_score.mean() + 10 * penalty
        step(loss + F.cross_entropy(logits, own), "D")
    code = torch.randn(n, 8, generator=rng)
    again = code if paper else torch.randn(n, 8, generator=rng)
    fake = plain_g(g, images[-1], wanted[-1], code, k)
    score, logits, read = d(fake)
    loss = (1 - torch.sigmoid(score)).log().mean() if paper else -score.mean()
    loss = loss + F.cross_entropy(logits, wanted[-1])
    if model.config.cin:
        loss = loss + lat_weight * (read - code).abs().mean()
    step(loss + 10 * (images[-1] - plain_g(g, fake, labels[-1], again, k)).abs().mean(), "G")


@pytest.mark.parametrize(
    "settings", [(), ("variant=paper",), ("attention=false",), ("cin=false",), ("critic_steps=1",)]
)
def test_iterations_equal_the_plain_recipe(settings: tuple[str, ...]) -> None:
    """Two of them, with plain gradient descent instead of Adam, which blows rounding up where a gradient is zero."""
    ours, theirs = make("lat_weight=20", *settings), make("lat_weight=20", *settings)
    before = copy.deepcopy(ours.networks)
    for model in (ours, theirs):
        model.optimizers = {name: torch.optim.SGD(net.parameters(), lr=0.002) for name, net in model.networks.items()}
    rng = torch.Generator().manual_seed(1)
    batch = random_batch(ours.images_per_step)
    for _ in range(2):
        losses = ours.train_step(batch)
        plain_iteration(theirs, batch, rng, 20)
    assert all(torch.isfinite(value) and not value.requires_grad for value in losses.values())
    for name in "GD":
        pairs = zip(ours.networks[name].parameters(), theirs.networks[name].parameters())
        assert all(torch.allclose(a, b, atol=2e-6, rtol=1e-5) for a, b in pairs), name
        moved = max((a - b).abs().max() for a, b in zip(ours.networks[name].parameters(), before[name].parameters()))
        assert moved > 1e-4, name


class Flat(nn.Module):
    """A discriminator that can be worked out by hand: realness 2 * sum(x), logits (x_0, 0), code = the mean of x."""

    def trunk(self, x: Tensor) -> Tensor:
        return x

    def realness(self, x: Tensor) -> Tensor:
        return (2 * x).sum((1, 2, 3), keepdim=True)

    def label(self, x: Tensor) -> Tensor:
        return torch.stack([x[:, 0, 0, 0], 0 * x[:, 0, 0, 0]], 1)

    def code(self, x: Tensor) -> Tensor:
        return x.mean((1, 2, 3))[:, None].expand(-1, 8)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.realness(x), self.label(x), self.code(x)


@pytest.mark.parametrize("variant", ["code", "paper"])
def test_losses_by_hand(variant: str) -> None:
    model = make(f"variant={variant}", "lat_weight=3", "cls_weight=5", "rec_weight=7")
    model.discriminator = Flat()
    real, fake, x = (torch.full((2, 1, 2, 2), v) for v in (0.25, -0.5, 0.1))
    label, code = torch.tensor([0, 1]), torch.full((2, 8), 0.5)
    total, parts = model.discriminator_loss(real, label, fake, code, torch.tensor([0.0, 1.0]))
    real_score, fake_score = 2.0, -4.0
    cls = (math.log(1 + math.exp(-0.25)) + math.log(1 + math.exp(0.25))) / 2
    if variant == "code":
        penalty = (math.sqrt(4 * 2.0**2) - 1) ** 2  # four pixels, each with a slope of 2
        assert parts["gp"].item() == pytest.approx(penalty)
        wanted = -real_score + fake_score + 10 * penalty + 5 * cls
    else:
        latent = 1.0  # |-0.5 - 0.5|
        wanted = math.log(1 + math.exp(-real_score)) + math.log(1 + math.exp(fake_score)) + 5 * cls + 3 * latent
    assert total.item() == pytest.approx(wanted, rel=1e-5)

    total, parts = model.generator_loss(x, fake, label, code, rebuilt=x + 0.3)
    cls = (math.log(1 + math.exp(0.5)) + math.log(1 + math.exp(-0.5))) / 2
    adv = -fake_score if variant == "code" else math.log(1 - 1 / (1 + math.exp(-fake_score)))
    assert total.item() == pytest.approx(adv + 5 * cls + 3 * 1.0 + 7 * 0.3, rel=1e-5)


def test_the_latent_head_is_trained_only_where_asked() -> None:
    for lat_in_d in ("false", "true"):
        model = make(f"lat_in_d={lat_in_d}")
        before = copy.deepcopy(model.discriminator)
        model.train_step(random_batch(8))
        same = torch.equal(model.discriminator.code[0].weight, before.code[0].weight)
        assert same == (lat_in_d == "false")
        assert not torch.equal(model.discriminator.trunk[0].weight, before.trunk[0].weight)


def test_ablations() -> None:
    without = make("cin=false")
    assert without.guidance == "none" and without.generator.cin is None
    assert "g_lat" not in without.train_step(random_batch(8))
    assert "g_lat" not in make("lat_weight=0").train_step(random_batch(8))
    assert make("attention=false").generator.attention is None and make().guidance == "noise"


def test_batches(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data = tiny_task(n_source=30, n_target=3, resolution=16)
    for balanced, share in (("false", 3 / 33), ("true", 0.5)):
        model = make(f"balanced={balanced}", n_target=3)
        model.prepare(data, artifacts)
        streams = model.streams(data)
        assert list(streams) == ["source"] and streams["source"].augment.flip
        assert model.images_per_step == streams["source"].size == 8
        sampler = Sampler(streams, data, 0, Compute.choose("cpu"))
        labels = torch.cat([sampler.batch(step)["source"].label for step in range(100)])
        assert (labels == 1).float().mean().item() == pytest.approx(share, abs=0.07)


def test_translations() -> None:
    model = make()
    model.train_step(random_batch(8))
    model.train(False)
    torch.manual_seed(0)
    source, label = torch.rand(4, 3, 16, 16), torch.ones(4, dtype=torch.int64)
    state = copy.deepcopy(model.state_dict())

    def translate(seed: int, y: Tensor) -> Tensor:
        return model.translate(source, rng=torch.Generator().manual_seed(seed), label=y)

    out = translate(1, label)
    assert out.shape == source.shape and out.abs().max() <= 1 and not out.requires_grad
    assert torch.equal(out, translate(1, label))
    assert not torch.equal(out, translate(2, label)) and not torch.equal(out, translate(1, 0 * label))
    code = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(out, plain_g(model.generator, source, label, code, 2), atol=1e-5, rtol=1e-5)
    after = model.state_dict()["networks"]
    assert all(torch.equal(v, after[n][k]) for n, net in state["networks"].items() for k, v in net.items())


def test_resumed_training_is_bit_equal(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data = tiny_task(resolution=16)
    settings = ("budget_kimg=0.032", "lr_decay=linear", "decay_every=2")
    whole, first, second = make(*settings), make(*settings), make(*settings)
    for model in (whole, first, second):
        model.prepare(data, artifacts)
    losses = train(whole, data, 0, 4)
    train(first, data, 0, 2)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    again = train(second, data, 2, 4)
    for a, b in zip(losses[2:], again):
        assert all(torch.equal(a[name], b[name]) for name in a)
    for name in "GD":
        pairs = zip(whole.networks[name].parameters(), second.networks[name].parameters())
        assert all(torch.equal(a, b) for a, b in pairs)
        assert second.optimizers[name].param_groups[0]["lr"] == 0  # 4 iterations were all


@pytest.mark.parametrize(
    ("channels", "side", "classes", "more"),
    [
        (1, 64, "labels", ()),
        (3, 32, "modes:39", ("variant=paper",)),
        (3, 32, "domain", ("discriminator_layers=3",)),
        (3, 24, "domain", ()),
    ],
)
def test_other_tasks(channels: int, side: int, classes: str, more: tuple[str, ...]) -> None:
    config = build(SDITConfig, SDIT.presets, "paper", [*SMALL, f"resolution={side}", f"classes={classes}", *more])
    model = SDIT(Task(side, 50, 6, 3, channels), config)
    k = {"labels": 4, "modes:39": 40, "domain": 2}[classes]
    with torch.autocast("cpu", torch.bfloat16):
        found = model.train_step(random_batch(8, k, channels, side))
    assert all(torch.isfinite(value) for value in found.values())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("resolution=6", "resolution 6"),
        ("resolution=34", "resolution 34"),
        ("discriminator_layers=5", "cannot halve the image 5 times"),
        ("width=192", "cin_slices=shared"),
        ("mlp_layers=1", "mlp_layers"),
    ],
)
def test_what_it_cannot_take(setting: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(setting)
