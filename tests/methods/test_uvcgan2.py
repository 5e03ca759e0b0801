"""UVCGANv2 against the counts of the official code and hand calculations."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import Unfit, UserError
from bench.core.progress import Reporter
from bench.data.task import TaskData
from bench.methods.uvcgan2 import UVCGAN2, UVCGAN2Config, distance
from bench.methods.uvcgan2.networks import Cache, Discriminator, Generator, ModulatedConv, Transformer
from bench.methods.uvcgan2.pretraining import hide, jitter, views_of
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.loop import Loop
from bench.training.method import Task
from bench.training.sampler import Batch, Sampler

MakeTask = Callable[..., TaskData]


def make(*settings: str) -> UVCGAN2:
    config = build(UVCGAN2Config, UVCGAN2.presets, "smoke", list(settings))
    torch.manual_seed(0)
    return UVCGAN2(Task(config.resolution, 20, 6, 0), config)


def first_batch(model: UVCGAN2, data: TaskData) -> dict[str, Batch]:
    return Sampler(model.streams(data), data, 0, Compute.choose("cpu")).batch(0)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def images(n: int, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_parameter_counts_and_shapes_of_the_official_code() -> None:
    with torch.device("meta"):
        for side in (128, 256):
            generator = Generator(3, side, 48, 4, 12, 6)
            assert count(generator) == 32_192_231
            assert count(generator.bottleneck) == 21_738_252
            assert generator(torch.empty(2, 3, side, side)).shape == (2, 3, side, side)
        discriminator = Discriminator(3, 64, 3)
        assert count(discriminator) == 5_121_985
        assert count(discriminator.body) == 2_756_544
        scores, maps = discriminator(torch.empty(1, 3, 256, 256))
    assert scores.shape == (1, 1, 31, 31) and maps.shape == (1, 512, 31, 31)
    shares = [name for name, _ in generator.named_parameters() if name.endswith("share")]
    assert len(shares) == 12 + 8


def test_at_the_start_the_transformer_is_linear_and_the_decoder_not_modulated() -> None:
    network, x = Transformer(8, 4, blocks=3, heads=2), torch.randn(2, 8, 4, 4)
    made, style = network(x)
    line = torch.tensor([-1.0, -1 / 3, 1 / 3, 1.0])
    for row, column in ((0, 3), (2, 1)):
        place = torch.sin(network.place(torch.stack([line[row], line[column]])))
        by_hand = network.outwards(network.inwards(torch.cat([place, x[1, :, row, column]])))
        assert torch.allclose(made[1, :, row, column], by_hand, atol=1e-5)
    assert torch.equal(style, network.extra[0].expand(2, -1))
    conv = ModulatedConv(4, 3, 8)
    image = torch.randn(1, 4, 5, 5)
    assert torch.allclose(conv(image, torch.randn(1, 8)), conv(image, torch.randn(1, 8)))


def test_a_modulated_conv_by_hand() -> None:
    conv, x, style = ModulatedConv(3, 2, 5), torch.randn(2, 3, 6, 6), torch.randn(2, 5)
    conv.share.data.fill_(0.7)
    made = conv(x, style)
    for image in range(2):
        scale = 1 + 0.7 * (conv.scale.weight @ style[image] + conv.scale.bias)
        weight = conv.conv.weight * scale[None, :, None, None]
        length = (weight.square().sum((1, 2, 3)) + 1e-6).sqrt()
        plain = nn.functional.conv2d(x[image : image + 1], weight, conv.conv.bias, padding=1)
        assert torch.allclose(made[image], plain[0] / length[:, None, None], atol=1e-5)


def test_a_modulated_conv_keeps_unit_variance() -> None:
    torch.manual_seed(0)
    conv = ModulatedConv(16, 8, 4)
    conv.share.data.fill_(2.0)
    conv.conv.bias.data.zero_()
    made = conv(torch.randn(4, 16, 64, 64), torch.randn(4, 4))[:, :, 1:-1, 1:-1]
    assert torch.allclose(made.var((2, 3)), torch.ones(4, 8), atol=0.25)


def test_attention_is_that_of_torch() -> None:
    from bench.methods.uvcgan2.networks import Attention

    ours, theirs = Attention(8, 2), nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 5, 8)
    assert torch.allclose(ours(x), theirs(x, x, x)[0], atol=1e-6)


def test_a_generator_treats_each_image_by_itself() -> None:
    torch.manual_seed(0)
    network, x = Generator(3, 32, 4, 2, 1, 2), images(2)
    for name, parameter in network.named_parameters():
        if name.endswith("share"):
            parameter.data.fill_(0.5)
    alone = torch.cat([network(x[:1]), network(x[1:])])
    assert torch.allclose(network(x), alone, atol=1e-5)


def test_the_head_sees_earlier_maps_beside_those_of_the_batch() -> None:
    torch.manual_seed(0)
    network, x = Discriminator(3, 4, 2).train(), images(1)
    scores, maps = network(x)
    copies, _ = network(x, earlier=maps.detach().repeat(3, 1, 1, 1))
    others, _ = network(x, earlier=torch.randn(3, *maps.shape[1:]))
    assert torch.allclose(scores, copies, atol=1e-3), "statistics of copies are those of the one"
    assert not torch.allclose(scores, others, atol=1e-3) and len(others) == 1


def test_a_cache_keeps_the_last_maps_and_survives_a_checkpoint() -> None:
    cache = Cache(3)
    for number in range(2):
        cache.push(torch.full((2, 1, 1, 1), float(number), requires_grad=True))
    assert cache.maps is not None and not cache.maps.requires_grad
    assert cache.maps.flatten().tolist() == [0, 1, 1]
    again = Cache(3)
    again.load_state_dict(cache.state_dict())
    again.push(torch.full((1, 1, 1, 1), 2.0))
    assert again.maps is not None and again.maps.flatten().tolist() == [1, 1, 2]


def test_distance_is_that_of_images_between_0_and_1() -> None:
    assert distance(torch.ones(1, 3, 2, 2), -torch.ones(1, 3, 2, 2)).item() == 1.0


def test_the_losses_of_an_iteration_by_hand(tiny_task: MakeTask) -> None:
    """The generators' losses are those of the first weights; caches are empty and the head has few statistics."""
    model = make("cycle_weight=3", "identity_weight=0.25", "lr_g=1e-12", "lr_d=1e-12")
    batch = first_batch(model, tiny_task(resolution=32))
    a, b = batch["A"].image, batch["B"].image
    totals: dict[str, float] = {}
    plain = model.minimise

    def minimise(name: Any, loss: Any) -> None:
        totals[name] = float(loss.detach())
        plain(name, loss)

    model.minimise = minimise
    losses = {name: float(loss) for name, loss in model.train_step(batch).items()}
    g_ab, g_ba = model.networks["G_AB"], model.networks["G_BA"]
    with torch.no_grad():
        wanted = {
            "cycle_A": (g_ba(g_ab(a)) - a).abs().mean() / 2,
            "cycle_B": (g_ab(g_ba(b)) - b).abs().mean() / 2,
            "identity_A": (g_ba(a) - a).abs().mean() / 2,
            "identity_B": (g_ab(b) - b).abs().mean() / 2,
        }
    for name, value in wanted.items():
        assert losses[name] == pytest.approx(float(value), rel=1e-3), name
    by_hand = losses["G_AB"] + losses["G_BA"] + 3 * (losses["cycle_A"] + losses["cycle_B"])
    by_hand += 3 * 0.25 * (losses["identity_A"] + losses["identity_B"])
    assert list(totals) == ["G", "D"]
    assert totals["G"] == pytest.approx(by_hand, rel=1e-4)
    assert totals["D"] == pytest.approx(sum(losses[f"{n}_{d}"] for n in ("D", "penalty") for d in "AB"), rel=1e-4)


def test_adversarial_losses_by_hand(tiny_task: MakeTask) -> None:
    """In eval mode, where neither the spectral norm nor the statistics of the head move."""
    model = make("lr_g=1e-12", "penalty_weight=0")
    for name in ("D_A", "D_B"):
        model.networks[name].eval()
    batch = first_batch(model, tiny_task(resolution=32))
    fake_b = model.networks["G_AB"](batch["A"].image)
    with torch.no_grad():
        on_real, on_fake = (model.networks["D_B"](x)[0] for x in (batch["B"].image, fake_b))
    losses = model.train_step(batch)
    assert float(losses["G_AB"]) == pytest.approx(float(((on_fake - 1) ** 2).mean()), rel=1e-4)
    by_hand = 0.5 * (((on_real - 1) ** 2).mean() + (on_fake**2).mean())
    assert float(losses["D_B"]) == pytest.approx(float(by_hand), rel=1e-4)


def test_the_penalty_is_the_squared_gradient_by_an_image_between_0_and_1() -> None:
    """Of a discriminator whose mean score is a weighted sum of pixels in [0, 1]: the gradient is the weights."""

    class Linear(nn.Module):
        def forward(self, image: Tensor, *, earlier: Tensor | None = None) -> tuple[Tensor, Tensor]:
            return (3 * (image + 1) / 2).sum((1, 2, 3)).view(-1, 1, 1, 1), image

    model = make()
    model.networks["D_A"] = Linear()
    assert model.penalty("A", images(2), images(2, 1)).item() == pytest.approx(3**2 * 3 * 32 * 32)


def test_only_a_discriminators_step_fills_its_caches(tiny_task: MakeTask) -> None:
    model = make()
    seen: list[bool] = []
    plain = model.minimise

    def minimise(name: Any, loss: Any) -> None:
        seen.append(model.caches["fake_B"].maps is None)
        plain(name, loss)

    model.minimise = minimise
    batch = first_batch(model, tiny_task(resolution=32))
    model.train_step(batch)
    assert seen == [True, False]
    model.train_step(batch)
    assert all(cache.maps is not None and len(cache.maps) == 3 for cache in model.caches.values())


def test_the_average_follows_the_generators(tiny_task: MakeTask) -> None:
    model = make("ema_decay=0.75", "lr_g=0.01")
    start = model.networks["G_AB"].last.weight.detach().clone()
    model.train_step(first_batch(model, tiny_task(resolution=32)))
    now = model.networks["G_AB"].last.weight
    assert not torch.equal(start, now)
    assert torch.allclose(model.ema["G_AB"].last.weight, 0.75 * start + 0.25 * now, atol=1e-6)


def test_both_generators_and_their_averages_start_from_the_one_that_fills_holes(
    tiny_task: MakeTask, tmp_path: Path
) -> None:
    model, data = make(), tiny_task(resolution=32)
    before = model.networks["G_AB"].last.weight.detach().clone()
    model.prepare(data, Artifacts(tmp_path, Loop(Compute.choose("cpu"), Reporter())))
    weights = [part["G_AB"].last.weight for part in (model.networks, model.ema)]
    weights += [part["G_BA"].last.weight for part in (model.networks, model.ema)]
    assert all(torch.equal(weights[0], weight) for weight in weights)
    assert not torch.equal(before, weights[0])


def test_the_rate_of_the_pre_training_is_a_cosine_that_begins_anew() -> None:
    options = make("base_restart=100", "base_steps=300")._options
    assert options.rate(0) == options.rate(100) == 1
    assert options.rate(50) == pytest.approx(0.5, abs=1e-4)
    assert options.rate(99) == pytest.approx((1 + math.cos(0.99 * math.pi)) / 2, abs=2e-5)


def test_two_fifths_of_the_tiles_are_hidden() -> None:
    made = hide(torch.ones(200, 3, 16, 16), np.random.default_rng(0))
    tiles = made.reshape(200, 3, 8, 2, 8, 2)
    assert torch.equal(tiles.amin((1, 3, 5)), tiles.amax((1, 3, 5))), "a tile is hidden whole, in all colours"
    assert (made == -1).float().mean().item() == pytest.approx(0.4, abs=0.02)


def test_views_turn_a_little_and_keep_grey_grey() -> None:
    rng = np.random.default_rng(0)
    grey = torch.full((4, 3, 8, 8), 0.5)
    assert torch.allclose(jitter(grey, rng).std(1), torch.zeros(4, 8, 8), atol=1e-6)
    spot = -torch.ones(16, 3, 33, 33)
    spot[:, :, 16, 30] = 1.0
    lit = [view.mean(0).argmax() for view in views_of(spot, rng, mirror=False)]
    rows, columns = (torch.stack(lit) // 33 - 16).float(), (torch.stack(lit) % 33 - 16).float()
    assert (columns > 0).all() and torch.rad2deg(torch.atan2(rows, columns).abs()).max() < 13


def test_impossible_settings_name_the_mend() -> None:
    with pytest.raises(Unfit, match="multiple of 16, at least 32"):
        UVCGAN2Config(resolution=24)
    with pytest.raises(UserError, match="choose a divisor"):
        UVCGAN2Config(heads=5)
