"""JD-BW against its paper and hand calculations."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import UserError
from bench.data.task import TaskData
from bench.methods.jdbw import JDBW, JDBWConfig, gradient_penalty, weighted_difference
from bench.methods.jdbw.networks import Generator, JointDiscriminator, LargeGenerator
from bench.methods.nn.batch_weight import (
    Progress,
    ScoreNetwork,
    clip_bound,
    clipped_softmax,
    effective_size,
    with_uniform,
)
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Sampler

MakeTask = Callable[..., TaskData]
ALL = ("joint", "jd_only", "one_sided")
WEIGHTINGS = ("composite", "pair", "one_domain")


def make(*settings: str, preset: str = "smoke") -> JDBW:
    config = build(JDBWConfig, JDBW.presets, preset, list(settings))
    torch.manual_seed(0)
    return JDBW(Task(config.resolution, 20, 6, 3), config)


def vector(*settings: str) -> JDBW:
    """Fully connected, 8 pixels, m = 4: quick."""
    return make("resolution=8", "batch_size=4", "d_steps=1", "width=8", *settings, preset="digits")


def train(model: JDBW, data: TaskData, first: int, last: int) -> list[dict[str, Tensor]]:
    sampler = Sampler(model.streams(data), data, 0, Compute.choose("cpu"))
    return [model.train_step(sampler.batch(step)) for step in range(first, last)]


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def images(n: int, seed: int, side: int = 8) -> Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def four(side: int = 8) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, gy, gx, y of four pairs."""
    x, gy, gx, y = (images(4, seed, side) for seed in range(4))
    return x, gy, gx, y


def softmax_by_hand(scores: list[float], bound: float) -> list[float]:
    mean = sum(scores) / len(scores)
    powers = [math.exp(max(-bound, min(bound, s - mean))) for s in scores]
    return [p / sum(powers) for p in powers]


def test_parameter_counts_of_the_official_networks() -> None:
    with torch.device("meta"):
        assert count(Generator(1, 1, 8, 4)) == 568_065
        assert count(Generator(1, 3, 16, 1)) == 317_187
        assert count(Generator(3, 1, 16, 1)) == 317_185
        assert count(JointDiscriminator(1, 1, 32)) == 4_592_769
        assert count(JointDiscriminator(1, 3, 32)) == 4_595_841
        assert count(ScoreNetwork(1, 32)) == 2_755_585
        assert count(ScoreNetwork(3, 32)) == 2_757_633
        assert count(LargeGenerator(3, 3, 16)) == 11_209_987


@pytest.mark.parametrize(
    ("preset", "m", "d", "steps", "network", "latent"),
    [
        ("paper", 6, 2, 300_000, LargeGenerator, 16),
        ("srmnist", 128, 5, 50_000, Generator, 8),
        ("svhn", 128, 5, 250_000, Generator, 16),
    ],
)
def test_the_papers_settings(preset: str, m: int, d: int, steps: int, network: type, latent: int) -> None:
    config = build(JDBWConfig, JDBW.presets, preset, [])
    with torch.device("meta"):
        model = JDBW(Task(config.resolution, 1000, 1000, 10, 1), config)
    assert isinstance(model.networks["Gxy"], network)
    assert (config.batch_size, config.d_steps, model.total_steps, config.latent) == (m, d, steps, latent)
    assert list(model.networks) == ["Gxy", "Gyx", "D", "Wx", "Wy"]
    for optimizer in model.optimizers.values():
        assert isinstance(optimizer, torch.optim.Adam)
        assert optimizer.defaults["betas"] == (0.5, 0.999) and optimizer.defaults["lr"] == 1e-4
        assert optimizer.defaults["weight_decay"] == 0


def test_the_noise_joins_halfway_and_the_maps_have_the_sizes_of_the_paper() -> None:
    for kernel, side in ((4, 8), (1, 16)):
        generator = Generator(1, 3, 16, kernel, width=4)
        h = generator.encoder(torch.zeros(2, 1, 32, 32))
        assert h.shape == (2, 8, side, side)
        assert generator.decoder[0].in_channels == 8 + 16
        assert generator(torch.zeros(2, 1, 32, 32), torch.zeros(2, 16)).shape == (2, 3, 32, 32)


def test_joint_discriminator_by_hand() -> None:
    """Table 1 written out."""
    net = JointDiscriminator(1, 3, 32, width=4).eval()
    x, y = torch.randn(2, 1, 32, 32), torch.randn(2, 3, 32, 32)

    def act(h: Tensor) -> Tensor:
        return torch.where(h > 0, h, 0.2 * h)

    x1, j1, y1 = act(net.x[0](x)), act(net.joint[0](torch.cat([x, y], 1))), act(net.y[0](y))
    x2, j2, y2 = act(net.x[1](x1)), act(net.joint[1](torch.cat([x1, j1, y1], 1))), act(net.y[1](y1))
    for block in net.blocks:
        j2 = j2 + block.second(act(block.first(j2)))
    x3, j3, y3 = act(net.x[2](x2)), act(net.joint[2](torch.cat([x2, j2, y2], 1))), act(net.y[2](y2))
    j4 = act(net.joint[3](torch.cat([x3, j3, y3], 1)))
    assert j4.shape == (2, 32, 2, 2)
    assert torch.allclose(net(x, y), net.score(act(net.hidden(j4.flatten(1))))[:, 0], atol=1e-6)


@pytest.mark.parametrize(("side", "convs", "inputs"), [(16, 4, 32), (32, 4, 128), (128, 6, 128)])
def test_joint_discriminator_of_other_sizes(side: int, convs: int, inputs: int) -> None:
    with torch.device("meta"):
        net = JointDiscriminator(3, 3, side, width=4)
        assert net(torch.empty(2, 3, side, side), torch.empty(2, 3, side, side)).shape == (2,)
    assert len(net.joint) == convs and net.hidden.in_features == inputs


def test_spectral_norm_on_every_layer_of_generators_and_discriminator_alone() -> None:
    model = make("width=8")
    for _ in range(30):
        model.inputs(*four(32))  # the power iteration settles
        model.networks["D"](images(1, 0, 32), images(1, 1, 32))
    for name, network in model.networks.items():
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                assert hasattr(module, "parametrizations") == (not name.startswith("W")), name
    weight = model.networks["D"].joint[1].weight.detach()
    assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)


def test_initialisation() -> None:
    with torch.random.fork_rng():
        generator, critic = Generator(3, 3, 8, 4, width=32), JointDiscriminator(3, 3, 32)
    conv = generator.encoder[2].first.parametrizations.weight.original
    assert conv.var().item() * 32 * 9 / 2 == pytest.approx(1, rel=0.1), "Kaiming normal, fan in"
    assert critic.joint[2].parametrizations.weight.original.std().item() == pytest.approx(0.02, rel=0.02)
    for network in (generator, critic):
        assert all((p == 0).all() for name, p in network.named_parameters() if name.endswith("bias"))
    assert ScoreNetwork(3, 32).convs[3].weight.std().item() == pytest.approx(1 / (3 * 256 * 16) ** 0.5, rel=0.02)


@pytest.mark.parametrize("bound", [0.0, 0.25, 1.25, 50.0])
def test_clipped_softmax_by_hand(bound: float) -> None:
    scores = [0.3, -2.0, 1.0, 0.9]
    wanted = softmax_by_hand(scores, bound)
    found = clipped_softmax(torch.tensor([scores, [s + 7 for s in scores]]), bound)
    assert torch.allclose(found, torch.tensor([wanted, wanted]), atol=1e-6), "a constant changes nothing"
    assert torch.allclose(clipped_softmax(torch.full((5,), 3.0), bound), torch.full((5,), 0.2))


def test_the_mean_is_subtracted_inside_the_gradient() -> None:
    """Of w_0 by s: each score that is not clipped moves all, through the mean, so the gradients add up to zero."""
    scores = torch.tensor([0.2, -3.0, 0.1], requires_grad=True)
    (gradient,) = torch.autograd.grad(clipped_softmax(scores, 1.2)[0], scores)
    assert gradient[1] != 0, "clipped itself, but part of the mean"
    assert gradient.sum().item() == pytest.approx(0, abs=1e-6)


def test_schedule_of_the_bound() -> None:
    assert [clip_bound(k, 0, 1000) for k in (0, 500, 1000, 3000)] == [0.25, 0.75, 1.25, 3.25]
    assert [clip_bound(k, 10, 20) for k in (9, 10, 15)] == [0.0, 0.25, 0.75]
    assert math.exp(2 * clip_bound(0, 0, 1000)) == pytest.approx(1.65, abs=0.005)
    assert math.exp(2 * clip_bound(1000, 0, 1000)) == pytest.approx(12.2, abs=0.05)


def test_the_bound_grows_with_the_steps_of_the_generators(tiny_task: MakeTask) -> None:
    model = vector("clip_full=4", "d_steps=2")
    train(model, tiny_task(resolution=8), 0, 2)
    with torch.no_grad():
        for p in model.networks["Wx"].parameters():
            p.mul_(100)
        omega, _ = model.weights(*four())
    wx = softmax_by_hand(model.networks["Wx"](four()[0]).tolist(), 0.25 + 2 / 4)
    wy = softmax_by_hand((-model.networks["Wy"](four()[1])).tolist(), 0.25 + 2 / 4)
    assert torch.allclose(omega[0], torch.tensor([(0.5 + a + b) / 4 for a, b in zip(wx, wy)]), atol=1e-5)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_weights_by_hand(weighting: str) -> None:
    model = vector(f"weighting={weighting}")
    with torch.no_grad():
        for name in ("W", "Wx", "Wy"):
            for p in model.networks[name].parameters() if name in model.networks else ():
                p.mul_(4)
    x, gy, gx, y = four()

    def share(name: str, *inputs: Tensor, sign: float = 1) -> Tensor:
        return torch.tensor(softmax_by_hand((sign * model.networks[name](*inputs)).tolist(), 0.25))

    if weighting == "pair":
        w, v = share("W", x, gy), share("W", gx, y, sign=-1)
    elif weighting == "one_domain":
        w, v = share("Wx", x), share("Wx", gx, sign=-1)
    else:
        w = (share("Wx", x) + share("Wy", gy, sign=-1)) / 2
        v = (share("Wx", gx, sign=-1) + share("Wy", y)) / 2
    omega, nu = model.weights(x, gy, gx, y)
    assert torch.allclose(omega[0], (0.25 + w) / 2, atol=1e-5) and torch.allclose(nu[0], (0.25 + v) / 2, atol=1e-5)
    for weights in (omega, nu):
        assert weights.sum().item() == pytest.approx(1) and weights.min() >= 1 / 8
        assert weights.std() > 0.001
    twice = model.weights(*(torch.cat([part, part.flip(0)]) for part in (x, gy, gx, y)))[0]
    assert torch.allclose(twice, torch.stack([omega[0], omega[0].flip(0)]), atol=1e-6), "a softmax for each batch"


def test_equal_scores_give_equal_weights() -> None:
    assert torch.equal(with_uniform(torch.full((2, 4), 0.25)), torch.full((2, 4), 0.25))
    assert torch.allclose(with_uniform(torch.tensor([1.0, 0, 0, 0])), torch.tensor([5 / 8, 1 / 8, 1 / 8, 1 / 8]))


def test_difference_by_hand_and_its_scale() -> None:
    scores = torch.tensor([1.0, 3.0, -2.0, 4.0])
    omega, nu = torch.tensor([0.25, 0.75]), torch.tensor([0.6, 0.4])
    assert weighted_difference(scores, omega, nu).item() == pytest.approx(0.25 + 2.25 - (-1.2 + 1.6))
    assert weighted_difference(2 * scores, omega, nu).item() == pytest.approx(2 * 2.1)


@pytest.mark.parametrize("kind", ["one", "zero"])
def test_gradient_penalty_by_hand(kind: str) -> None:
    """D(u, v) = sum(a u) + sum(b v)^2 / 2 has the gradient (a, b sum(b v))."""
    u, v = (torch.randn(3, 1, 2, 2, requires_grad=True) for _ in range(2))
    a, b = torch.randn(1, 2, 2), torch.randn(1, 2, 2)
    weights = torch.tensor([0.5, 0.2, 0.3])
    scores = (a * u).sum((1, 2, 3)) + (b * v).sum((1, 2, 3)).square() / 2
    square = a.square().sum() + b.square().sum() * (b * v).sum((1, 2, 3)).square()
    by_hand = square if kind == "zero" else ((square + 1e-6).sqrt() - 1).square()
    assert torch.allclose(gradient_penalty(scores, (u, v), weights, kind), (weights * by_hand).sum(), rtol=1e-5)


def record(model: JDBW) -> dict[str, list[Any]]:
    """Every loss that the model minimises, with its gradients for all networks."""
    seen: dict[str, list[Any]] = {}
    plain = model.minimise

    def minimise(name: str, loss: Tensor) -> None:
        seen.setdefault(name, []).append(loss.detach())
        for other, network in model.networks.items():
            grads = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True, allow_unused=True)
            if any(g is not None and g.abs().max() > 0 for g in grads):
                seen.setdefault(f"{name} reaches", []).append(other)
        plain(name, loss)

    model.minimise = minimise
    return seen


def test_losses_of_a_step_by_hand(tiny_task: MakeTask) -> None:
    """L- and L+ as the method's docstring defines them, each network called by itself."""
    model, data = vector("d_steps=2"), tiny_task(resolution=8)
    batch = Sampler(model.streams(data), data, 0, Compute.choose("cpu")).batch(0)
    before, drawn = copy.deepcopy(model.networks), []
    plain = model._noise
    model._noise = lambda n, rng: drawn.append(plain(n, rng)) or drawn[-1]  # type: ignore
    seen = record(model)
    model.train_step(batch)
    assert [len(z) for z in drawn] == [8, 8, 4, 4] and max(z.abs().max() for z in drawn) <= 1
    x, y = batch["x"].image, batch["y"].image
    assert len(x) == len(y) == 12

    def expected(part: slice, z: Tensor, z2: Tensor, critic: nn.Module) -> tuple[Tensor, Tensor]:
        gy, gx = before["Gxy"](x[part], z), before["Gyx"](y[part], z2)
        old = copy.deepcopy(model)
        old.networks, old.progress.step = before, 0
        (omega,), (nu,) = old.weights(x[part], gy, gx, y[part])
        a, b = (x[part], gy), (gx, y[part])
        difference = (omega * critic(*a)).sum() - (nu * critic(*b)).sum()
        penalty = torch.zeros(())
        for weights, pair in ((omega, a), (nu, b)):
            leaves = [image.detach().requires_grad_() for image in pair]
            grads = torch.autograd.grad(critic(*leaves).sum(), leaves)
            norm = (torch.stack([g.flatten(1).square().sum(1) for g in grads]).sum(0) + 1e-6).sqrt()
            penalty = penalty + (weights * (norm - 1).square()).sum()
        return difference, penalty

    difference, penalty = expected(slice(0, 4), drawn[0][:4], drawn[1][:4], before["D"])
    assert torch.allclose(seen["D"][0], 10 * penalty - difference, rtol=1e-4)
    difference, _ = expected(slice(8, 12), drawn[2], drawn[3], model.networks["D"])
    assert torch.allclose(seen["G"][0], difference, rtol=1e-4, atol=1e-6)
    assert torch.allclose(seen["W"][0], difference.square(), rtol=1e-4, atol=1e-8)


def test_whom_each_loss_reaches(tiny_task: MakeTask) -> None:
    """W learns from L_W alone and L_W reaches nobody else; the networks of the step are updated and no others."""
    model, data = vector(), tiny_task(resolution=8)
    seen = record(model)
    before = {name: copy.deepcopy(net.state_dict()) for name, net in model.networks.items()}
    train(model, data, 0, 1)
    assert set(seen["D reaches"]) == {"D"}, "generators and weights are constant there"
    assert set(seen["W reaches"]) == {"Wx", "Wy"}
    assert not {"Wx", "Wy"} & set(seen["G reaches"])
    owners = {name: {id(p) for g in opt.param_groups for p in g["params"]} for name, opt in model.optimizers.items()}
    assert {name for name in model.networks if {id(p) for p in model.networks[name].parameters()} <= owners["G"]} == {
        "Gxy",
        "Gyx",
    }
    for name, network in model.networks.items():
        assert any(not torch.equal(before[name][k], v) for k, v in network.state_dict().items()), name


def test_the_codes_leak_through_the_weights_is_an_option(tiny_task: MakeTask) -> None:
    model = vector("detach_weights=false")
    seen = record(model)
    losses = train(model, tiny_task(resolution=8), 0, 2)
    assert {"Wx", "Wy"} <= set(seen["G reaches"]) and torch.isfinite(losses[-1]["G"])


def test_swapped_domains_negate_the_difference() -> None:
    model, (x, gy, gx, y) = vector(), four()
    scores = model.networks["D"](*model.inputs(x, gy, gx, y))
    (omega,), (nu,) = model.weights(x, gy, gx, y)
    swapped = vector()
    swapped.networks["Wx"], swapped.networks["Wy"] = model.networks["Wy"], model.networks["Wx"]
    (omega2,), (nu2,) = swapped.weights(y, gx, gy, x)
    assert torch.allclose(omega2, nu) and torch.allclose(nu2, omega)
    one = weighted_difference(scores, omega, nu)
    other = weighted_difference(scores.roll(4), omega2, nu2)
    assert torch.allclose(one, -other) and torch.allclose(one.square(), other.square())


def test_equal_weights_are_jd_only(tiny_task: MakeTask) -> None:
    data = tiny_task(resolution=8)
    held, plain = vector("clip_start=1000000", "clip_full=2000000"), vector("variant=jd_only")
    with_weights, without = train(held, data, 0, 3)[-1], train(plain, data, 0, 3)[-1]
    assert "W" not in without and list(plain.networks) == ["Gxy", "Gyx", "D"]
    assert torch.allclose(with_weights["G"], without["G"], atol=1e-6)
    for name, network in plain.networks.items():
        pairs = zip(network.parameters(), held.networks[name].parameters())
        assert all(torch.allclose(p, q, atol=1e-6) for p, q in pairs), name


def test_one_sided_is_algorithm_2(tiny_task: MakeTask) -> None:
    model, (x, gy, _, y) = vector("variant=one_sided"), four()
    assert list(model.networks) == ["Gxy", "D", "Wx"]
    (omega,), (nu,) = model.weights(x, gy, y, y)
    assert torch.allclose(omega, torch.tensor(softmax_by_hand(model.networks["Wx"](x).tolist(), 0.25)), atol=1e-6)
    assert torch.equal(nu, torch.full((4,), 0.25))
    (judged,) = model.inputs(x, gy, y, y)
    assert torch.equal(judged, torch.cat([gy, y]))
    assert torch.isfinite(train(model, tiny_task(resolution=8), 0, 2)[-1]["W"])
    assert torch.isfinite(train(make("variant=one_sided"), tiny_task(resolution=32), 0, 1)[-1]["W"])


@pytest.mark.parametrize("weighting", ["pair", "one_domain"])
def test_weighting_networks_of_images_train(weighting: str, tiny_task: MakeTask) -> None:
    losses = train(make(f"weighting={weighting}"), tiny_task(resolution=32), 0, 1)[-1]
    assert all(torch.isfinite(value) for value in losses.values())


def test_class_masses_are_averages_of_batch_sums() -> None:
    progress = Progress(("a", "b", "c"))
    first = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0, 0, 2])
    progress.add(first, (torch.full((3,), 1 / 3), torch.tensor([1, 1, -1])))
    assert torch.allclose(progress.masses, torch.tensor([[0.8, 0.0, 0.2], [0.0, 2 / 3, 0.0]]))
    progress.add((torch.tensor([1.0]), torch.tensor([1])), (torch.tensor([1.0]), torch.tensor([1])))
    later = 0.01 / (1 - 0.99**2)  # weight of the second batch, 0.99 times as much that of the first
    assert torch.allclose(progress.masses[0], torch.tensor([0.8 * (1 - later), later, 0.2 * (1 - later)]), atol=1e-5)


def test_effective_size() -> None:
    assert effective_size(torch.full((8,), 1 / 8)).item() == pytest.approx(8)
    assert effective_size(torch.tensor([1.0, 0, 0])).item() == 1


def test_log_has_the_masses_of_every_class(tiny_task: MakeTask) -> None:
    losses = train(vector(), tiny_task(resolution=8), 0, 1)[0]
    masses = torch.tensor([[losses[f"class_mass/{c}/{d}"] for c in range(3)] for d in ("source", "target")])
    assert masses.sum(1).tolist() == pytest.approx([1, 1])
    assert losses["mass_gap"] == (masses[0] - masses[1]).abs().max()
    assert 1 <= losses["ess_x"] <= 4.0001


def test_streams_bring_the_images_of_all_steps(tiny_task: MakeTask) -> None:
    model = make("d_steps=3", "batch_size=4")
    streams = model.streams(tiny_task())
    assert {name: (s.pool, s.order, s.size) for name, s in streams.items()} == {
        "x": ("source", "shuffled", 16),
        "y": ("target", "uniform", 16),
    }
    assert model.images_per_step == 16 and not streams["x"].augment.flip


def test_continues_bit_equal_after_a_round_trip(tiny_task: MakeTask) -> None:
    data = tiny_task(resolution=8)
    one, other = vector("clip_full=3"), vector("clip_full=3")
    train(one, data, 0, 2)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    for a, b in zip(train(one, data, 2, 4), train(other, data, 2, 4)):
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_translation_is_gxy_with_noise_in_minus_one_to_one() -> None:
    model, x = make(), images(3, 0, 32)
    model.train(False)
    first, again, other = (model.translate(x, rng=torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    noise = torch.rand(3, 2, generator=torch.Generator().manual_seed(1)) * 2 - 1
    assert torch.equal(first, model.networks["Gxy"](x, noise).detach())


@pytest.mark.parametrize("side", [8, 24, 96])
def test_impossible_resolutions_name_the_mend(side: int) -> None:
    with pytest.raises(UserError, match="power of 2"):
        make(f"resolution={side}")


@pytest.mark.parametrize("setting", ["clip_full=0", "d_steps=0"])
def test_impossible_settings(setting: str) -> None:
    with pytest.raises(UserError, match="at least 1"):
        make(setting)
