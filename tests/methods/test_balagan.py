import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.errors import UserError
from bench.methods.balagan import BalaGAN, BalaGANConfig
from bench.methods.modes import Classes
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Batch, Sampler

MakeTask = Callable[..., Any]
SMALL: dict[str, Any] = {
    "resolution": 16,
    "width": 4,
    "downs": 1,
    "reference_downs": 2,
    "discriminator_downs": 2,
    "latent": 8,
    "mlp_width": 16,
    "batch_size": 4,
    "classes": "labels",
}
TASK = Task(16, 20, 6, 3)


def small(**settings: Any) -> BalaGAN:
    torch.manual_seed(0)
    method = BalaGAN(TASK, BalaGANConfig(**{**SMALL, **settings}))
    method.train()
    return method


def batches(seed: int = 0, n: int = 4) -> dict[str, Batch]:
    rng = torch.Generator().manual_seed(seed)
    image = lambda: torch.rand(n, 3, 16, 16, generator=rng) * 2 - 1  # noqa: E731
    label = lambda: torch.randint(0, 4, (n,), generator=rng)  # noqa: E731
    return {name: Batch(image(), label(), torch.arange(n)) for name in ("source", "reference")}


def n_parameters(network: nn.Module | None) -> int:
    assert network is not None
    return sum(p.numel() for p in network.parameters())


# --- networks


@pytest.fixture(scope="module")
def paper_sized() -> BalaGAN:
    with torch.device("meta"):
        return BalaGAN(Task(128, 10_000, 1000, 0), BalaGANConfig(**BalaGAN.presets["paper"]))


def test_paper_parameter_counts(paper_sized: BalaGAN) -> None:
    g, d = paper_sized.generator, paper_sized.discriminator
    assert n_parameters(g.content_encoder) == 12_202_112
    assert n_parameters(g.style_encoder) == 2_779_328
    assert n_parameters(g.mlp) == 1_135_104
    assert n_parameters(g.decoder) == 13_749_891
    assert n_parameters(g) == 29_866_435
    assert n_parameters(d.features) == 54_130_624
    assert n_parameters(d.adversarial) == n_parameters(d.classifier) == 42_025
    assert n_parameters(d) == 54_214_674


def test_paper_shapes(paper_sized: BalaGAN) -> None:
    g, d = paper_sized.generator, paper_sized.discriminator
    x = torch.empty(2, 3, 128, 128, device="meta")
    assert g.content_encoder(x).shape == (2, 512, 16, 16)
    assert g.style_encoder(x).shape == (2, 64)
    assert g(x, x).shape == x.shape
    assert d.features(x).shape == (2, 1024, 8, 8)
    assert d.logits(d.features(x)).shape == (2, 41)


def test_paper_settings() -> None:
    c = BalaGANConfig(**BalaGAN.presets["paper"])
    assert (c.resolution, c.batch_size, c.classes, c.sampling) == (128, 3, "modes:40", "image_uniform")
    assert round(c.resolution * c.load_ratio) == 140
    assert (c.adv_weight, c.cls_weight, c.reconstruction_weight, c.feature_weight, c.r1_weight) == (1, 1, 0.1, 1, 10)
    assert (c.encoder_batch, c.encoder_epochs, c.encoder_lr, c.encoder_images) == (256, 600, 3e-4, "both")
    assert c.ema_decay == 0.999
    assert 1000 * c.budget_kimg / c.batch_size == 100_000


@pytest.mark.parametrize("preset", ["paper", "cpu"])
def test_presets_build(preset: str) -> None:
    config = build(BalaGANConfig, BalaGAN.presets, preset, [])
    with torch.device("meta"):
        method = BalaGAN(Task(config.resolution, 1525, 125, 9), config)
        x = torch.empty(2, 3, config.resolution, config.resolution, device="meta")
        assert method.generator(x, x).shape == x.shape
        assert min(method.discriminator.features(x).shape[2:]) >= 2


def test_optimizers_are_rmsprop_with_weight_decay_at_a_constant_rate() -> None:
    method = small()
    assert sorted(method.optimizers) == sorted(method.networks) == ["discriminator", "generator"]
    for name, optimizer in method.optimizers.items():
        assert isinstance(optimizer, torch.optim.RMSprop)
        (group,) = optimizer.param_groups
        assert (group["lr"], group["alpha"], group["weight_decay"], group["momentum"]) == (1e-4, 0.99, 1e-4, 0)
        assert len(group["params"]) == len(list(method.networks[name].parameters()))
    assert method.schedulers == {}


def test_biases_start_at_zero() -> None:
    biases = [p for n, p in small().generator.named_parameters() if n.endswith("bias")]
    assert biases and all(b.abs().max() == 0 for b in biases)


def test_style_comes_from_the_reference_through_adain_alone() -> None:
    g = small().generator
    a, b, c = (torch.rand(1, 3, 16, 16) for _ in range(3))
    assert torch.equal(g(a, c), g.decode(g.content_encoder(a), g.style_encoder(c)))
    assert not torch.allclose(g(a, b), g(a, c))
    shift_last = g.mlp[-1]
    with torch.no_grad():
        shift_last.weight.zero_()
        assert torch.allclose(g(a, b), g(a, c)), "no other path from the reference to the image"


# --- losses, written out once more


def d_maps(method: BalaGAN, images: Tensor, label: Tensor) -> Tensor:
    maps = method.discriminator.adversarial(method.discriminator.features(images))
    return torch.stack([maps[i, y] for i, y in enumerate(label.tolist())])


@pytest.mark.parametrize("form", ["code", "per_sample"])
def test_discriminator_loss(form: str) -> None:
    method, b = small(r1=form), batches()["reference"]
    fake = torch.rand(4, 3, 16, 16)
    total, parts = method.discriminator_loss(fake, b.image, b.label)

    x = b.image.clone().requires_grad_()
    real = d_maps(method, x, b.label)
    wanted_real = torch.clamp(1 - real, min=0).mean()
    wanted_fake = torch.clamp(1 + d_maps(method, fake, b.label), min=0).mean()
    one_by_one = [torch.autograd.grad(real[i].mean(), x, retain_graph=True)[0][i] for i in range(4)]
    r1 = sum(float(g.square().sum()) for g in one_by_one) / 4
    if form == "code":
        r1 /= 4**2
    logits = method.discriminator.classifier(method.discriminator.features(x)).mean((2, 3))
    cls = -F.log_softmax(logits, dim=1)[torch.arange(4), b.label].mean()
    assert torch.allclose(parts["d_real"], wanted_real) and torch.allclose(parts["d_fake"], wanted_fake)
    assert parts["r1"].item() == pytest.approx(r1, rel=1e-4)
    assert torch.allclose(parts["d_cls"], cls)
    assert total.item() == pytest.approx(float(wanted_real + wanted_fake + 10 * r1 + cls), rel=1e-4)


def generator_terms(method: BalaGAN, data: dict[str, Batch]) -> dict[str, Tensor]:
    xa, la = data["source"].image, data["source"].label
    xb, lb = data["reference"].image, data["reference"].label
    g, f = method.generator, method.discriminator.features
    xt, xr = g(xa, xb), g(xa, xa)
    gap = lambda x: f(x).mean((2, 3))  # noqa: E731
    return {
        "adv_t": -d_maps(method, xt, lb).mean(),
        "adv_r": -d_maps(method, xr, la).mean(),
        "rec": (xr - xa).abs().mean(),
        "feat_t": (gap(xt) - gap(xb)).abs().mean(),
        "feat_r": (gap(xr) - gap(xa)).abs().mean(),
        "feat_t_map": (f(xt) - f(xb)).abs().mean(),
    }


def generator_loss(method: BalaGAN, data: dict[str, Batch]) -> tuple[Tensor, dict[str, Tensor]]:
    xa, xb = data["source"].image, data["reference"].image
    fake = torch.cat([method.generator(xa, xb), method.generator(xa, xa)])
    return method.generator_loss(fake, torch.cat([xb, xa]), torch.cat([data["reference"].label, data["source"].label]))


def test_generator_loss_as_in_the_code() -> None:
    method, data = small(), batches()
    total, _ = generator_loss(method, data)
    t = generator_terms(method, data)
    wanted = 0.5 * (t["adv_t"] + t["adv_r"]) + 0.1 * t["rec"] + t["feat_t"] + t["feat_r"]
    assert torch.allclose(total, wanted, rtol=1e-4)


def test_generator_loss_as_the_paper_writes_it() -> None:
    paper = {"adv_on_reconstruction": False, "features_on_reconstruction": False, "features_pooled": False}
    method, data = small(**paper), batches()
    total, _ = generator_loss(method, data)
    t = generator_terms(method, data)
    assert torch.allclose(total, t["adv_t"] + 0.1 * t["rec"] + t["feat_t_map"], rtol=1e-4)


def test_train_step_logs_the_losses_at_its_weights() -> None:
    """The first step's generator loss is that of the discriminator after its own step, on the same translations."""
    method, data = small(), batches()
    before = {name: [p.clone() for p in net.parameters()] for name, net in method.networks.items()}
    logged = method.train_step(data)
    assert sorted(logged) == ["d_cls", "d_fake", "d_real", "g_adv", "g_feat", "g_rec", "r1"]
    assert all(not value.requires_grad and value.ndim == 0 for value in logged.values())
    for name, net in method.networks.items():
        assert any(not torch.equal(a, b) for a, b in zip(before[name], net.parameters()))
    with torch.no_grad():
        for old, p in zip(before["generator"], method.generator.parameters()):
            p.copy_(old)
    t = generator_terms(method, data)
    assert torch.allclose(logged["g_adv"], 0.5 * (t["adv_t"] + t["adv_r"]), rtol=1e-4)
    assert torch.allclose(logged["g_feat"], t["feat_t"] + t["feat_r"], rtol=1e-4)
    assert torch.allclose(logged["g_rec"], t["rec"], rtol=1e-4)


def test_discriminator_steps_first_and_on_reals_of_the_reference_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    method, data = small(), batches()
    steps: list[str] = []
    seen: list[Tensor] = []
    monkeypatch.setattr(method, "minimise", lambda name, parts: steps.append(name) or list(parts))
    original = method.discriminator_loss

    def spy(fake: Tensor, real: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        seen.extend([fake, real, label])
        return original(fake, real, label)

    monkeypatch.setattr(method, "discriminator_loss", spy)
    method.train_step(data)
    assert steps == ["discriminator", "generator"]
    assert torch.allclose(seen[0], method.generator(data["source"].image, data["reference"].image), atol=1e-5)
    assert not seen[0].requires_grad
    assert torch.equal(seen[1], data["reference"].image) and torch.equal(seen[2], data["reference"].label)


def test_generator_step_leaves_no_gradient_in_the_discriminator() -> None:
    method = small()
    method.train_step(batches())
    graded = [p.grad for p in method.discriminator.parameters()]
    method.optimizers["discriminator"].zero_grad()
    total, _ = generator_loss(method, batches(1))
    method.minimise("generator", total)
    assert any(g is not None for g in graded)
    assert all(p.grad is None for p in method.discriminator.parameters())


def test_average_starts_as_a_copy_and_follows() -> None:
    method = small(ema_decay=0.9)
    start = [p.clone() for p in method.generator.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(start, method.ema["generator"].parameters()))
    method.train_step(batches())
    for old, new, mean in zip(start, method.generator.parameters(), method.ema["generator"].parameters()):
        assert torch.allclose(mean, 0.9 * old + 0.1 * new, atol=1e-6)
        assert not mean.requires_grad


# --- ablations, classes, sampling


def heads(method: BalaGAN) -> int:
    return method.discriminator.adversarial[1].out_channels


def test_ablations_of_table_5() -> None:
    assert heads(small()) == 3 + 1
    assert heads(small(classes="domain")) == 2
    assert heads(small(classes="vae-modes:5")) == 6
    assert heads(small(classes="modes:5", target_modes=2)) == 7
    without = small(d_cls=False)
    assert without.discriminator.classifier is None
    assert "d_cls" not in without.train_step(batches())
    held_out = small(classes="modes:5", train_on_target=False, encoder_images="source", d_cls=False)
    assert heads(held_out) == 5


def sampler_of(method: BalaGAN, data: Any, found: Classes) -> Sampler:
    method.classes = found
    return Sampler(method.streams(data), data, 0, Compute.choose("cpu"))


def test_batches_are_two_independent_draws_from_both_domains(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data, method = tiny_task(), small()
    method.prepare(data, artifacts)
    sampler = Sampler(method.streams(data), data, 0, Compute.choose("cpu"))
    epoch = [sampler.batch(step) for step in range(6)]
    for name in ("source", "reference"):
        drawn = torch.cat([b[name].index for b in epoch]).tolist()
        assert len(set(drawn)) == 24, "without replacement in an epoch of 26 // 4 batches"
        assert any(i >= 20 for i in drawn) and any(i < 20 for i in drawn)
        for batch in epoch:
            index, label = batch[name].index, batch[name].label
            wanted = [int(data.source_train.labels[i]) if i < 20 else 3 for i in index.tolist()]
            assert label.tolist() == wanted
    assert not torch.equal(epoch[0]["source"].index, epoch[0]["reference"].index)
    assert method.target_classes(data).tolist() == [3] * 6


def test_class_uniform_sampling_draws_the_target_as_often_as_any_mode(tiny_task: MakeTask) -> None:
    data = tiny_task()
    found = Classes(np.array([0] * 15 + [1] * 4 + [2]), np.full(6, 3), 3, 1)
    share = {}
    for sampling in ("class_uniform", "image_uniform"):
        sampler = sampler_of(small(sampling=sampling), data, found)
        labels = torch.cat([sampler.batch(step)["reference"].label for step in range(300)])
        share[sampling] = np.bincount(labels.numpy(), minlength=4) / len(labels)
    assert np.allclose(share["class_uniform"], 1 / 4, atol=0.05)
    assert np.allclose(share["image_uniform"], np.array([15, 4, 1, 6]) / 26, atol=0.03)


def test_target_images_stay_out_of_training_where_asked(tiny_task: MakeTask) -> None:
    data = tiny_task()
    method = small(classes="modes:3", train_on_target=False, encoder_images="source")
    sampler = sampler_of(method, data, Classes(np.arange(20) % 3, np.full(6, 3), 3, 1))
    for step in range(20):
        for batch in sampler.batch(step).values():
            assert batch.index.max() < 20 and batch.label.max() < 3
    method.train_step(sampler.batch(0))


# --- translation, state, errors


def test_translate_uses_the_average_and_changes_nothing() -> None:
    method = small(ema_decay=0.5)
    for seed in range(2):
        method.train_step(batches(seed))
    x, y = batches(5)["source"].image, batches(5)["reference"].image
    before = {k: v.clone() for k, v in method.ema["generator"].state_dict().items()}
    rng = torch.get_rng_state()
    out = method.translate(x, reference=y)
    assert torch.allclose(out, method.ema["generator"](x, y)) and not torch.allclose(out, method.generator(x, y))
    assert not out.requires_grad and out.min() >= -1 and out.max() <= 1
    alone = torch.cat([method.translate(x[i : i + 1], reference=y[i : i + 1]) for i in range(4)])
    assert torch.allclose(out, alone, atol=1e-5), "an image's translation depends on no other image"
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(torch.equal(v, before[k]) for k, v in method.ema["generator"].state_dict().items())
    with pytest.raises(ValueError, match="reference"):
        method.translate(x)


def test_state_round_trip_goes_on_bit_equal() -> None:
    one = small()
    for seed in range(3):
        one.train_step(batches(seed))
    torch.manual_seed(9)
    other = BalaGAN(TASK, BalaGANConfig(**SMALL))
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    for seed in range(3, 6):
        assert all(torch.equal(a, b) for a, b in zip(one.train_step(batches(seed)).values(),
                                                     other.train_step(batches(seed)).values()))  # fmt: skip
    for name in ("networks", "ema"):
        for key, net in getattr(one, name).items():
            theirs = getattr(other, name)[key].state_dict()
            assert all(torch.equal(value, theirs[k]) for k, value in net.state_dict().items())


def test_streams_before_prepare_is_an_error(tiny_task: MakeTask) -> None:
    with pytest.raises(RuntimeError, match="prepare"):
        small().streams(tiny_task())


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"resolution": 100}, "multiple of 16"),
        ({"resolution": 16, "downs": 2}, "at least 32"),
        ({"train_on_target": False}, "encoder_images=source"),
        ({"classes": "modes"}, "not one of"),
    ],
)
def test_bad_settings_are_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        config = BalaGANConfig(**settings)
        BalaGAN(Task(config.resolution, 100, 20, 3), config)
    assert "\n" not in str(caught.value)


def test_every_field_can_be_set_from_the_command_line() -> None:
    config = build(
        BalaGANConfig, BalaGAN.presets, "paper", ["sampling=class_uniform", "d_cls=false", "encoder_lr=1e-3"]
    )
    assert (config.sampling, config.d_cls, config.encoder_lr) == ("class_uniform", False, 1e-3)
    with pytest.raises(UserError, match="choose one of"):
        build(BalaGANConfig, BalaGAN.presets, "paper", ["r1=none"])


def test_it_learns_to_reconstruct() -> None:
    method = small(lr=1e-3, reconstruction_weight=10.0, feature_weight=0.0, adv_weight=0.0, classes="domain")
    data = batches()
    flat = data["source"].image.mean((2, 3), keepdim=True).expand(-1, -1, 16, 16)
    ramp = torch.linspace(-0.5, 0.5, 16).expand(4, 3, 16, 16)
    image, label = (flat + ramp).clamp(-1, 1), torch.zeros(4, dtype=torch.long)
    batch = {name: Batch(image, label, torch.arange(4)) for name in ("source", "reference")}
    first = method.train_step(batch)["g_rec"]
    for _ in range(40):
        last = method.train_step(batch)["g_rec"]
    assert last < 0.5 * first
