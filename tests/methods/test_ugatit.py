"""U-GAT-IT against the counts of the official code and hand calculations."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import Unfit, UserError
from bench.data.task import TaskData
from bench.methods.nn.adalin import AdaILN
from bench.methods.ugatit import UGATIT, Discriminator, Generator, UGATITConfig, needs_translation
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Batch, Sampler

MakeTask = Callable[..., TaskData]
SMALL = ("resolution=32", "width=4", "blocks=1", "global_layers=5", "local_layers=4", "batch_size=2")


def make(*settings: str) -> UGATIT:
    config = build(UGATITConfig, UGATIT.presets, "light", [*SMALL, *settings])
    torch.manual_seed(0)
    return UGATIT(Task(config.resolution, 20, 6, 3), config)


def first_batch(model: UGATIT, data: TaskData) -> dict[str, Batch]:
    return Sampler(model.streams(data), data, 0, Compute.choose("cpu")).batch(0)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def images(n: int) -> Tensor:
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(n)) * 2 - 1


def test_parameter_counts_and_shapes_of_the_official_code() -> None:
    with torch.device("meta"):
        assert count(Generator(3, 64, 4, 256, light=True)) == 10_589_888
        assert count(Generator(3, 64, 4, 256, light=False)) == 278_959_808
        assert count(Generator(3, 64, 4, 128, light=False)) == 77_633_216
        wide, local = Discriminator(3, 64, 7).eval(), Discriminator(3, 64, 5).eval()
        assert (count(wide), count(local)) == (53_130_176, 3_290_560)
        x = torch.empty(2, 3, 256, 256)
        assert [part.shape for part in wide(x)] == [(2, 1, 6, 6), (2, 2)]
        assert [part.shape for part in local(x)] == [(2, 1, 30, 30), (2, 2)]


@pytest.mark.parametrize(("preset", "expected"), [("light", 10_589_888), ("paper", 77_633_216)])
def test_the_presets_have_the_networks_that_they_are_called_after(preset: str, expected: int) -> None:
    with torch.device("meta"):
        model = UGATIT(Task(128, 100, 10, 0), build(UGATITConfig, UGATIT.presets, preset, []))
    assert count(model.networks["G_A2B"]) == expected and len(model.networks) == 6


def test_the_generators_classifier_by_hand() -> None:
    """-log sigmoid(1) = 0.313262 for the images of the other domain, -log(1 - sigmoid(-1)) the same for its own."""
    logits = torch.tensor([[1.0, 1.0], [-1.0, 0.0]])
    assert needs_translation(logits, 1).item() == pytest.approx(0.313262 + (0.313262 + 0.693147) / 2, rel=1e-5)


def test_discriminator_loss_by_hand() -> None:
    """Scores and logits of the global and of the local discriminator, each (D(real) - 1)^2 + D(fake)^2."""
    model, real, fake = make(), images(2), images(3)
    for network in model.networks.values():
        network.eval()
    by_hand = 0.0
    for name in ("global", "local"):
        discriminator = model.networks[f"D_B_{name}"]
        for on_real, on_fake in zip(discriminator(real), discriminator(fake)):
            by_hand += ((on_real - 1) ** 2).mean().item() + (on_fake**2).mean().item()
    assert model.discriminator_loss("B", real, fake).item() == pytest.approx(by_hand, rel=1e-4)


def test_generator_loss_by_hand() -> None:
    weights = ("adv_weight=2", "cycle_weight=3", "identity_weight=5", "cam_weight=7")
    model, a, b = make(*weights), images(2), images(3)
    for network in model.networks.values():
        network.eval()
    A2B, B2A = model.networks["G_A2B"], model.networks["G_B2A"]
    total, parts = model.generator_loss(a, b, A2B(torch.cat([a, b])), B2A(torch.cat([b, a])))
    (fake_b, cam_ab), (fake_a, cam_ba), (same_b, cam_bb), (same_a, cam_aa) = A2B(a), B2A(b), A2B(b), B2A(a)

    def fooled(domain: str, fake: Tensor) -> float:
        outputs = [out for name in ("global", "local") for out in model.networks[f"D_{domain}_{name}"](fake)]
        return sum(((out - 1) ** 2).mean().item() for out in outputs)

    def l1(one: Tensor, other: Tensor) -> float:
        return (one - other).abs().mean().item()

    yes = [-torch.sigmoid(cam).log().mean().item() for cam in (cam_ab, cam_ba)]
    no = [-(1 - torch.sigmoid(cam)).log().mean().item() for cam in (cam_bb, cam_aa)]
    by_hand = {
        "G_A": fooled("A", fake_a),
        "G_B": fooled("B", fake_b),
        "cycle": l1(B2A(fake_b)[0], a) + l1(A2B(fake_a)[0], b),
        "identity": l1(same_a, a) + l1(same_b, b),
        "cam": sum(yes) + sum(no),
    }
    for name, value in by_hand.items():
        assert parts[name].item() == pytest.approx(value, rel=1e-4), name
    expected = 2 * (by_hand["G_A"] + by_hand["G_B"]) + 3 * by_hand["cycle"] + 5 * by_hand["identity"]
    assert total.item() == pytest.approx(expected + 7 * by_hand["cam"], rel=1e-4)


def test_an_iteration_steps_d_then_g_and_then_clamps_rho(tiny_task: MakeTask) -> None:
    model = make("lr=0.2")
    batch = first_batch(model, tiny_task(resolution=32))
    steps = []
    plain = model.minimise
    model.minimise = lambda name, loss: (steps.append(name), plain(name, loss))  # type: ignore
    model.train_step(batch)
    assert steps == ["D", "G"]
    shares = torch.cat([m.rho for m in model.networks["G_A2B"].modules() if isinstance(m, AdaILN)])
    assert shares.min() >= 0 and shares.max() == 1, "a step of 0.2 from 0.9 leaves [0, 1]"


def test_a_step_of_d_leaves_the_generators_alone(tiny_task: MakeTask) -> None:
    model = make()
    before = [p.clone() for p in model.networks["G_A2B"].parameters()]
    model.minimise("D", model.discriminator_loss("A", images(2), images(3)))
    assert all(torch.equal(a, b) for a, b in zip(before, model.networks["G_A2B"].parameters()))


def test_the_rate_falls_to_zero_in_the_second_half() -> None:
    model = make("budget_kimg=0.016")  # eight iterations of two images
    factors = [model.schedulers["G"].lr_lambdas[0](t) for t in range(8)]
    assert factors == pytest.approx([1, 1, 1, 1, 0.75, 0.5, 0.25, 0])
    group = model.optimizers["D"].param_groups[0]
    assert group["betas"] == (0.5, 0.999) and group["weight_decay"] == 1e-4 and group["initial_lr"] == 1e-4


def test_streams_add_pixels_and_crop(tiny_task: MakeTask) -> None:
    streams = make().streams(tiny_task())
    assert {(s.pool, s.order, s.augment.load_size, s.augment.flip) for s in streams.values()} == {
        ("source", "shuffled", 62, True),
        ("target", "shuffled", 62, True),
    }


def test_impossible_settings_name_the_mend() -> None:
    with pytest.raises(Unfit, match="at least 96, or lower global_layers"):
        UGATITConfig(resolution=64)
    assert UGATITConfig(resolution=64, global_layers=0).discriminators == {"local": 5}
    with pytest.raises(UserError, match="local_layers=2: choose a whole number of at least 3"):
        UGATITConfig(local_layers=2)
