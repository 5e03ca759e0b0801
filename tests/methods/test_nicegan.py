"""NICE-GAN against the counts of the official code and hand calculations."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import Unfit, UserError
from bench.data.task import TaskData
from bench.methods.nicegan import NICEGAN, Discriminator, Generator, NICEGANConfig, towards
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Batch, Sampler

MakeTask = Callable[..., TaskData]
SMALL = ("resolution=32", "width=4", "blocks=1", "layers=5", "batch_size=2")


def make(*settings: str) -> NICEGAN:
    config = build(NICEGANConfig, NICEGAN.presets, "light", [*SMALL, *settings])
    torch.manual_seed(0)
    return NICEGAN(Task(config.resolution, 20, 6, 3), config)


def first_batch(model: NICEGAN, data: TaskData) -> dict[str, Batch]:
    return Sampler(model.streams(data), data, 0, Compute.choose("cpu")).batch(0)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def images(n: int) -> Tensor:
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(n)) * 2 - 1


def test_parameter_counts_and_shapes_of_the_official_code() -> None:
    with torch.device("meta"):
        assert count(Generator(3, 64, 6, 256, light=True)) == 8_104_640
        assert count(Generator(3, 64, 6, 256, light=False)) == 276_474_560
        assert count(Generator(3, 64, 6, 128, light=False)) == 75_147_968
        discriminator = Discriminator(3, 64, 7).eval()
        assert count(discriminator) == 46_874_433
        encoder = count(discriminator.stem) + count(discriminator.attention) + discriminator.attention_share.numel()
        assert encoder == 167_489
        (local, whole, logit), z = discriminator(torch.empty(2, 3, 256, 256))
    assert (local.shape, whole.shape, logit.shape) == ((2, 1, 30, 30), (2, 1, 6, 6), (2, 1))
    assert z.shape == (2, 128, 64, 64)


def test_every_conv_of_the_heads_reflects_its_border() -> None:
    network = Discriminator(3, 4, 7)
    convs = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (4, 4)]
    assert len(convs) == 2 + 1 + 2 + 4 and all(c.padding_mode == "reflect" and c.padding == (1, 1) for c in convs)


@pytest.mark.parametrize(("layers", "side"), [(5, 32), (6, 64), (7, 128)])
def test_a_discriminator_for_every_size(layers: int, side: int) -> None:
    (_, whole, _), _ = Discriminator(3, 2, layers)(torch.zeros(1, 3, side, side))
    assert whole.shape[-1] == 2


def test_the_attention_starts_without_effect_and_then_counts() -> None:
    network, x = Discriminator(3, 4, 5).eval(), images(2)
    leaky = nn.LeakyReLU(0.2)
    assert torch.equal(network.encode(x)[0], leaky(network.stem(x))), "lambda starts at 0"
    network.attention_share.data.fill_(0.5)
    features = network.stem(x)
    by_hand = leaky(0.5 * network.attention(features)[0] + features)
    assert torch.allclose(network.encode(x)[0], by_hand, atol=1e-6)


def test_least_squares_by_hand() -> None:
    outputs = [torch.tensor([1.0, 3.0]), torch.tensor([[0.0]]), torch.tensor([2.0])]
    assert towards(outputs, 1.0).item() == pytest.approx((0 + 4) / 2 + 1 + 1)


def test_generator_loss_by_hand() -> None:
    model, a, b = make("adv_weight=2", "cycle_weight=3", "reconstruction_weight=5"), images(2), images(3)
    nets: dict[str, Any] = model.networks
    for network in nets.values():
        network.eval()
    total, parts = model.generator_loss(a, b)
    z_a, z_b = nets["disA"].encode(a)[0], nets["disB"].encode(b)[0]
    fake_b, fake_a = nets["gen2B"](z_a), nets["gen2A"](z_b)
    (on_a, z_fake_a), (on_b, z_fake_b) = nets["disA"](fake_a), nets["disB"](fake_b)

    def l1(one: Tensor, other: Tensor) -> float:
        return (one - other).abs().mean().item()

    by_hand = {
        "G_A": sum(((out - 1) ** 2).mean().item() for out in on_a),
        "G_B": sum(((out - 1) ** 2).mean().item() for out in on_b),
        "cycle": l1(nets["gen2A"](z_fake_b), a) + l1(nets["gen2B"](z_fake_a), b),
        "reconstruction": l1(nets["gen2A"](z_a), a) + l1(nets["gen2B"](z_b), b),
    }
    for name, value in by_hand.items():
        assert parts[name].item() == pytest.approx(value, rel=1e-4), name
    expected = 2 * (by_hand["G_A"] + by_hand["G_B"]) + 3 * by_hand["cycle"] + 5 * by_hand["reconstruction"]
    assert total.item() == pytest.approx(expected, rel=1e-4)


def test_discriminator_loss_by_hand(tiny_task: MakeTask) -> None:
    """On the networks as they are before any step, in eval mode: spectral norms stay where they are."""
    model = make()
    nets: dict[str, Any] = model.networks
    for network in nets.values():
        network.eval()
    batch = first_batch(model, tiny_task(resolution=32))
    a, b = batch["source"].image, batch["target"].image
    with torch.no_grad():
        real_a, fake_a = nets["disA"](a)[0], nets["disA"](nets["gen2A"](nets["disB"].encode(b)[0]))[0]
        by_hand = sum(((r - 1) ** 2).mean() + (f**2).mean() for r, f in zip(real_a, fake_a))
    assert model.train_step(batch)["D_A"].item() == pytest.approx(float(by_hand), rel=1e-4)


def test_the_encoder_learns_in_the_first_step_alone(tiny_task: MakeTask) -> None:
    model = make()
    names, weights = [], []
    encoder = next(model.networks["disA"].parameters())
    plain = model.minimise

    def minimise(name: Any, loss: Any) -> None:
        plain(name, loss)
        names.append(name)
        weights.append(encoder.clone())

    start = encoder.clone()
    model.minimise = minimise
    model.train_step(first_batch(model, tiny_task(resolution=32)))
    assert names == ["D", "G"]
    assert not torch.equal(start, weights[0]) and torch.equal(weights[0], weights[1])


def test_translation_needs_the_other_domains_discriminator() -> None:
    model, x = make(), images(2)
    model.train(False)
    nets: dict[str, Any] = model.networks
    assert torch.equal(model.translate(x), nets["gen2B"](nets["disA"].encode(x)[0]))
    assert torch.equal(model.translate_back(x, torch.Generator()), nets["gen2A"](nets["disB"].encode(x)[0]))


def test_impossible_settings_name_the_mend() -> None:
    with pytest.raises(Unfit, match="6 for 64"):
        NICEGANConfig(resolution=64)
    with pytest.raises(UserError, match="layers=4: choose a whole number of at least 5"):
        NICEGANConfig(layers=4)


def test_augmentation_reaches_what_is_judged_and_not_the_code() -> None:
    model, x = make("augment_d=diffaugment", "augment_policy=cutout"), images(2)
    model.augment_discriminators()
    dis: Any = model.networks["disA"]
    outputs, z = model.judge_and_encode("A", x)
    assert torch.allclose(z, dis.encode(x)[0], atol=1e-3), "but for an iteration of the spectral norms"
    with model.unaugmented():
        assert not torch.allclose(outputs[0], model.judge_and_encode("A", x)[0][0], atol=1e-2)
