"""M&MNets between unpaired domains, against its official code and hand calculations."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.errors import UserError
from bench.data.task import TaskData
from bench.methods.mnm import MNM, MNMConfig
from bench.methods.nn import mnm_networks as nets
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Sampler

MakeTask = Callable[..., TaskData]
SMALL = ("resolution=32", "width=4", "blocks=1")


def make(*settings: str, n_labels: int = 3, channels: int = 3) -> MNM:
    config = build(MNMConfig, MNM.presets, "paper", [*SMALL, *settings])
    torch.manual_seed(0)
    return MNM(Task(config.resolution, 20, 6, n_labels, channels), config)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_parameter_counts_of_the_official_networks() -> None:
    with torch.device("meta"):
        assert count(nets.CodeEncoder(3, 64, 6)) == 8_055_618
        assert count(nets.CodeEncoder(3, 64, 9)) == 11_597_634
        assert count(nets.CodeDecoder(3, 64)) == 378_432
        assert count(nets.CodeDiscriminator(3, 64)) == 2_765_569
        assert count(nets.ThesisEncoder(3, 64)) == 40_562_176
        assert count(nets.ThesisEncoder(1, 64)) == 40_555_904
        assert count(nets.ThesisDecoder(3, 64, "pooling_indices")) == 40_561_411
        assert count(nets.ThesisDecoder(1, 64, "pooling_indices")) == 40_555_137
        assert count(nets.ThesisDiscriminator(3, 64)) == 2_757_057


@pytest.mark.parametrize(
    ("settings", "counts"),
    [
        ((), (8_055_618, 378_432, 2_765_569)),
        (("resolution=256",), (11_597_634, 378_432, 2_765_569)),
        (("arch=thesis",), (40_562_176, 40_561_411, 2_757_057)),
    ],
)
def test_networks_of_the_paper_preset(settings: tuple[str, ...], counts: tuple[int, int, int]) -> None:
    with torch.device("meta"):
        config = build(MNMConfig, MNM.presets, "paper", list(settings))
        model = MNM(Task(config.resolution, 100, 10, 0), config)
    found = {name: count(network) for name, network in model.networks.items()}
    assert found == {f"{kind}_{i}": n for i in (0, 1) for kind, n in zip("fgC", counts)}


def test_map_sides_of_the_official_networks() -> None:
    with torch.device("meta"):
        x = torch.empty(1, 3, 128, 128)
        assert nets.CodeEncoder(3, 64, 1)(x).code.shape == (1, 256, 32, 32)
        assert nets.ThesisEncoder(3, 64, 1)(x).code.shape == (1, 256, 16, 16)
        assert nets.ThesisDiscriminator(3, 64)(x).shape == (1, 1, 8, 8)
        assert nets.CodeDiscriminator(3, 64)(x).shape == (1, 1, 8, 8)


def test_initialisation() -> None:
    model = make("width=16")
    for network in model.networks.values():
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) and module.weight.numel() > 2000:
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.1)
            if isinstance(module, nn.InstanceNorm2d) and module.weight.numel() > 15:
                assert module.weight.mean().item() == pytest.approx(1.0, abs=0.03)
                assert (module.bias == 0).all()


def test_unpooling_puts_the_maxima_back() -> None:
    """Maxima at their places, zeros elsewhere."""
    x = torch.rand(2, 3, 8, 8)
    pooled, index = F.max_pool2d(x, 2, return_indices=True)
    back = nets.upsample(pooled, nets.Latent(pooled, (x,), (index,)), 0, "pooling_indices")
    windows = F.unfold(x.reshape(6, 1, 8, 8), 2, stride=2)
    expected = F.fold(windows * (windows == windows.amax(1, keepdim=True)), (8, 8), 2, stride=2).reshape(2, 3, 8, 8)
    assert torch.equal(back, expected)


@pytest.mark.parametrize("side", ["pooling_indices", "skip", "none"])
def test_any_encoder_joins_any_decoder(side: str) -> None:
    """For trained and untrained pairs of domains alike, no shape is wrong."""
    for encoder in (nets.ThesisEncoder(3, 4, 1), nets.ThesisEncoder(1, 4, 1)):
        for channels in (1, 3):
            decoder = nets.ThesisDecoder(channels, 4, side, 1)  # type: ignore[arg-type]
            x = torch.rand(2, encoder.levels[0][0].in_channels, 32, 32)
            assert decoder(encoder(x)).shape == (2, channels, 32, 32)


def test_the_decoder_uses_what_the_side_option_says() -> None:
    latent = nets.ThesisEncoder(3, 4, 1)(torch.rand(1, 3, 32, 32))
    moved = nets.Latent(latent.code, tuple(m + 1 for m in latent.maps), tuple(i.flip(-1) for i in latent.indices))
    for side, changes in (("pooling_indices", True), ("skip", True), ("none", False)):
        decoder = nets.ThesisDecoder(3, 4, side, 1)  # type: ignore[arg-type]
        assert torch.equal(decoder(latent), decoder(moved)) != changes


def test_latents_of_a_batch_come_apart_again() -> None:
    encoder = nets.ThesisEncoder(3, 4, 1)
    a, b = encoder(torch.rand(2, 3, 32, 32)), encoder(torch.rand(3, 3, 32, 32))
    for part, whole in zip(nets.cat([a, b]).split([2, 3]), (a, b)):
        assert torch.equal(part.code, whole.code)
        assert all(torch.equal(x, y) for x, y in zip(part.maps + part.indices, whole.maps + whole.indices))


def test_the_mask_is_r_plus_mask_times_r() -> None:
    encoder = nets.CodeEncoder(3, 4, 1)
    x = torch.rand(1, 3, 32, 32)
    h = encoder.down(x)
    r = encoder.blocks(h)
    assert encoder.mask is not None and encoder.mask(h).shape == (1, 1, 8, 8)
    assert torch.allclose(encoder(x).code, r * (1 + encoder.mask(h)))
    plain = nets.CodeEncoder(3, 4, 1, mask=False)
    assert torch.equal(plain(x).code, plain.blocks(plain.down(x)))


def test_the_mask_pads_by_reflection() -> None:
    """Both convolutions written out: padding by mirror images of the border, then a convolution without padding."""
    encoder = nets.CodeEncoder(3, 4, 1)
    h = torch.rand(2, 16, 8, 8)
    assert isinstance(encoder.mask, nn.Sequential)
    first, second = (layer for layer in encoder.mask if isinstance(layer, nn.Conv2d))
    mirrored = nn.ReflectionPad2d(1)
    x = F.conv2d(mirrored(h), first.weight)
    x = F.relu((x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt())
    x = F.conv2d(mirrored(x), second.weight)
    x = (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(encoder.mask(h), x.sigmoid(), rtol=1e-4, atol=1e-5)


def by_hand(model: MNM, images: dict[int, Tensor], label: float, cycle: float, same: float) -> Tensor:
    """The loss of the official code, written term by term; domain 0 is the anchor."""
    net, x = model.networks, images[0]

    def go(i: int, j: int, image: Tensor) -> Tensor:
        return net[f"g_{j}"](net[f"f_{i}"](image))

    total = torch.zeros(())
    for i, y in images.items():
        if i == 0:
            continue
        total = total + (net[f"C_{i}"](go(0, i, x)) - label).square().mean()
        total = total + (net["C_0"](go(i, 0, y)) - label).square().mean()
        total = total + cycle * ((go(i, 0, go(0, i, x)) - x).abs().mean() + (go(0, i, go(i, 0, y)) - y).abs().mean())
        total = total + same * ((go(0, 0, x) - x).abs().mean() + (go(i, i, y) - y).abs().mean())
    return total


def minimised(model: MNM, call: Callable[[], object]) -> dict[str, Tensor]:
    """The losses that a step hands to its optimizers; nothing is changed."""
    losses: dict[str, Tensor] = {}
    model.minimise = lambda name, loss: losses.__setitem__(name, loss.detach())  # type: ignore[method-assign]
    call()
    return losses


@pytest.mark.parametrize("settings", [(), ("arch=thesis",), ("classes=labels",), ("arch=thesis", "side=skip")])
def test_generator_loss_by_hand(settings: tuple[str, ...]) -> None:
    model = make(*settings)
    images = {i: torch.rand(2, 3, 32, 32) * 2 - 1 for i in range(model.n_domains)}
    found = minimised(model, lambda: model._generator_step(images))["G"]
    assert found.item() == pytest.approx(by_hand(model, images, 0.9, 10, 10).item(), rel=1e-5)


def test_two_domains_without_autoencoders_are_cyclegan_without_identity_loss() -> None:
    """The same value as CycleGAN's own step, with M&MNets' networks in it."""
    from bench.methods.cyclegan import CycleGAN, CycleGANConfig

    model = make("autoencoder_weight=0", "real_label=1")
    other = CycleGAN(Task(32, 20, 6, 0), CycleGANConfig(resolution=32, width=4, blocks=1, identity_weight=0))

    class Join(nn.Module):
        def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
            super().__init__()
            self.encoder, self.decoder = encoder, decoder

        def forward(self, x: Tensor) -> Tensor:
            return self.decoder(self.encoder(x))

    net = model.networks
    other.networks |= {"G_A": Join(net["f_0"], net["g_1"]), "G_B": Join(net["f_1"], net["g_0"])}
    other.networks |= {"D_A": net["C_1"], "D_B": net["C_0"]}
    images = {i: torch.rand(2, 3, 32, 32) * 2 - 1 for i in (0, 1)}
    ours = minimised(model, lambda: model._generator_step(images))["G"]
    theirs = minimised(other, lambda: other._generator_step(images[0], images[1]))["G"]  # type: ignore[arg-type]
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_discriminator_loss_by_hand() -> None:
    """The anchor's over the fakes of all domains at once."""
    model = make("classes=labels")
    images = {i: torch.rand(2, 3, 32, 32) for i in range(4)}
    fakes = {0: torch.rand(6, 3, 32, 32), **{i: torch.rand(2, 3, 32, 32) for i in (1, 2, 3)}}
    found = minimised(model, lambda: model._discriminator_step(images, fakes))["C"]
    expected = sum(
        (
            (model.networks[f"C_{i}"](images[i]) - 0.9).square().mean()
            + model.networks[f"C_{i}"](fakes[i]).square().mean()
        )
        / 2
        for i in range(4)
    )
    assert found.item() == pytest.approx(float(expected), rel=1e-5)


def test_options_change_the_loss_as_named() -> None:
    images = {i: torch.rand(2, 3, 32, 32) * 2 - 1 for i in (0, 1)}
    plain, cycled = make(), make("latent_cycle=3")
    base = minimised(plain, lambda: plain._generator_step(images))["G"]
    more = minimised(cycled, lambda: cycled._generator_step(images))["G"]
    net = plain.networks
    codes = [net[f"f_{i}"](images[i]) for i in (0, 1)]
    extra = F.l1_loss(net["f_1"](net["g_1"](codes[0])).code, codes[0].code)
    extra = extra + F.l1_loss(net["f_0"](net["g_0"](codes[1])).code, codes[1].code)
    assert (more - base).item() == pytest.approx(3 * extra.item(), rel=1e-4)
    noisy = make("latent_noise_std=0.5")
    latent = nets.Latent(torch.zeros(1, 16, 8, 8))
    seen: list[Tensor] = []
    noisy.networks["g_1"].register_forward_pre_hook(lambda _, args: seen.append(args[0].code))
    noisy._decode(1, latent)
    assert seen[0].std().item() == pytest.approx(0.5, rel=0.1)


def test_the_learning_rate_falls_in_the_second_half() -> None:
    model = make("budget_kimg=0.1", "batch_size=1")
    assert [model.rate(step) for step in (0, 49, 50, 75, 100)] == [1, 1, 1, 0.5, 0]


def test_classes_are_domains_with_the_largest_as_anchor(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data = tiny_task(n_source=20, n_labels=3, resolution=32)
    labels = np.array([0] * 4 + [1] * 10 + [2] * 6)
    data.source_train.bank.labels[data.source_train.rows] = labels
    model = make("classes=labels", "batch_size=3")
    model.prepare(data, artifacts)
    assert model._domain_of.tolist() == [2, 0, 1]
    sampler = Sampler(model.streams(data), data, 0, Compute.choose("cpu"))
    for step in range(5):
        batch = sampler.batch(step)
        for name, wanted in (("0", 1), ("1", 2), ("2", 0)):
            assert (batch[name].label == wanted).all()
    losses = model.train_step(sampler.batch(0))
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_translation_joins_the_encoder_of_the_sources_class_to_the_targets_decoder(
    tiny_task: MakeTask, artifacts: Artifacts
) -> None:
    data = tiny_task(n_source=21, n_labels=3, resolution=32)
    model = make("classes=labels")
    model.prepare(data, artifacts)
    x = torch.rand(4, 3, 32, 32)
    label = torch.tensor([2, 0, -1, 1])
    expected = [
        model.networks["g_3"](model.networks[f"f_{i}"](x[k : k + 1])) for k, i in enumerate((2, 0, 0, 1))
    ]  # equal class sizes keep their order; an unknown class takes the anchor
    assert torch.allclose(model.translate(x, label=label), torch.cat(expected), atol=1e-6)


def test_a_source_class_without_images_is_left_out(tiny_task: MakeTask, artifacts: Artifacts) -> None:
    data = tiny_task(n_source=20, n_labels=3, resolution=32)
    data.source_train.bank.labels[data.source_train.rows] = np.arange(20) % 2
    model = make("classes=labels")
    model.prepare(data, artifacts)
    assert set(model.streams(data)) == {"0", "1", "3"}
    model.train_step(Sampler(model.streams(data), data, 0, Compute.choose("cpu")).batch(0))
    assert model.translate(torch.rand(2, 3, 32, 32), label=torch.tensor([2, 1])).shape == (2, 3, 32, 32)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (("resolution=24",), "cannot take resolution 24"),
        (("resolution=40",), "multiple of 16"),
        (("batch_size=0",), "at least 1"),
    ],
)
def test_bad_settings(settings: tuple[str, ...], says: str) -> None:
    with pytest.raises(UserError, match=says):
        make(*settings)
    with pytest.raises(UserError, match="has no labels"):
        make("classes=labels", n_labels=0)
