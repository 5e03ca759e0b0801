"""CycleGAN against its official code and hand calculations."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.core.errors import UserError
from bench.data.task import TaskData
from bench.methods.cyclegan import CycleGAN, CycleGANConfig
from bench.methods.nn.image_pool import ImagePool
from bench.methods.nn.losses import lsgan
from bench.methods.nn.resnet import PatchDiscriminator, ResNetGenerator
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Sampler

MakeTask = Callable[..., TaskData]
SMALL = ("resolution=16", "width=4", "blocks=1", "discriminator_layers=2", "batch_size=2")


def make(*settings: str, n_source: int = 20, n_target: int = 6) -> CycleGAN:
    config = build(CycleGANConfig, CycleGAN.presets, "paper", [*SMALL, *settings])
    torch.manual_seed(0)
    return CycleGAN(Task(resolution=16, n_source=n_source, n_target=n_target, n_labels=3), config)


def train(model: CycleGAN, data: TaskData, first: int, last: int) -> list[dict[str, torch.Tensor]]:
    sampler = Sampler(model.streams(data), data, 0, Compute.choose("cpu"))
    losses = []
    for step in range(first, last):
        losses.append(model.train_step(sampler.batch(step)))
        for schedule in model.schedulers.values():
            schedule.step()
    return losses


def count(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_parameter_counts_of_the_official_networks() -> None:
    with torch.device("meta"):
        assert count(ResNetGenerator(3, 64, 9, False)) == 11_378_179
        assert count(ResNetGenerator(3, 64, 6, False)) == 7_837_699
        assert count(PatchDiscriminator(3, 64, 3)) == 2_764_737
        for settings, expected in ((["blocks=9"], 11_378_179), (["resolution=256"], 11_378_179), ([], 7_837_699)):
            config = build(CycleGANConfig, CycleGAN.presets, "paper", settings)
            whole = CycleGAN(Task(128, 100, 10, 0), config)
            counts = {name: count(net) for name, net in whole.networks.items()}
            assert counts == {"G_A": expected, "G_B": expected, "D_A": 2_764_737, "D_B": 2_764_737}


@pytest.mark.parametrize(("side", "map_side"), [(256, 30), (128, 14), (64, 6)])
def test_map_sides_of_the_official_networks(side: int, map_side: int) -> None:
    with torch.device("meta"):
        x = torch.empty(1, 3, side, side)
        assert PatchDiscriminator(3, 64, 3)(x).shape == (1, 1, map_side, map_side)
        assert ResNetGenerator(3, 64, 1, False)(x).shape == x.shape


def test_initialisation() -> None:
    for net in (ResNetGenerator(3, 32, 2, False), PatchDiscriminator(3, 32, 3)):
        weights = torch.cat([p.flatten() for name, p in net.named_parameters() if name.endswith("weight")])
        assert weights.std().item() == pytest.approx(0.02, rel=0.02)
        assert all((p == 0).all() for name, p in net.named_parameters() if name.endswith("bias"))


def test_train_and_eval_agree_and_a_bias_before_a_norm_changes_nothing() -> None:
    net = ResNetGenerator(3, 4, 1, False)
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    before = net.train()(x)
    assert torch.equal(before, net.eval()(x))
    first = next(m for m in net.modules() if isinstance(m, torch.nn.Conv2d))
    torch.nn.init.constant_(first.bias, 0.7)
    assert torch.allclose(before, net(x), atol=1e-5)


def test_lsgan_by_hand() -> None:
    assert lsgan(torch.tensor([[1.0, 3.0], [0.0, -1.0]]), 1.0).item() == pytest.approx((0 + 4 + 1 + 4) / 4)


def test_losses_of_one_iteration_by_the_papers_formulas(tiny_task: MakeTask) -> None:
    """Each term recomputed one image pass at a time, from the initial weights, with the published weights."""
    data = tiny_task()
    model = make()
    batch = Sampler(model.streams(data), data, 0, Compute.choose("cpu")).batch(0)
    a, b = batch["A"].image, batch["B"].image
    G_A, G_B, D_A, D_B = (model.networks[n] for n in ("G_A", "G_B", "D_A", "D_B"))
    with torch.no_grad():
        fake_b, fake_a = G_A(a), G_B(b)
        expected = {
            "G_A": ((D_A(fake_b) - 1) ** 2).mean(),
            "G_B": ((D_B(fake_a) - 1) ** 2).mean(),
            "cycle_A": (G_B(fake_b) - a).abs().mean(),
            "cycle_B": (G_A(fake_a) - b).abs().mean(),
            "idt_A": (G_A(b) - b).abs().mean(),
            "idt_B": (G_B(a) - a).abs().mean(),
            "D_A": 0.5 * (((D_A(b) - 1) ** 2).mean() + (D_A(fake_b) ** 2).mean()),  # pool not full: the new fakes
            "D_B": 0.5 * (((D_B(a) - 1) ** 2).mean() + (D_B(fake_a) ** 2).mean()),
        }
    totals = {}
    plain = model.minimise
    model.minimise = lambda name, loss: (totals.update({name: loss.item()}), plain(name, loss))  # type: ignore
    losses = model.train_step(batch)
    assert set(losses) == set(expected)
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value.item(), rel=1e-4), name
    e = {name: value.item() for name, value in expected.items()}
    total = e["G_A"] + e["G_B"] + 10 * (e["cycle_A"] + e["cycle_B"]) + 5 * (e["idt_A"] + e["idt_B"])
    assert totals["G"] == pytest.approx(total, rel=1e-4)
    assert totals["D"] == pytest.approx(e["D_A"] + e["D_B"], rel=1e-4)


def test_gradients_reach_only_the_networks_of_their_step(tiny_task: MakeTask) -> None:
    data = tiny_task()
    model = make()
    seen = {}
    plain = model.minimise

    def watch(name: str, loss: torch.Tensor) -> None:
        for net in model.networks.values():
            net.zero_grad(set_to_none=True)
        plain(name, loss)
        seen[name] = {key for key, net in model.networks.items() if any(p.grad is not None for p in net.parameters())}

    model.minimise = watch  # type: ignore[method-assign]
    train(model, data, 0, 1)
    assert seen == {"G": {"G_A", "G_B"}, "D": {"D_A", "D_B"}}


def test_identity_weight_zero_leaves_the_term_out(tiny_task: MakeTask) -> None:
    assert not {"idt_A", "idt_B"} & set(train(make("identity_weight=0"), tiny_task(), 0, 1)[0])


def test_learning_rate_schedule_of_the_official_code(tiny_task: MakeTask) -> None:
    """200 epochs: constant for 100, then linear; 2e-4 / 101 in the last. Here 400 steps: two an epoch."""
    model = make("budget_kimg=0.8")
    assert model.total_steps == 400
    assert model.rate(0) == model.rate(198) == 1.0
    assert model.rate(200) == pytest.approx(1 - 1 / 101)
    assert 2e-4 * model.rate(399) == pytest.approx(2e-4 / 101)
    train(model, tiny_task(), 0, 1)
    assert model.optimizers["G"].param_groups[0]["betas"] == (0.5, 0.999)


def test_the_budget_is_200_epochs_of_the_larger_domain() -> None:
    assert make(n_source=20).budget_images == 200 * 20
    assert make(n_source=3, n_target=6).budget_images == 200 * 6


def test_the_paper_preset_is_the_published_recipe() -> None:
    config = build(CycleGANConfig, CycleGAN.presets, "paper", [])
    found = (config.batch_size, config.lr, config.pool_size, config.width, config.skip, config.ema_decay)
    assert found == (1, 2e-4, 50, 64, False, None)
    with torch.device("meta"):
        model = CycleGAN(Task(128, 100, 10, 0), config)
    for optimizer in model.optimizers.values():
        assert (optimizer.defaults["lr"], optimizer.defaults["weight_decay"]) == (2e-4, 0)
    assert not model.ema


def test_strided_convs_pad_with_zeros_all_others_reflect() -> None:
    convs = [m for m in ResNetGenerator(3, 4, 2, False).modules() if isinstance(m, torch.nn.Conv2d)]
    assert [m.padding_mode for m in convs if m.stride == (2, 2)] == ["zeros", "zeros"]
    assert {m.padding_mode for m in convs if m.stride == (1, 1)} == {"reflect"}


class TestPool:
    def test_what_it_returns_carries_no_gradient(self) -> None:
        x = torch.rand(2, 3, 4, 4, requires_grad=True) * 2
        for size in (0, 5):
            assert not ImagePool(size).query(x, torch.Generator()).requires_grad

    def test_size_0_returns_its_input(self) -> None:
        x = torch.rand(3, 3, 4, 4)
        assert torch.equal(ImagePool(0).query(x, torch.Generator()), x)

    def test_first_50_unchanged_then_half_are_old(self) -> None:
        pool, rng = ImagePool(50), torch.Generator().manual_seed(0)
        made = [torch.full((1, 1, 1, 1), float(i)) for i in range(2050)]
        got = [pool.query(x, rng).item() for x in made]
        assert got[:50] == list(range(50))
        old = sum(value != i for i, value in enumerate(got[50:], start=50))
        assert abs(old - 1000) < 4 * math.sqrt(2000 / 4)  # binomial, four standard deviations
        assert pool.count == len(pool.state_dict()["images"]) == 50

    def test_an_image_returned_from_the_pool_has_left_it(self) -> None:
        pool, rng = ImagePool(2), torch.Generator().manual_seed(1)
        held = {0.0, 1.0}
        for i in range(40):
            got = pool.query(torch.full((1, 1, 1, 1), float(i)), rng).item()
            if i >= 2:
                held = (held | {float(i)}) - {got}
            assert {x.item() for x in pool.state_dict()["images"]} == (held if i >= 1 else {0.0})


def test_sampling(tiny_task: MakeTask) -> None:
    """A: every source once an epoch; B: uniform with replacement; with |B| = 1 every batch holds that image."""
    data = tiny_task(n_target=1)
    model = make(n_target=1)
    sampler = Sampler(model.streams(data), data, 0, Compute.choose("cpu"))
    epoch = [sampler.batch(step) for step in range(10)]
    assert sorted(int(i) for batch in epoch for i in batch["A"].index) == list(range(20))
    assert all((batch["B"].index == 0).all() for batch in epoch)
    several = Sampler(make().streams(data), tiny_task(n_target=6), 0, Compute.choose("cpu"))
    thirds = [torch.cat([several.batch(3 * e + i)["B"].index for i in range(3)]) for e in range(10)]
    assert any(len(set(drawn.tolist())) < 6 for drawn in thirds)


def test_augmentation_is_resize_286_crop_256_scaled() -> None:
    augment = make().streams(None)["A"].augment  # type: ignore[arg-type]
    assert (augment.load_size, augment.interpolation, augment.flip) == (18, "bicubic", True)
    paper = build(CycleGANConfig, CycleGAN.presets, "paper", [])
    assert round(paper.load_ratio * 128) == 143


def test_state_round_trip_goes_on_bit_equal(tiny_task: MakeTask) -> None:
    data = tiny_task()
    settings = ("pool_size=3", "ema_decay=0.9", "budget_kimg=0.02")
    whole = make(*settings)
    expected = train(whole, data, 0, 8)[-1]
    first = make(*settings)
    train(first, data, 0, 4)
    again = make(*settings)
    again.load_state_dict(first.state_dict())
    losses = train(again, data, 4, 8)[-1]
    assert all(torch.equal(losses[name], expected[name]) for name in expected)
    for a, b in zip(whole.ema["G_A"].parameters(), again.ema["G_A"].parameters()):
        assert torch.equal(a, b)


def test_ema_follows_its_formula_and_translates(tiny_task: MakeTask) -> None:
    model = make("ema_decay=0.75")
    start = [p.clone() for p in model.networks["G_A"].parameters()]
    assert all(torch.equal(a, b) for a, b in zip(start, model.ema["G_A"].parameters()))
    train(model, tiny_task(), 0, 1)
    for before, average, now in zip(start, model.ema["G_A"].parameters(), model.networks["G_A"].parameters()):
        assert torch.allclose(average, 0.75 * before + 0.25 * now, atol=1e-7)
    x = torch.rand(2, 3, 16, 16)
    assert torch.equal(model.translate(x), model.ema["G_A"](x))
    assert not torch.allclose(model.translate(x), model.networks["G_A"](x), atol=1e-6)


def test_skip_starts_near_the_identity() -> None:
    """tanh(net + atanh(0.95 x)): with the last layer at zero the output is exactly 0.95 x."""
    net = ResNetGenerator(3, 4, 1, skip=True)
    for p in net.parameters():
        torch.nn.init.zeros_(p)
    x = torch.rand(1, 3, 16, 16) * 2 - 1
    assert torch.allclose(net(x), 0.95 * x, atol=1e-5)


def test_a_resolution_that_does_not_fit_is_one_line() -> None:
    for side in (30, 16):
        with pytest.raises(UserError, match="choose a multiple of 4"):
            build(CycleGANConfig, CycleGAN.presets, "paper", [f"resolution={side}"])


@pytest.mark.parametrize("setting", ["batch_size=0", "width=0", "discriminator_layers=0", "epochs=1"])
def test_values_that_make_no_sense_are_one_line(setting: str) -> None:
    with pytest.raises(UserError, match=f"^{setting}: choose a whole number of at least [12]"):
        build(CycleGANConfig, CycleGAN.presets, "paper", [setting])


def test_learns_a_colour_shift() -> None:
    """Dark images -> bright ones: after a short training the translations are bright."""
    model = make("lr=2e-3", "budget_kimg=0.4", "identity_weight=0")
    rng = np.random.default_rng(0)
    for _ in range(60):
        dark = torch.from_numpy(rng.uniform(-1, -0.4, (2, 3, 16, 16)).astype(np.float32))
        bright = torch.from_numpy(rng.uniform(0.4, 1, (2, 3, 16, 16)).astype(np.float32))
        model.train_step({"A": _Batch(dark), "B": _Batch(bright)})  # type: ignore[dict-item]
    out = model.translate(dark)
    assert F.l1_loss(out.mean(), bright.mean()) < 0.3


class _Batch:
    def __init__(self, image: torch.Tensor) -> None:
        self.image = image
