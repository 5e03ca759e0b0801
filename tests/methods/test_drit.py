"""DRIT and DRIT++ against the counts of the official code and hand calculations."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.errors import Unfit, UserError
from bench.data.task import TaskData
from bench.methods.drit import DRIT, DRITConfig
from bench.methods.drit.losses import Attribute, cross_entropy, divergence, sameness
from bench.methods.drit.networks import (
    ConcatGenerator,
    ContentDiscriminator,
    ContentEncoder,
    GaussianAttributeEncoder,
    PlainAttributeEncoder,
    TransformGenerator,
    content_layers_that_fit,
    discriminator,
)
from bench.testing import CHECKS, check
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Batch, Sampler

MakeTask = Callable[..., TaskData]
SMALL = (
    *("resolution=16", "width=4", "downs=1", "blocks=1", "discriminator_downs=2", "n_scales=2"),
    *("batch_size=4", "content_iterations=3"),
)


def make(*settings: str, preset: str = "paper", n_source: int = 20) -> DRIT:
    config = build(DRITConfig, DRIT.presets, preset, [*SMALL, *settings])
    torch.manual_seed(0)
    return DRIT(Task(config.resolution, n_source, 6, 3), config)


def first_batch(model: DRIT, data: TaskData) -> dict[str, Batch]:
    return Sampler(model.streams(data), data, 0, Compute.choose("cpu")).batch(0)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def images(n: int, seed: int) -> Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def l1(one: Tensor, other: Tensor) -> float:
    return (one - other).abs().mean().item()


def bce(maps: list[Tensor], wanted: float) -> float:
    """-w log p - (1 - w) log(1 - p), averaged over each scale, summed over scales."""
    probabilities = [torch.sigmoid(scores) for scores in maps]
    return sum((-wanted * p.log() - (1 - wanted) * (1 - p).log()).mean().item() for p in probabilities)


def test_parameter_counts_of_the_official_code() -> None:
    with torch.device("meta"):
        assert count(ContentEncoder(3, 64, 2, 3)) == 9_018_112
        assert count(GaussianAttributeEncoder(3, 64, 8)) == 2_688_160
        assert count(PlainAttributeEncoder(3, 64, 8)) == 5_529_872
        assert count(ConcatGenerator(3, 64, 2, 3, 8)) == 9_564_710
        assert count(TransformGenerator(3, 64, 2, 3, 8)) == 17_146_374
        assert count(discriminator(3, 64, 4, 3)) == 8_271_171
        assert count(ContentDiscriminator(256, 3)) == 10_683_649


def test_shapes_at_the_papers_crop_of_216_pixels() -> None:
    with torch.device("meta"):
        model = DRIT(Task(216, 100, 10, 0), DRITConfig(resolution=216))
        content = model.networks["enc_c"](torch.empty(1, 3, 216, 216), 0)
        mean, log_variance = model.networks["enc_a"](torch.empty(1, 3, 216, 216), 1)
        image = model.networks["gen"](content, mean, 1)
        logits = model.networks["dis_content"](content)
    assert content.shape == (1, 256, 54, 54) and mean.shape == log_variance.shape == (1, 8)
    assert image.shape == (1, 3, 216, 216) and logits.shape == (1, 1, 1, 1)


@pytest.mark.parametrize(("side", "layers"), [(3, -1), (8, 0), (16, 1), (32, 2), (53, 3), (54, 3), (64, 3), (256, 3)])
def test_the_content_discriminator_has_as_many_layers_as_its_map_allows(side: int, layers: int) -> None:
    assert content_layers_that_fit(side) == layers
    if layers >= 0:
        with torch.device("meta"):
            assert ContentDiscriminator(2, layers)(torch.empty(1, 2, side, side)).shape[-1] >= 1


def test_conv_weights_are_normal_and_their_biases_are_the_frameworks() -> None:
    network = discriminator(3, 32, 3, 2)
    weights = torch.cat([p.flatten() for name, p in network.named_parameters() if name.endswith("weight")])
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    biases = [p for name, p in network.named_parameters() if name.endswith("bias")]
    assert all(p.abs().max() > 0 for p in biases)


def test_the_domains_share_the_last_block_of_the_encoders_and_the_first_of_the_generators() -> None:
    encoder, generator, x = ContentEncoder(3, 4, 1, 1), ConcatGenerator(3, 4, 1, 1, 8), images(2, 0)
    assert torch.equal(encoder(x, 1), encoder.shared(encoder.own[1](x)))
    content, attribute = encoder(x, 0), torch.randn(2, 8)
    generator.shared.register_forward_hook(lambda *_: torch.zeros_like(content))
    assert torch.equal(generator(content, attribute, 0), generator(-content, attribute, 0))


def test_divergence_by_hand() -> None:
    """Mean 1, variance 4 in one number: (1 + 4 - 1 - log 4) / 2 = 1.306853; without a distribution the mean square."""
    mean, log_variance = torch.tensor([[1.0, 0.0]]), torch.tensor([[4.0, 1.0]]).log()
    assert divergence(Attribute(mean, mean, log_variance)).item() == pytest.approx(1.306853, rel=1e-5)
    assert divergence(Attribute(mean, mean, None)).item() == pytest.approx(0.5)


def test_mode_seeking_by_hand() -> None:
    """Images that differ by 0.5 from codes that differ by 2: 1 / (0.5 / 2 + 1e-5)."""
    apart = sameness(
        (torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.5)), [torch.zeros(1, 8), torch.full((1, 8), 2)]
    )
    assert apart.item() == pytest.approx(1 / 0.25001, rel=1e-5)
    assert sameness((torch.zeros(1), torch.zeros(1)), [torch.zeros(1), torch.ones(1)]).item() == pytest.approx(1e5)


def test_cross_entropy_by_hand() -> None:
    assert cross_entropy(torch.zeros(3), 0.5).item() == pytest.approx(0.693147, rel=1e-5)
    assert cross_entropy(torch.ones(3), 0.0).item() == pytest.approx(1.313262, rel=1e-5)


def test_the_first_steps_loss_by_hand() -> None:
    weights = ("adv_weight=2", "content_adv_weight=3", "cross_cycle_weight=5", "reconstruction_weight=7")
    model = make(*weights, "kl_weight=0.5", "content_weight=0.25")
    nets: dict[str, Any] = model.networks
    a, b, noise = images(2, 1), images(2, 2), model._content_noise(2)
    model.rng.manual_seed(5)
    total, parts = model.encoder_loss(model.translations((a, b), noise))

    rng = torch.Generator().manual_seed(5)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=rng)

    c_a, c_b = nets["enc_c"](a, 0) + noise[0], nets["enc_c"](b, 1) + noise[1]
    (mean_a, log_a), (mean_b, log_b) = nets["enc_a"](a, 0), nets["enc_a"](b, 1)
    s_a = mean_a + log_a.exp().sqrt() * normal(2, 8)
    s_b = mean_b + log_b.exp().sqrt() * normal(2, 8)
    fake_a, fake_b = nets["gen"](c_b, s_a, 0), nets["gen"](c_a, s_b, 1)
    c_b_again = nets["enc_c"](fake_a, 0) + normal(2, 8, 8, 8)
    c_a_again = nets["enc_c"](fake_b, 1) + normal(2, 8, 8, 8)
    (m_a, l_a), (m_b, l_b) = nets["enc_a"](fake_a, 0), nets["enc_a"](fake_b, 1)
    back_a = nets["gen"](c_a_again, m_a + l_a.exp().sqrt() * normal(2, 8), 0)
    back_b = nets["gen"](c_b_again, m_b + l_b.exp().sqrt() * normal(2, 8), 1)

    def kl(mean: Tensor, log_variance: Tensor) -> float:
        return -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum().item()

    by_hand = {
        "g_adv": bce(nets["dis_a"](fake_a), 1) + bce(nets["dis_b"](fake_b), 1),
        "g_content": bce([nets["dis_content"](c_a)], 0.5) + bce([nets["dis_content"](c_b)], 0.5),
        "cross_cycle": l1(back_a, a) + l1(back_b, b),
        "reconstruction": l1(nets["gen"](c_a, s_a, 0), a) + l1(nets["gen"](c_b, s_b, 1), b),
        "kl": kl(mean_a, log_a) + kl(mean_b, log_b),
        "content": (c_a**2).mean().item() + (c_b**2).mean().item(),
    }
    assert set(parts) == set(by_hand)
    for name, value in by_hand.items():
        assert parts[name].item() == pytest.approx(value, rel=1e-4), name
    expected = sum(w * value for w, value in zip((2, 3, 5, 7, 0.5, 0.25), by_hand.values()))
    assert total.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("preset", ["drit", "drit++"])
def test_the_second_steps_loss_by_hand(preset: str) -> None:
    """DRIT translates with one drawn attribute, DRIT++ with two, and wants these to differ."""
    model = make("latent_weight=3", preset=preset)
    nets: dict[str, Any] = model.networks
    c_a, c_b = torch.randn(2, 2, 8, 8, 8)
    drawn = [torch.randn(2, 8) for _ in range(2 if preset == "drit++" else 1)]
    total, parts = model.generator_loss((c_a, c_b), drawn)
    expected = {"g_adv2": 0.0, "latent": 0.0, "mode_seeking": 0.0}
    for d, content in ((0, c_b), (1, c_a)):
        fakes = [nets["gen"](content, z, d) for z in drawn]
        expected["g_adv2"] += sum(bce(nets["dis_a2" if d == 0 else "dis_b2"](fake), 1) for fake in fakes)
        expected["latent"] += l1(nets["enc_a"](fakes[0], d)[0], drawn[0])
        if preset == "drit++":
            expected["mode_seeking"] += 1 / (l1(fakes[1], fakes[0]) / l1(drawn[1], drawn[0]) + 1e-5)
    assert set(parts) == set(expected) - (set() if preset == "drit++" else {"mode_seeking"})
    for name, part in parts.items():
        assert part.item() == pytest.approx(expected[name], rel=1e-4), name
    assert total.item() == pytest.approx(
        expected["g_adv2"] + 3 * expected["latent"] + expected["mode_seeking"], rel=1e-4
    )


def test_discriminator_losses_by_hand() -> None:
    """With two drawn attributes the second discriminator meets its real images twice."""
    model = make()
    nets: dict[str, Any] = model.networks
    a, b, real = images(2, 1), images(2, 2), (images(2, 3), images(2, 4))
    drawn = [torch.randn(2, 8), torch.randn(2, 8)]
    with torch.no_grad():
        made = model.translations((a, b), model._content_noise(2))
        fakes = [nets["gen"](made.contents[1], z, 0) for z in drawn]
        first = bce(nets["dis_a"](made.fakes[0]), 0) + bce(nets["dis_a"](a), 1)
        second = sum(bce(nets["dis_a2"](fake), 0) + bce(nets["dis_a2"](real[0]), 1) for fake in fakes)
    losses = model._discriminator_step(made, real, drawn)
    assert losses["D_a"].item() == pytest.approx(first, rel=1e-4)
    assert losses["D_a2"].item() == pytest.approx(second, rel=1e-4)


def test_content_discriminator_calls_the_target_one_and_clips_its_gradient() -> None:
    model = make()
    judge: Any = model.networks["dis_content"]
    contents = torch.randn(2, 8, 8, 8), torch.randn(2, 8, 8, 8)
    expected = bce([judge(contents[0])], 0) + bce([judge(contents[1])], 1)
    limits = []
    plain = model.minimise
    model.minimise = lambda name, loss, clip_norm=None: (limits.append(clip_norm), plain(name, loss, clip_norm))  # type: ignore
    assert model._content_discriminator_step(contents)["D_content"].item() == pytest.approx(expected, rel=1e-4)
    assert limits == [5.0]


def test_an_iteration_steps_in_the_order_of_the_code(tiny_task: MakeTask) -> None:
    model, steps = make(), []
    plain = model.minimise
    model.minimise = lambda names, loss, clip_norm=None: (steps.append(names), plain(names, loss, clip_norm))  # type: ignore
    model.train_step(first_batch(model, tiny_task(n_target=20)))
    assert steps == [
        *("dis_content", "dis_content"),  # on images of their own
        *("dis", "dis_content"),
        *(("enc_c", "enc_a", "gen"), ["enc_c", "gen"]),
    ]


def test_streams_and_budget_are_the_codes(tiny_task: MakeTask) -> None:
    model = make(n_source=20)
    streams = model.streams(tiny_task())
    assert {name: stream.size for name, stream in streams.items()} == {
        "source": 6,
        "target": 6,
        "source_real": 2,
        "target_real": 2,
    }
    assert all(stream.augment.load_size == 19 and stream.augment.flip for stream in streams.values())
    assert model.images_per_step == 12 and model.budget_images == 1200 * 20
    assert make("most_updates=10").total_steps == 10


def test_the_rate_falls_over_the_second_half() -> None:
    model = make("epochs=4", "budget_kimg=0.048")  # four iterations of twelve images
    assert [model.rate(step) for step in range(4)] == pytest.approx([1, 1, 1, 2 / 3])
    assert model.optimizers["dis_content"].param_groups[0]["initial_lr"] == 4e-5
    assert model.optimizers["gen"].param_groups[0]["initial_lr"] == 1e-4


def test_translation_from_noise_and_from_a_reference() -> None:
    noisy, guided, x, reference = make(), make("guide=reference"), images(2, 1), images(2, 2)
    nets: dict[str, Any] = noisy.networks
    attribute = torch.randn(2, 8, generator=torch.Generator().manual_seed(1))
    by_hand = nets["gen"](nets["enc_c"](x, 0), attribute, 1)
    assert torch.equal(noisy.translate(x, rng=torch.Generator().manual_seed(1)), by_hand)
    nets = guided.networks
    assert torch.equal(
        guided.translate(x, reference), nets["gen"](nets["enc_c"](x, 0), nets["enc_a"](reference, 1)[0], 1)
    )
    with pytest.raises(ValueError, match="pass reference="):
        guided.translate(x)
    content = noisy.bottleneck(x, "target")
    assert content is not None and torch.equal(content, noisy.networks["enc_c"](x, 1))


def test_impossible_settings_name_the_mend() -> None:
    with pytest.raises(UserError, match="batch_size=3 cannot be halved"):
        make("batch_size=3")
    with pytest.raises(Unfit, match="lower n_scales"):
        make("n_scales=4")
    with pytest.raises(Unfit, match="set content_layers=none"):
        make("content_layers=2")


@pytest.mark.parametrize("promise", CHECKS, ids=lambda promise: promise.__name__)
def test_the_networks_for_pairs_that_change_shapes_keep_every_promise(promise: Any, tmp_path: Any) -> None:
    check(DRIT, promise, tmp_path, {"concat": False, "mode_seeking": False, "guide": "reference"})


def test_the_transforming_generator_uses_its_own_vector_in_every_block() -> None:
    generator = TransformGenerator(3, 4, 1, 1, 8)
    content, attribute = torch.randn(1, 8, 4, 4), torch.randn(1, 8)
    vectors = generator.mlps[1](attribute).chunk(2, dim=1)
    blocks: Any = generator.blocks[1]
    x = content
    for block, vector in zip(blocks, vectors):
        hidden = x
        for conv, mixer in zip(block.convs, block.mixers):
            padded = F.pad(hidden, (1, 1, 1, 1), mode="reflect")
            normed = F.instance_norm(F.conv2d(padded, conv[0].weight, conv[0].bias))
            constant = vector[:, :, None, None].expand(1, 8, 4, 4)
            hidden = mixer(torch.cat([normed, constant], dim=1))
        x = x + hidden
    assert torch.allclose(generator(content, attribute, 1), generator.up[1](x), atol=1e-5)
