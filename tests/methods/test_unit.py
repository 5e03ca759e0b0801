"""UNIT against the counts of the official code and hand calculations."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import Unfit, UserError
from bench.data.task import TaskData
from bench.methods.unit import UNIT, UNITConfig
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Batch, Sampler

MakeTask = Callable[..., TaskData]
SMALL = ("resolution=16", "width=4", "downs=1", "blocks=2", "discriminator_downs=2", "n_scales=2", "batch_size=2")


def make(*settings: str) -> UNIT:
    config = build(UNITConfig, UNIT.presets, "paper", [*SMALL, *settings])
    torch.manual_seed(0)
    return UNIT(Task(config.resolution, 20, 6, 3), config)


def first_batch(model: UNIT, data: TaskData) -> dict[str, Batch]:
    return Sampler(model.streams(data), data, 0, Compute.choose("cpu")).batch(0)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def images(n: int) -> Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(n)) * 2 - 1


def test_parameter_counts_and_shapes_of_the_official_code() -> None:
    with torch.device("meta"):
        model = UNIT(Task(128, 100, 10, 0), UNITConfig())
        code = model.encode("a", torch.empty(1, 3, 128, 128))
        image = model.decode("b", code)
    assert {name: count(net) for name, net in model.networks.items()} == {
        "gen_a": 11_140_483,
        "gen_b": 11_140_483,
        "dis_a": 8_271_171,
        "dis_b": 8_271_171,
    }
    assert code.shape == (1, 256, 32, 32) and image.shape == (1, 3, 128, 128)


def test_sharing_one_block_moves_it_out_of_both_generators() -> None:
    """A residual block of 256 channels has 2 (256 * 256 * 9 + 256) = 1,180,160 numbers."""
    with torch.device("meta"):
        model = UNIT(Task(128, 100, 10, 0), UNITConfig(shared_blocks=1))
    assert count(model.networks["shared"]) == 2 * 1_180_160
    assert count(model.networks["gen_a"]) == 11_140_483 - 2 * 1_180_160


def test_the_shared_blocks_come_last_in_the_encoder_and_first_in_the_decoder() -> None:
    model = make("shared_blocks=1")
    gen: Any = model.networks["gen_a"]
    shared: Any = model.networks["shared"]
    x = images(2)
    code = shared.encoder(gen.encoder(x))
    assert torch.equal(model.encode("a", x), code)
    assert torch.equal(model.decode("a", code), gen.decoder(shared.decoder(code)))


def test_every_loss_by_hand() -> None:
    """Each network called by itself, with the three draws of noise in their order: codes of a, of b, then the codes
    of the two translations."""
    weights = ("adv_weight=2", "image_weight=3", "cycle_weight=5", "kl_weight=7", "kl_cycle_weight=11")
    model, xa, xb = make(*weights), images(2), images(3)
    model.rng.manual_seed(5)
    h_a, h_b = model.encode("a", xa), model.encode("b", xb)
    total, parts = model.generator_loss(xa, xb, h_a, h_b)

    rng = torch.Generator().manual_seed(5)
    n_a, n_b = torch.randn(h_a.shape, generator=rng), torch.randn(h_b.shape, generator=rng)
    x_ba, x_ab = model.decode("a", h_b + n_b), model.decode("b", h_a + n_a)
    again_b, again_a = model.encode("a", x_ba), model.encode("b", x_ab)
    x_aba = model.decode("a", again_a + torch.randn(h_a.shape, generator=rng))
    x_bab = model.decode("b", again_b + torch.randn(h_b.shape, generator=rng))

    def l1(one: Tensor, other: Tensor) -> Tensor:
        return (one - other).abs().mean()

    scores = [*model.networks["dis_a"](x_ba), *model.networks["dis_b"](x_ab)]
    by_hand = {
        "g_adv": torch.stack([(s - 1).square().mean() for s in scores]).sum(),
        "image": l1(model.decode("a", h_a + n_a), xa) + l1(model.decode("b", h_b + n_b), xb),
        "cycle": l1(x_aba, xa) + l1(x_bab, xb),
        "kl": (h_a**2).mean() + (h_b**2).mean(),
        "kl_cycle": (again_a**2).mean() + (again_b**2).mean(),
    }
    assert set(parts) == set(by_hand)
    for name, value in by_hand.items():
        assert parts[name].item() == pytest.approx(value.item(), rel=1e-4), name
    wanted = sum(weight * by_hand[name].item() for name, weight in zip(by_hand, (2, 3, 5, 7, 11)))
    assert total.item() == pytest.approx(wanted, rel=1e-4)


def test_an_iteration_steps_the_discriminators_and_then_the_generators(tiny_task: MakeTask) -> None:
    model = make()
    batch = first_batch(model, tiny_task())
    with torch.no_grad():
        rng = torch.Generator().manual_seed(0)
        model.rng.manual_seed(0)
        h_b = model.encode("b", batch["target"].image)
        x_ba = model.decode("a", h_b + torch.randn(h_b.shape, generator=rng))
        real, fake = model.networks["dis_a"](batch["source"].image), model.networks["dis_a"](x_ba)
        d_a = sum((f**2).mean() + ((r - 1) ** 2).mean() for f, r in zip(fake, real))
    steps = []
    plain = model.minimise
    model.minimise = lambda name, loss: (steps.append(name), plain(name, loss))  # type: ignore
    losses = model.train_step(batch)
    assert steps == ["dis", "gen"]
    assert losses["d_a"].item() == pytest.approx(float(d_a), rel=1e-4), "of the networks before any step"


def test_translation_uses_the_mean_of_the_code_and_is_deterministic() -> None:
    model, x = make(), images(2)
    assert torch.equal(model.translate(x), model.decode("b", model.encode("a", x)))
    assert torch.equal(model.translate_back(x, torch.Generator()), model.decode("a", model.encode("b", x)))
    assert model.guidance == "none"


def test_both_domains_have_a_bottleneck() -> None:
    model, x = make(), images(2)
    code = model.bottleneck(x, "target")
    assert code is not None and torch.equal(code, model.encode("b", x))


def test_optimizers_and_schedule_are_those_of_the_code() -> None:
    model = make("lr_halves=3")
    group = model.optimizers["gen"].param_groups[0]
    assert group["betas"] == (0.5, 0.999) and group["weight_decay"] == 1e-4 and group["lr"] == 1e-4
    factors = [model.schedulers["gen"].lr_lambdas[0](t) for t in range(6)]
    assert factors == [1, 1, 0.5, 0.5, 0.5, 0.25]


def test_impossible_settings_name_the_mend() -> None:
    with pytest.raises(UserError, match="shared_blocks=3 is more than blocks=2"):
        make("shared_blocks=3")
    with pytest.raises(Unfit, match="lower n_scales"):
        make("n_scales=4")
