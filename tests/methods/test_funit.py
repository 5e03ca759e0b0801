"""FUNIT against its official code and hand calculations."""

import copy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.errors import UserError
from bench.core.registry import entries
from bench.data.task import TaskData
from bench.methods.funit import FUNIT, FUNITConfig
from bench.methods.nn.funit_networks import Discriminator
from bench.methods.nn.layers import ActivationFirstBlock
from bench.testing import Case
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Batch, Sampler

MakeTask = Callable[..., TaskData]
SMALL: dict[str, Any] = {
    "resolution": 16,
    "width": 4,
    "downs": 1,
    "reference_downs": 2,
    "discriminator_downs": 2,
    "latent": 8,
    "mlp_width": 16,
    "batch_size": 4,
    "train_on_target": True,
}


def small(**settings: Any) -> FUNIT:
    torch.manual_seed(0)
    model = FUNIT(Task(16, 20, 6, 3), FUNITConfig(**{**SMALL, **settings}))
    model.train()
    return model


def batches(seed: int = 0, n: int = 4) -> dict[str, Batch]:
    rng = torch.Generator().manual_seed(seed)
    made = {}
    for name in ("source", "reference"):
        image = torch.rand(n, 3, 16, 16, generator=rng) * 2 - 1
        made[name] = Batch(image, torch.randint(0, 4, (n,), generator=rng), torch.arange(n))
    return made


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_parameter_counts_and_shapes_of_the_official_networks() -> None:
    """119 classes, as FUNIT's animal faces have; the labels of the data set's source."""
    with torch.device("meta"):
        model = FUNIT(Task(128, 1000, 10, 119), FUNITConfig())
        x = torch.empty(2, 3, 128, 128)
        content, code = model.generator.encode(x)
        features = model.discriminator.features(x)
    parts = {name: count(part) for name, part in model.generator.named_children()}
    assert parts == {
        "content_encoder": 12_202_112,
        "style_encoder": 2_779_328,
        "mlp": 1_135_104,
        "decoder": 13_749_891,
    }
    assert {name: count(net) for name, net in model.networks.items()} == {
        "generator": 29_866_435,
        "discriminator": 54_252_599,
    }
    assert content.shape == (2, 512, 16, 16) and code.shape == (2, 64) and model.generator.decoder.n_style == 4096
    assert features.shape == (2, 1024, 8, 8) and model.discriminator.adversarial(features).shape == (2, 119, 8, 8)


@pytest.mark.parametrize(
    ("width", "downs", "pairs"),
    [
        (12, 2, [(12, 12), (12, 24), (24, 24), (24, 48), (48, 48), (48, 96)]),
        (512, 1, [(512, 512), (512, 1024), (1024, 1024), (1024, 1024)]),
    ],
)
def test_every_pair_of_the_trunk_doubles_the_width_up_to_1024(
    width: int, downs: int, pairs: list[tuple[int, int]]
) -> None:
    """The last pair, which is not pooled, doubles it too; the heads take the width that it leaves."""
    with torch.device("meta"):
        network = Discriminator(3, width, downs, 7, classifier=True)
    blocks = [layer for layer in network.features if isinstance(layer, ActivationFirstBlock)]
    convs = [[m for m in block.modules() if isinstance(m, nn.Conv2d)] for block in blocks]
    assert [(c[0].in_channels, max(m.out_channels for m in c)) for c in convs] == pairs
    assert sum(isinstance(layer, nn.AvgPool2d) for layer in network.features) == downs
    for head in (network.adversarial, network.classifier):
        assert isinstance(head, nn.Sequential)
        (conv,) = (m for m in head if isinstance(m, nn.Conv2d))
        assert (conv.in_channels, conv.out_channels) == (pairs[-1][1], 7)


def test_paper_settings() -> None:
    c = FUNITConfig(**FUNIT.presets["paper"])
    assert (c.resolution, c.batch_size, c.replicas, c.classes, c.train_on_target) == (128, 64, 8, "labels", False)
    assert (c.adv_weight, c.reconstruction_weight, c.feature_weight, c.r1_weight) == (1, 0.1, 1, 10)
    assert round(c.resolution * c.load_ratio) == 140 and 1000 * c.budget_kimg / c.batch_size == 100_000
    assert c.ema_decay == 0.999 and c.k_shot == 1
    for optimizer in small().optimizers.values():
        assert isinstance(optimizer, torch.optim.RMSprop)
        group = optimizer.param_groups[0]
        assert (group["lr"], group["alpha"], group["weight_decay"], group["momentum"]) == (1e-4, 0.99, 1e-4, 0)
    assert not small().schedulers


def test_decoder_normalises_with_instance_norm_while_it_enlarges() -> None:
    names = [type(m).__name__ for m in small().generator.decoder.up[1]]
    assert names == ["UpsampledConv", "InstanceNorm2d", "ReLU"]


def test_identity_and_preact_shortcuts_against_in_place_activations() -> None:
    """The reference is a block whose activations are in place, as FUNIT's code has them."""
    torch.manual_seed(0)
    x = torch.randn(2, 4, 5, 5)
    for outputs in (4, 6):
        preact, identity = (ActivationFirstBlock(4, outputs, shortcut) for shortcut in ("preact", "identity"))
        identity.load_state_dict(preact.state_dict())

        def in_place(x: Tensor, block: ActivationFirstBlock = preact, outputs: int = outputs) -> Tensor:
            x = x.clone()
            shortcut = x if outputs == 4 else block.shortcut(x)
            hidden = block.first(F.leaky_relu_(x, 0.2))
            return shortcut + block.second(F.leaky_relu_(hidden, 0.2))

        with torch.no_grad():
            assert torch.allclose(preact(x), in_place(x), atol=1e-6)
            assert torch.allclose(identity(x), in_place(x), atol=1e-6) == (outputs != 4)


def test_preact_features_are_those_behind_the_heads_activation() -> None:
    torch.manual_seed(0)
    preact, identity = (Discriminator(3, 4, 1, 5, shortcut) for shortcut in ("preact", "identity"))
    x = torch.randn(2, 3, 8, 8)
    trunk = preact.features[:-1](x)
    assert torch.equal(preact.features(x), torch.where(trunk > 0, trunk, 0.2 * trunk))
    label = torch.tensor([4, 0])
    by_hand = F.conv2d(F.leaky_relu(trunk, 0.2), preact.adversarial[-1].weight, preact.adversarial[-1].bias)
    assert torch.allclose(preact.scores(preact.features(x), label), by_hand[[0, 1], [4, 0]])
    raw = identity.features(x)
    by_hand = F.conv2d(F.leaky_relu(raw, 0.2), identity.adversarial[-1].weight, identity.adversarial[-1].bias)
    assert (raw < 0).any() and torch.allclose(identity.scores(raw, label), by_hand[[0, 1], [4, 0]])


def maps_of(model: FUNIT, images: Tensor, label: Tensor) -> Tensor:
    maps = model.discriminator.adversarial(model.discriminator.features(images))
    return torch.stack([maps[i, y] for i, y in enumerate(label.tolist())])


def test_discriminator_loss_by_hand() -> None:
    """Two replicas of two images: each one's R1 is divided by its own batch's square."""
    model, b = small(replicas=2), batches()["reference"]
    fake = torch.rand(4, 3, 16, 16)
    total, parts = model.discriminator_loss(fake, b.image, b.label)
    x = b.image.clone().requires_grad_()
    real = torch.clamp(1 - maps_of(model, x, b.label), min=0).mean()
    generated = torch.clamp(1 + maps_of(model, fake, b.label), min=0).mean()
    penalties = []
    for half in (slice(0, 2), slice(2, 4)):
        scores = maps_of(model, x[half], b.label[half])
        (gradient,) = torch.autograd.grad(scores.mean(), x, retain_graph=True)
        penalties.append(float(gradient.square().sum()) / 2)
    assert parts["r1"].item() == pytest.approx(sum(penalties) / 2, rel=1e-4)
    assert total.item() == pytest.approx((real + generated).item() + 10 * sum(penalties) / 2, rel=1e-4)


def test_r1_of_the_paper_knows_no_replicas() -> None:
    b = batches()["reference"]
    values = [
        small(replicas=r, r1="per_sample").discriminator_loss(b.image, b.image, b.label)[1]["r1"].item() for r in (1, 4)
    ]
    assert values[0] == values[1]


def generator_terms(model: FUNIT, data: dict[str, Batch]) -> dict[str, Tensor]:
    xa, la = data["source"].image, data["source"].label
    xb, lb = data["reference"].image, data["reference"].label
    g, f = model.generator, model.discriminator.features
    xt, xr = g(xa, xb), g(xa, xa)
    return {
        "adv_t": -maps_of(model, xt, lb).mean(),
        "adv_r": -maps_of(model, xr, la).mean(),
        "rec": (xr - xa).abs().mean(),
        "feat_t": (f(xt).mean((2, 3)) - f(xb).mean((2, 3))).abs().mean(),
        "feat_r": (f(xr).mean((2, 3)) - f(xa).mean((2, 3))).abs().mean(),
        "feat_t_map": (f(xt) - f(xb)).abs().mean(),
    }


def generator_loss(model: FUNIT, data: dict[str, Batch]) -> Tensor:
    xa, xb = data["source"].image, data["reference"].image
    fake = torch.cat([model.generator(xa, xb), model.generator(xa, xa)])
    label = torch.cat([data["reference"].label, data["source"].label])
    return model.generator_loss(fake, torch.cat([xb, xa]), label)[0]


@pytest.mark.parametrize("shortcut", ["identity", "preact"])
def test_generator_loss_as_in_the_code(shortcut: str) -> None:
    model, data = small(d_shortcut=shortcut), batches()
    t = generator_terms(model, data)
    wanted = 0.5 * (t["adv_t"] + t["adv_r"]) + 0.1 * t["rec"] + t["feat_t"] + t["feat_r"]
    assert torch.allclose(generator_loss(model, data), wanted, rtol=1e-4)


def test_generator_loss_as_the_paper_writes_it() -> None:
    paper = {"adv_on_reconstruction": False, "features_on_reconstruction": False, "features_pooled": False}
    model, data = small(**paper), batches()
    t = generator_terms(model, data)
    assert torch.allclose(generator_loss(model, data), t["adv_t"] + 0.1 * t["rec"] + t["feat_t_map"], rtol=1e-4)


def test_a_step_is_d_then_g_on_the_same_translations_then_the_average(monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = small(ema_decay=0.9, replicas=4), batches()
    start = [p.clone() for p in model.generator.parameters()]
    steps: list[tuple[str, float]] = []
    plain = model.minimise

    def spy(name: str, parts: Iterable[Tensor]) -> None:
        (loss,) = parts
        steps.append((name, loss.item()))
        plain(name, loss)

    monkeypatch.setattr(model, "minimise", spy)
    xa, b = data["source"].image, data["reference"]
    d_loss = model.discriminator_loss(model.generator(xa, b.image).detach(), b.image, b.label)[0].item()
    losses = model.train_step(data)
    assert [name for name, _ in steps] == ["discriminator", "generator"]
    assert steps[0][1] == pytest.approx(4 * d_loss, rel=1e-4), "gradients are summed over replicas"
    assert set(losses) == {"d_real", "d_fake", "r1", "g_adv", "g_rec", "g_feat"}
    assert all(torch.isfinite(v) and not v.requires_grad for v in losses.values())
    for old, new, mean in zip(start, model.generator.parameters(), model.ema["generator"].parameters()):
        assert torch.allclose(mean, 0.9 * old + 0.1 * new, atol=1e-6)


# --- classes, target taken in or held out


def test_target_taken_in_or_held_out(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data = tiny_task()
    for taken_in, classes, last in ((True, 4, 26), (False, 3, 20)):
        model = small(train_on_target=taken_in)
        assert model.discriminator.adversarial[-1].out_channels == classes
        model.prepare(data, artifacts)
        sampler = Sampler(model.streams(data), data, 0, Compute.choose("cpu"))
        seen = [sampler.batch(step)[name] for step in range(last // 4) for name in ("source", "reference")]
        indices, labels = torch.cat([b.index for b in seen]), torch.cat([b.label for b in seen])
        assert indices.max() >= 20 if taken_in else indices.max() < 20
        wanted = [int(data.source_train.labels[i]) if i < 20 else 3 for i in indices.tolist()]
        assert labels.tolist() == wanted
        first = sampler.batch(0)
        assert not torch.equal(first["source"].index, first["reference"].index), "independent shuffles"
        assert model.target_classes(data).tolist() == [3] * 6
        model.train_step(first)


@pytest.mark.parametrize("classes, count", [("domain", 2), ("labels", 4), ("modes:5", 6), ("vae-modes:2", 3)])
def test_every_choice_of_classes(classes: str, count: int) -> None:
    assert small(classes=classes).discriminator.adversarial[-1].out_channels == count


# --- translation


def prepared(data: TaskData, artifacts: Artifacts, **settings: Any) -> FUNIT:
    model = small(**settings)
    model.prepare(data, artifacts)
    return model


def codes_of(model: FUNIT, data: TaskData) -> Tensor:
    pixels = torch.from_numpy(data.target_train.images()).float() / 127.5 - 1
    return torch.cat([model.ema["generator"].style_encoder(image[None]) for image in pixels])


def test_one_shot_translation_is_that_of_the_reference() -> None:
    model, data = small(), batches()
    assert model.guidance == "reference"
    model.train_step(data)
    x, y = batches(5)["source"].image, batches(5)["reference"].image
    out = model.translate(x, reference=y)
    average = model.ema["generator"]
    assert torch.allclose(out, average(x, y)) and not torch.allclose(out, model.generator(x, y))
    assert not torch.allclose(out, model.translate(x, reference=y.flip(0)), atol=1e-4)
    assert not out.requires_grad and out.abs().max() <= 1
    with pytest.raises(ValueError, match="reference"):
        model.translate(x)


def test_zero_shots_means_the_mean_over_all_target_images(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data = tiny_task(n_target=40)  # more than are encoded at a time
    model = prepared(data, artifacts, k_shot=0)
    assert model.guidance == "none"
    x = batches()["source"].image
    content = model.ema["generator"].content_encoder(x)
    for _ in range(2):  # the codes follow the weights
        code = codes_of(model, data).mean(0, keepdim=True).expand(4, -1)
        wanted = model.ema["generator"].decode(content, code)
        assert torch.allclose(model.translate(x), wanted, atol=1e-5)
        state = copy.deepcopy(model.state_dict())
        for name, value in state["ema"]["generator"].items():
            if name.startswith("style_encoder"):
                value.add_(0.01)
        model.load_state_dict(state)


def test_k_shots_are_the_reference_and_images_of_its_class(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data = tiny_task()
    model = prepared(data, artifacts, k_shot=3, classes="domain")
    codes, own = codes_of(model, data), torch.randn(2, 8)
    assert model.classes is not None
    model.classes.target[:] = [1, 1, 1, 1, 2, 2]
    rng = torch.Generator().manual_seed(0)
    for _ in range(10):
        rest = 3 * model._class_code(own, torch.tensor([2, 1]), rng) - own
        sums = [codes[i] + codes[j] for i in (4, 5) for j in (4, 5)]
        assert min((rest[0] - s).abs().max().item() for s in sums) < 1e-4, "two others of class 2"
        sums = [codes[i] + codes[j] for i in range(4) for j in range(4)]
        assert min((rest[1] - s).abs().max().item() for s in sums) < 1e-4
    x, y = batches()["source"].image, batches()["reference"].image
    seeds = [model.translate(x, y, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(seeds[0], seeds[1]) and not torch.equal(seeds[0], seeds[2])


def test_codes_are_computed_anew_after_a_step(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    model = prepared(tiny_task(), artifacts, k_shot=0, ema_decay=0.0, lr=0.01)
    x = batches()["source"].image
    before = model.translate(x)
    model.train_step(batches())
    after = model.translate(x)
    assert torch.allclose(model._target_codes(), codes_of(model, tiny_task()), atol=1e-5)
    assert not torch.allclose(before, after)


def test_state_round_trip_goes_on_bit_equal() -> None:
    one = small()
    for seed in range(2):
        one.train_step(batches(seed))
    torch.manual_seed(9)
    other = FUNIT(Task(16, 20, 6, 3), FUNITConfig(**SMALL))
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    for seed in range(2, 4):
        mine, theirs = one.train_step(batches(seed)), other.train_step(batches(seed))
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    for a, b in zip(one.modules(), other.modules()):
        assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters()))


def test_bfloat16_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert all(torch.isfinite(v) for v in small().train_step(batches()).values())


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"discriminator_downs": 4}, "multiple of 16, at least 32"),
        ({"train_on_target": False, "encoder_images": "both"}, "encoder_images=source"),
        ({"k_shot": -1}, "k_shot"),
    ],
)
def test_bad_settings_are_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        small(**settings)


def test_labels_on_data_without_labels_name_the_mend() -> None:
    with pytest.raises(UserError, match="choose modes:K or domain"):
        FUNIT(Task(16, 20, 6, 0), FUNITConfig(**SMALL))


@pytest.mark.parametrize("preset", list(FUNIT.presets))
def test_presets_build(preset: str) -> None:
    config = build(FUNITConfig, FUNIT.presets, preset, [])
    with torch.device("meta"):
        model = FUNIT(Task(config.resolution, 1525, 250, 9), config)
        x = torch.empty(2, 3, config.resolution, config.resolution)
        assert model.generator(x, x).shape == x.shape
        assert min(model.discriminator.features(x).shape[2:]) >= 2


@pytest.mark.parametrize("r1", ["code", "per_sample"])
@pytest.mark.parametrize("name", ["funit", "balagan"])
def test_accumulated_parts_of_a_batch_train_as_the_whole_batch_does(name: str, r1: str, tmp_path: Path) -> None:
    """Weights after two iterations of plain gradient descent, and the figures of the log, to rounding."""
    cls = entries("methods")[name].load()
    found = []
    for parts in (1, 3):
        case = Case(cls, tmp_path, {"batch_size": 6, "accumulate": parts, "r1": r1, "r1_weight": 10.0})
        for key, network in case.method.networks.items():
            case.method.optimizers[key] = torch.optim.SGD(network.parameters(), 1e-3)
        found.append((case.train(0, 2), case.parameters()))
    (losses, weights), (split_losses, split_weights) = found
    for key, value in weights.items():
        torch.testing.assert_close(split_weights[key], value, rtol=1e-4, atol=1e-6, msg=key)
    for key, value in losses.items():
        torch.testing.assert_close(split_losses[key], value, rtol=1e-4, atol=1e-6, msg=key)


def test_a_batch_that_has_no_such_equal_parts_is_refused() -> None:
    with pytest.raises(UserError, match="a batch of 8 has no 3 equal parts"):
        FUNITConfig(batch_size=8, accumulate=3)
