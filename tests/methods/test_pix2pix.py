"""pix2pix against the counts and formulas of its paper and code."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import Unfit, UserError
from bench.data.task import TaskData
from bench.methods.nn import paired
from bench.methods.nn.batch_norm import PerImageBatchNorm2d, norm_factory
from bench.methods.nn.paired import PairedConfig
from bench.methods.nn.resnet import PatchDiscriminator
from bench.methods.nn.unet import UNet
from bench.methods.pix2pix import Pix2Pix
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Sampler

MakeTask = Callable[..., TaskData]
SMALL = ("resolution=32", "width=4", "discriminator_layers=2", "batch_size=2")


def make(*settings: str, preset: str = "paper", small: bool = True) -> Pix2Pix:
    config = build(PairedConfig, Pix2Pix.presets, preset, [*(SMALL if small else ()), *settings])
    torch.manual_seed(0)
    return Pix2Pix(Task(resolution=config.resolution, n_source=20, n_target=6, n_labels=3), config)


def first_batch(model: Pix2Pix, make_task: MakeTask) -> tuple[Tensor, Tensor, dict]:
    data = make_task(resolution=32, paired=True)
    batch = Sampler(model.streams(data), data, 0, Compute.choose("cpu")).batch(0)
    return batch["source"].image, batch["target"].image, batch


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(("resolution", "expected"), [(256, 54_413_955), (128, 41_828_995)])
def test_parameter_counts_of_the_official_networks(resolution: int, expected: int) -> None:
    with torch.device("meta"):
        model = make(f"resolution={resolution}", small=False)
    assert count(model.generator) == expected
    assert count(model.discriminator) == 2_768_705


@pytest.mark.parametrize(("side", "map_side"), [(256, 30), (128, 14), (64, 6)])
def test_sides_of_the_discriminators_map(side: int, map_side: int) -> None:
    with torch.device("meta"):
        x = torch.empty(2, 6, side, side)
        assert PatchDiscriminator(6, 64, 3, norm=nn.BatchNorm2d)(x).shape == (2, 1, map_side, map_side)


def test_the_bottleneck_is_one_pixel_without_norm() -> None:
    model = make()
    shapes = []
    innermost = model.generator.encoder[-1]
    innermost.register_forward_hook(lambda _module, _inputs, output: shapes.append(output.shape))
    model.generator(torch.rand(1, 3, 32, 32))
    assert shapes == [(1, 32, 1, 1)]
    assert not any(isinstance(module, nn.BatchNorm2d) for module in innermost)


def test_halvings_follow_from_the_side() -> None:
    sides = {32: 5, 64: 6, 128: 7, 256: 8, 512: 8, 96: 5}
    assert {side: PairedConfig(resolution=side).n_downs for side in sides} == sides


def test_which_levels_have_dropout_bias_and_norm() -> None:
    """With eight halvings the fifth, sixth and seventh level have dropout; with seven the fifth and the sixth."""
    with torch.device("meta"):
        for downs, expected in ((8, [4, 5, 6]), (7, [4, 5])):
            net = UNet(3, 3, 64, downs, nn.BatchNorm2d, False, 0.5, True)
            assert [level for level, layer in enumerate(net.dropouts) if layer.p] == expected
        convs = [module for module in net.modules() if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d))]
        assert [conv.out_channels for conv in convs if conv.bias is not None] == [3]
        assert sum(isinstance(module, nn.BatchNorm2d) for module in net.modules()) == 5 + 6


def test_a_level_joins_its_input_and_its_output_in_this_order() -> None:
    net = UNet(3, 3, 2, 2, nn.Identity, True, 0.0, False)
    x = torch.randn(1, 3, 4, 4)
    (outer_down, inner_down), (outer_up, inner_up) = net.encoder, net.decoder
    a = outer_down[0](x)
    b = inner_down[1](torch.where(a > 0, a, 0.2 * a))
    c = inner_up[1](b.clamp(min=0))
    expected = outer_up[1](torch.cat([a, c], 1).clamp(min=0))
    assert torch.allclose(net(x), expected, atol=1e-6)


def test_initial_weights_are_normal_with_deviation_002_and_norms_have_scale_one() -> None:
    config = PairedConfig(resolution=64, width=32)
    for net in (paired.generator(config, 3, 3), paired.discriminator(config, 6)):
        convs = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
        norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
        assert torch.cat([m.weight.flatten() for m in convs]).std().item() == pytest.approx(0.02, rel=0.02)
        scales = torch.cat([m.weight for m in norms])
        assert scales.mean().item() == pytest.approx(1.0, abs=0.01)
        assert scales.std().item() == pytest.approx(0.02, rel=0.2)
        assert all((m.bias == 0).all() for m in [*convs, *norms] if m.bias is not None)


def test_losses_at_logits_of_zero_are_log_2() -> None:
    scores = torch.zeros(2, 1, 3, 3)
    for real in (True, False):
        assert paired.adversarial(scores, real, "vanilla").item() == pytest.approx(math.log(2))

    class Undecided(nn.Module):
        def forward(self, source: Tensor, target: Tensor) -> Tensor:
            return torch.zeros(len(source), 1, 3, 3)

    model = make()
    model.networks["D"] = Undecided()
    x = torch.rand(2, 3, 8, 8)
    assert paired.discriminator_loss(model, "D", x, x, x, "vanilla").item() == pytest.approx(math.log(2))


def test_adversarial_losses_by_hand() -> None:
    scores = torch.tensor([[2.0, -1.0]])
    on_real = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(1))) / 2
    on_fake = (math.log(1 + math.exp(2)) + math.log(1 + math.exp(-1))) / 2
    assert paired.adversarial(scores, True, "vanilla").item() == pytest.approx(on_real)
    assert paired.adversarial(scores, False, "vanilla").item() == pytest.approx(on_fake)
    assert paired.adversarial(scores, True, "lsgan").item() == pytest.approx((1 + 4) / 2)
    assert paired.adversarial(scores, False, "lsgan").item() == pytest.approx((4 + 1) / 2)


def test_the_order_of_source_and_target_matters_to_the_discriminator() -> None:
    net = make().discriminator
    x, y = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    assert not torch.allclose(net(x, y), net(y, x), atol=1e-6)


def test_one_iteration_is_one_translation_then_d_then_g_against_the_new_d(tiny_task: MakeTask) -> None:
    """Everything recomputed by hand with plain losses, from copies of the initial networks."""
    model, twin = make("dropout=0", "lr=0.01"), make("dropout=0", "lr=0.01")
    x, y, batch = first_batch(model, tiny_task)
    order, plain = [], model.minimise

    def watch(name: str, loss: Tensor) -> None:
        order.append((name, loss.item()))
        plain(name, loss)

    model.minimise = watch
    losses = model.train_step(batch)

    g, d = twin.generator, twin.discriminator
    fake = g(x)
    bce = nn.BCEWithLogitsLoss()
    on_fake = d(x, fake.detach())
    on_real = d(x, y)
    loss_d = (bce(on_fake, torch.zeros_like(on_fake)) + bce(on_real, torch.ones_like(on_real))) / 2
    twin.optimizers["D"].zero_grad()
    loss_d.backward()
    twin.optimizers["D"].step()
    scores = d(x, fake)
    gan, l1 = bce(scores, torch.ones_like(scores)), (fake - y).abs().mean()

    assert [name for name, _ in order] == ["D", "G"]
    assert losses["D"].item() == pytest.approx(loss_d.item(), rel=1e-5)
    assert losses["G_GAN"].item() == pytest.approx(gan.item(), rel=1e-5)
    assert losses["G_L1"].item() == pytest.approx(l1.item(), rel=1e-5)
    assert order[1][1] == pytest.approx(gan.item() + 100 * l1.item(), rel=1e-5)


def test_images_of_a_batch_show_the_same_and_are_cropped_and_mirrored_alike(tiny_task: MakeTask) -> None:
    data = tiny_task(resolution=32, paired=True)
    data.source_train.bank.images[data.target_train.rows] = data.source_train.bank.images[data.source_train.rows[:6]]
    sampler = Sampler(make("batch_size=3").streams(data), data, 0, Compute.choose("cpu"))
    for step in range(4):
        batch = sampler.batch(step)
        assert torch.equal(batch["source"].index, batch["target"].index)  # target i shows what source i shows
        assert torch.equal(batch["source"].image, batch["target"].image)
    original = Compute.choose("cpu").images(data.source_train.images(batch["source"].index.numpy()))
    assert not torch.equal(batch["source"].image, original)


def test_target_images_without_a_source_image_are_left_out(tiny_task: MakeTask) -> None:
    data = tiny_task(resolution=32, paired=True)
    data.target_train.bank.pairs[data.target_train.rows[2]] = "something else"
    assert sorted(make().streams(data)["target"].rows) == [0, 1, 3, 4, 5]


def test_a_data_set_without_pairs_is_refused_with_what_mends_it(tiny_task: MakeTask) -> None:
    model = make()
    with pytest.raises(Unfit, match=r"pix2pix learns from pairs.*choose a data set whose training images are paired"):
        Pix2Pix.check(model.task, model.config, tiny_task(resolution=32))


class TestTranslation:
    def outputs(self, mode: str, *settings: str, n: int = 2, seed: int = 0) -> Tensor:
        model = make("resolution=64", f"test_mode={mode}", *settings)  # six halvings: one level has dropout
        model.train(False)
        x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
        return model.translate(x[:n], rng=torch.Generator().manual_seed(seed))

    def test_by_default_an_image_is_normalised_by_itself(self) -> None:
        assert torch.allclose(
            self.outputs("train_bn_batch1")[:1], self.outputs("train_bn_batch1", n=1), atol=1e-5, rtol=0
        )

    def test_it_is_what_a_network_in_training_mode_makes_of_one_image(self) -> None:
        model = make("resolution=64", "dropout=0")
        x = torch.rand(1, 3, 64, 64)
        trained = model.generator(x)
        model.train(False)
        assert torch.allclose(model.translate(x), trained, atol=1e-5)

    def test_dropout_is_seeded_and_random_in_mode_paper_and_off_otherwise(self) -> None:
        assert torch.equal(self.outputs("paper"), self.outputs("paper"))
        assert not torch.allclose(self.outputs("paper"), self.outputs("paper", seed=1), atol=1e-6)
        for mode in ("train_bn_batch1", "eval"):
            assert torch.equal(self.outputs(mode), self.outputs(mode, seed=1))
        assert make("test_mode=paper").guidance == "noise"
        assert make("test_mode=paper", "dropout=0").guidance == make().guidance == "none"

    def test_eval_differs_for_batch_norm_and_changes_nothing_for_instance_norm(self) -> None:
        assert not torch.allclose(self.outputs("eval"), self.outputs("train_bn_batch1"), atol=1e-4)
        by_instance = [self.outputs(mode, "norm=instance") for mode in ("eval", "train_bn_batch1")]
        assert torch.equal(*by_instance)

    def test_per_image_batch_norm_by_hand(self) -> None:
        norm = PerImageBatchNorm2d(2).eval()
        assert norm.state_dict().keys() == {"weight", "bias"}
        x = torch.randn(3, 2, 4, 4)
        mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, unbiased=False)
        assert torch.allclose(norm(x), (x - mean) / (variance + 1e-5).sqrt(), atol=1e-5)
        assert isinstance(norm_factory("batch", True)(4), nn.BatchNorm2d)


def test_learning_rate_is_constant_for_half_of_the_epochs_then_falls_as_in_the_code() -> None:
    """200 epochs of two steps, counted from 1: epoch 100 still has factor 1, 101 has 0.9901, 200 has 0.0099."""
    model = make("budget_kimg=0.8")
    assert model.total_steps == 400
    of_epoch = {epoch: model.rate(2 * (epoch - 1)) for epoch in (1, 100, 101, 200)}
    assert of_epoch == pytest.approx({1: 1.0, 100: 1.0, 101: 0.9901, 200: 0.0099}, abs=5e-5)


def test_the_paper_preset_is_the_papers_recipe() -> None:
    with torch.device("meta"):
        model = make(small=False)
    c = model.config
    assert (c.batch_size, c.lambda_l1, c.gan_mode, c.norm, c.dropout) == (1, 100.0, "vanilla", "batch", 0.5)
    assert round(c.load_ratio * 256) == 286
    assert model.budget_images == 200 * 6
    for optimizer in model.optimizers.values():
        assert (optimizer.defaults["lr"], optimizer.defaults["betas"]) == (2e-4, (0.5, 0.999))


@pytest.mark.parametrize("setting", ["resolution=33", "resolution=4", "downs=6"])
def test_a_resolution_that_the_unet_cannot_take_is_one_line(setting: str) -> None:
    with pytest.raises(UserError, match="the U-Net cannot take resolution"):
        make("discriminator_layers=1", setting)


@pytest.mark.parametrize("setting", ["batch_size=0", "dropout=1.0", "downs=1", "epochs=1"])
def test_values_that_make_no_sense_are_one_line(setting: str) -> None:
    with pytest.raises(UserError):
        make(setting)


def test_learns_to_invert_pictures_from_pairs() -> None:
    """After a short training the negative of an unseen picture is closer to the truth than the picture itself."""
    model = make("norm=instance", "lr=2e-3", "width=8", "budget_kimg=1")
    rng = np.random.default_rng(0)

    def pairs() -> tuple[Tensor, Tensor]:
        coarse = torch.from_numpy(rng.uniform(-1, 1, (2, 3, 4, 4)).astype(np.float32))
        x = nn.functional.interpolate(coarse, size=32, mode="nearest")
        return x, -x

    for _ in range(120):
        x, y = pairs()
        model.train_step({"source": _Batch(x), "target": _Batch(y)})
    model.train(False)
    x, y = pairs()
    assert (model.translate(x) - y).abs().mean() < 0.6 * (x - y).abs().mean()


class _Batch:
    def __init__(self, image: Tensor) -> None:
        self.image = image
