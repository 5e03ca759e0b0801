"""MUNIT against its official code and hand calculations."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.errors import UserError
from bench.data.task import TaskData
from bench.methods.munit import MUNIT, Discriminator, MUNITConfig, sum_over_scales
from bench.methods.nn.funit_networks import Decoder, Generator
from bench.methods.nn.layers import LayerNorm
from bench.testing import CHECKS, check
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Sampler

MakeTask = Callable[..., TaskData]
SMALL = (
    "resolution=16",
    "width=4",
    "downs=1",
    "style_downs=2",
    "blocks=1",
    "mlp_width=8",
    "discriminator_downs=2",
    "n_scales=2",
    "batch_size=2",
)


def make(*settings: str, channels: int = 3) -> MUNIT:
    config = build(MUNITConfig, MUNIT.presets, "paper", [*SMALL, *settings])
    torch.manual_seed(0)
    return MUNIT(Task(config.resolution, 20, 6, 3, channels), config)


def train(model: MUNIT, data: TaskData, first: int, last: int) -> list[dict[str, Tensor]]:
    sampler = Sampler(model.streams(data), data, 0, Compute.choose("cpu"))
    losses = []
    for step in range(first, last):
        losses.append(model.train_step(sampler.batch(step)))
        for schedule in model.schedulers.values():
            schedule.step()
    return losses


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def images(n: int = 2, side: int = 16) -> Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(n)) * 2 - 1


def test_parameter_counts_and_shapes_of_the_official_networks() -> None:
    with torch.device("meta"):
        whole = MUNIT(Task(128, 100, 10, 0), MUNITConfig())
        gen, dis = whole.gen_a, whole.dis_a
        content, style = gen.encode(torch.empty(1, 3, 128, 128))
        maps = dis(torch.empty(1, 3, 128, 128))
    assert {name: count(net) for name, net in whole.networks.items()} == {
        "gen_a": 15_026_187,
        "gen_b": 15_026_187,
        "dis_a": 8_271_171,
        "dis_b": 8_271_171,
    }
    parts = {name: count(part) for name, part in gen.named_children()}
    assert parts["content_encoder"] == 5_385_856 and parts["style_encoder"] == 2_764_936
    assert parts["mlp"] == 1_120_768 and parts["decoder"] == 5_754_627
    assert content.shape == (1, 256, 32, 32) and style.shape == (1, 8) and gen.decoder.n_style == 4096
    assert [m.shape for m in maps] == [(1, 1, 8, 8), (1, 1, 4, 4), (1, 1, 2, 2)]


def test_initialisation() -> None:
    model = make("width=16", "blocks=2", "mlp_width=64")
    assert isinstance(model.gen_a, Generator)
    conv = model.gen_a.content_encoder[1][0]
    assert conv.weight.var().item() * 16 * 16 / 2 == pytest.approx(1, rel=0.1), "Kaiming, fan in"
    weights = torch.cat([p.flatten() for name, p in model.dis_a.named_parameters() if name.endswith("weight")])
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    norms = [m for m in model.gen_a.modules() if isinstance(m, LayerNorm)]
    assert len(norms) == 1, "one doubling"
    assert 0 <= norms[0].gamma.min() < 0.35 and 0.65 < norms[0].gamma.max() <= 1 and norms[0].beta.abs().max() == 0
    assert all((p == 0).all() for name, p in model.gen_a.named_parameters() if name.endswith("bias"))


def test_layer_norm_has_unbiased_unit_deviation_over_the_whole_image() -> None:
    norm = LayerNorm(3)
    nn.init.ones_(norm.gamma)
    x = torch.randn(4, 3, 5, 7) * 3 + 2
    out = norm(x).flatten(1)
    assert torch.allclose(out.mean(1), torch.zeros(4), atol=1e-5)
    assert torch.allclose(out.std(1, unbiased=True), torch.ones(4), atol=1e-5)


def test_layer_norm_adds_epsilon_to_the_deviation_and_scales_each_channel() -> None:
    norm = LayerNorm(2)
    norm.gamma.data, norm.beta.data = torch.tensor([2.0, 3.0]), torch.tensor([0.5, -0.5])
    x = torch.tensor([[[[1e-5, -1e-5]], [[1e-5, -1e-5]]]])  # mean 0, variance 4e-10 / 3
    scaled = 1e-5 / ((4e-10 / 3) ** 0.5 + 1e-5)
    wanted = [[0.5 + 2 * scaled, 0.5 - 2 * scaled], [-0.5 + 3 * scaled, -0.5 - 3 * scaled]]
    assert torch.allclose(norm(x)[0, :, 0], torch.tensor(wanted), rtol=1e-4)
    assert torch.allclose(norm(torch.ones(1, 2, 3, 3))[0, 1], torch.full((3, 3), -0.5)), "a constant image"


def test_decoder_normalises_with_layer_norm_while_it_enlarges() -> None:
    decoder = Decoder(3, 4, 2, 1, up_norm="layer")
    assert [type(m).__name__ for m in decoder.up[1]] == ["UpsampledConv", "LayerNorm", "ReLU"]
    assert decoder.up[1][0].kernel_size == (5, 5) and decoder.up[-1][0].kernel_size == (7, 7)


def test_a_batch_of_two_equals_two_batches_of_one() -> None:
    model, x, style = make(), images(), torch.randn(2, 8)
    content, own = model.gen_a.encode(x)
    out, maps = model.gen_a.decode(content, style), model.dis_a(x)
    for i in range(2):
        one = slice(i, i + 1)
        assert torch.allclose(model.gen_a.encode(x[one])[0], content[one], atol=1e-5)
        assert torch.allclose(model.gen_a.encode(x[one])[1], own[one], atol=1e-5)
        assert torch.allclose(model.gen_a.decode(content[one], style[one]), out[one], atol=1e-5)
        assert all(torch.allclose(a, b[one], atol=1e-5) for a, b in zip(model.dis_a(x[one]), maps))


def test_discriminator_pyramid_averages_real_pixels_only() -> None:
    """Scale 2 sees the image after a 3x3 average, stride 2, whose borders do not count the padding."""
    net = Discriminator(1, 4, 1, 2)
    x = torch.randn(1, 1, 4, 4)
    halved = torch.empty(1, 1, 2, 2)
    for row in range(2):
        for column in range(2):
            window = x[..., max(0, 2 * row - 1) : 2 * row + 2, max(0, 2 * column - 1) : 2 * column + 2]
            halved[..., row, column] = window.mean()
    assert torch.allclose(net(x)[1], net.scales[1](halved), atol=1e-6)


def test_adversarial_losses_of_a_silent_discriminator() -> None:
    """D = 0 everywhere: 1 a scale, 3 a domain, 6 in total; 3 a domain for the generators."""
    model = make("n_scales=3", "resolution=32")
    for network in (model.dis_a, model.dis_b):
        for p in network.parameters():
            nn.init.zeros_(p)
    xa, xb = images(side=32), images(3, side=32)
    assert model.discriminator_loss(model.dis_a, xb, xa).item() == pytest.approx(3)
    _, parts = generator_loss(model, xa, images(2, side=32))
    assert parts["g_adv"].item() == pytest.approx(6)


@pytest.mark.parametrize(
    ("gan", "wanted", "by_hand"),
    [
        ("lsgan", 1.0, (1 + 4) / 2 + 0),
        ("lsgan", 0.0, (0 + 1) / 2 + 1),
        ("nsgan", 1.0, (0.693147 + 1.313262) / 2 + 0.313262),  # -log sigmoid of 0, -1 and 1
        ("nsgan", 0.0, (0.693147 + 0.313262) / 2 + 1.313262),
    ],
)
def test_sum_over_scales_by_hand(gan: str, wanted: float, by_hand: float) -> None:
    maps = [torch.tensor([[0.0, -1.0]]), torch.tensor([[1.0]])]
    assert sum_over_scales(gan, maps, wanted).item() == pytest.approx(by_hand, rel=1e-5)


def test_discriminator_loss_is_fake_to_zero_and_real_to_one() -> None:
    model, fake, real = make(), images(3), images(2)
    by_hand = sum(f.square().mean() + (r - 1).square().mean() for f, r in zip(model.dis_a(fake), model.dis_a(real)))
    assert torch.allclose(model.discriminator_loss(model.dis_a, fake, real), torch.as_tensor(by_hand))


def generator_loss(model: MUNIT, xa: Tensor, xb: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    styles = torch.full((len(xb), 8), 0.5), torch.full((len(xa), 8), -0.5)
    return model.generator_loss(xa, xb, model.gen_a.encode(xa), model.gen_b.encode(xb), styles)


def test_generator_loss_term_by_term() -> None:
    """The paper's losses written out, each network called by itself."""
    model = make("cycle_weight=7", "adv_weight=2", "image_weight=3", "style_weight=4", "content_weight=5")
    xa, xb = images(2), images(3)
    s_a, s_b = torch.full((3, 8), 0.5), torch.full((2, 8), -0.5)
    total, parts = generator_loss(model, xa, xb)
    (c_a, own_a), (c_b, own_b) = model.gen_a.encode(xa), model.gen_b.encode(xb)
    x_ba, x_ab = model.gen_a.decode(c_b, s_a), model.gen_b.decode(c_a, s_b)
    (c_b_rec, s_a_rec), (c_a_rec, s_b_rec) = model.gen_a.encode(x_ba), model.gen_b.encode(x_ab)

    def l1(one: Tensor, other: Tensor) -> Tensor:
        return (one - other).abs().mean()

    image = l1(model.gen_a.decode(c_a, own_a), xa) + l1(model.gen_b.decode(c_b, own_b), xb)
    style = l1(s_a_rec, s_a) + l1(s_b_rec, s_b)
    content = l1(c_a_rec, c_a) + l1(c_b_rec, c_b)
    cycle = l1(model.gen_a.decode(c_a_rec, own_a), xa) + l1(model.gen_b.decode(c_b_rec, own_b), xb)
    scores = [*model.dis_a(x_ba), *model.dis_b(x_ab)]
    adversarial = torch.stack([(s - 1).square().mean() for s in scores]).sum()
    by_hand = {"g_adv": adversarial, "image": image, "style": style, "content": content, "cycle": cycle}
    for name, value in by_hand.items():
        assert torch.allclose(parts[name], value, rtol=1e-4), name
    wanted = 2 * adversarial + 3 * image + 4 * style + 5 * content + 7 * cycle
    assert torch.allclose(total, wanted, rtol=1e-4)


def test_the_papers_weights_and_no_cycle() -> None:
    total, parts = generator_loss(make(), images(2), images(3))
    assert "cycle" not in parts
    assert torch.allclose(total, parts["g_adv"] + 10 * parts["image"] + parts["style"] + parts["content"])


class Inverting(nn.Module):
    """A generator whose encoder inverts its decoder exactly: the image holds content and style as they are."""

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        return image[:, :2], image[:, 2, 0, :8]

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        rows = F.pad(style, [0, content.shape[-1] - 8])[:, None, None].expand(-1, 1, content.shape[-2], -1)
        return torch.cat([content, rows], dim=1)


def test_reconstruction_of_codes_vanishes_if_the_encoder_inverts_the_decoder() -> None:
    """And the within-domain reconstruction plays no part in it: it is far from zero here."""
    model = make()
    model.gen_a = model.gen_b = Inverting()
    _, parts = generator_loss(model, images(2), images(3))
    assert parts["style"] == 0 and parts["content"] == 0 and parts["image"] > 0.1


def test_the_wanted_content_is_not_detached() -> None:
    """The content loss alone reaches gen_a's encoder twice: through x_ab, and as the wanted code of xa."""
    model = make("adv_weight=0", "image_weight=0", "style_weight=0")
    xa, xb = images(2), images(3)
    weight = model.gen_a.content_encoder[0][0].weight

    def gradient(detached: bool) -> Tensor:
        (c_a, _), (c_b, _) = model.gen_a.encode(xa), model.gen_b.encode(xb)
        x_ab = model.gen_b.decode(c_a, torch.full((2, 8), -0.5))
        x_ba = model.gen_a.decode(c_b, torch.full((3, 8), 0.5))
        keep = (lambda x: x.detach()) if detached else (lambda x: x)
        loss = F.l1_loss(model.gen_b.encode(x_ab)[0], keep(c_a)) + F.l1_loss(model.gen_a.encode(x_ba)[0], keep(c_b))
        return torch.autograd.grad(loss, weight)[0]

    (mine,) = torch.autograd.grad(generator_loss(model, xa, xb)[0], weight)
    assert torch.allclose(mine, gradient(False), atol=1e-4)
    assert not torch.allclose(mine, gradient(True), atol=1e-2)


def test_styles_are_drawn_anew_for_each_step_of_an_iteration(tiny_task: MakeTask) -> None:
    model, drawn = make(), []
    plain = model._styles
    model._styles = lambda n: drawn.append(plain(n)) or drawn[-1]  # type: ignore[func-returns-value]
    train(model, tiny_task(), 0, 2)
    assert len(drawn) == 8 and len({round(float(s.sum()), 5) for s in drawn}) == 8


def test_every_network_learns_from_a_step(tiny_task: MakeTask) -> None:
    model = make("weight_decay=0")
    before = {name: [p.clone() for p in net.parameters()] for name, net in model.networks.items()}
    losses = train(model, tiny_task(), 0, 1)[0]
    assert set(losses) == {"d_a", "d_b", "g_adv", "image", "style", "content"}
    assert all(torch.isfinite(v) and not v.requires_grad for v in losses.values())
    for name, net in model.networks.items():
        still = [a.shape for a, b in zip(before[name], net.parameters()) if torch.equal(a, b)]
        biases_before_norms = [shape for shape in still if len(shape) > 1]
        assert not biases_before_norms, name


def test_optimizers_and_schedule() -> None:
    model = make("lr_halves=3")
    for optimizer in model.optimizers.values():
        assert isinstance(optimizer, torch.optim.Adam)
        group = optimizer.param_groups[0]
        assert group["betas"] == (0.5, 0.999) and group["weight_decay"] == 1e-4
    rates = []
    for _ in range(6):
        rates.append(model.optimizers["gen"].param_groups[0]["lr"])
        model.optimizers["gen"].step()
        model.schedulers["gen"].step()
    assert rates == pytest.approx([1e-4, 1e-4, 0.5e-4, 0.5e-4, 0.5e-4, 0.25e-4]), "stepped before each update"
    with torch.device("meta"):
        paper = MUNIT(Task(128, 10, 10, 0), MUNITConfig())
    assert paper.total_steps == 1_000_000 and paper.config.lr_halves == 100_000


def test_streams(tiny_task: MakeTask) -> None:
    streams = make().streams(tiny_task())
    assert {(s.pool, s.order, s.size) for s in streams.values()} == {
        ("source", "shuffled", 2),
        ("target", "shuffled", 2),
    }
    assert all(s.augment.flip and s.augment.load_size is None for s in streams.values())


def test_continues_bit_equal_after_a_round_trip(tiny_task: MakeTask) -> None:
    data = tiny_task()
    one = make("ema_decay=0.9", "lr_halves=2", "cycle_weight=1")
    train(one, data, 0, 2)
    other = make("ema_decay=0.9", "lr_halves=2", "cycle_weight=1")
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert all(
        torch.equal(a[name], b[name])
        for a, b in zip(train(one, data, 2, 4), train(other, data, 2, 4))
        for name in ("g_adv", "image", "d_b", "cycle")
    )
    for a, b in zip(one.modules(), other.modules()):
        assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters()))


def test_translation_from_noise() -> None:
    model, x = make(), images(3)
    assert model.guidance == "noise"
    first, again, other = (model.translate(x, rng=torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.allclose(first, other, atol=1e-3)
    style = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(first, model.gen_b.decode(model.gen_a.encode(x)[0], style)), "content by a, decoded by b"
    assert not first.requires_grad and first.abs().max() <= 1 and first.shape == x.shape


def test_translation_from_a_reference() -> None:
    model, x = make("guide=reference"), images(3)
    assert model.guidance == "reference"
    one, other = torch.rand(2, 3, 3, 16, 16)
    assert torch.equal(
        model.translate(x, one), model.gen_b.decode(model.gen_a.encode(x)[0], model.gen_b.encode(one)[1])
    )
    assert not torch.allclose(model.translate(x, one), model.translate(x, other), atol=1e-5)
    with pytest.raises(ValueError, match="reference"):
        model.translate(x)


def test_the_average_starts_at_the_weights_and_translates(tiny_task: MakeTask) -> None:
    model, x = make("ema_decay=1.0"), images(2)
    before = model.translate(x, rng=torch.Generator().manual_seed(1))
    train(model, tiny_task(), 0, 2)
    assert torch.equal(before, model.translate(x, rng=torch.Generator().manual_seed(1))), "decay 1 keeps the start"
    assert set(model.ema) == {"gen_a", "gen_b"} and not make().ema


@pytest.mark.parametrize(
    "settings", [("resolution=4",), ("resolution=17",), ("resolution=32", "n_scales=3", "discriminator_downs=4")]
)
def test_impossible_resolutions_name_the_mend(settings: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="lower n_scales"):
        make(*settings)


def test_the_smallest_image_of_the_paper_works(tiny_task: MakeTask) -> None:
    """64 pixels with three scales of four halvings: the reflecting pad of the last conv needs two pixels."""
    model = make("resolution=64", "width=2", "discriminator_downs=4", "n_scales=3", "style_downs=4", "downs=2")
    assert torch.isfinite(train(model, tiny_task(resolution=64), 0, 1)[0]["g_adv"])


def test_bfloat16_autocast(tiny_task: MakeTask) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        losses = train(make("cycle_weight=1", "gan=nsgan"), tiny_task(n_target=1), 0, 1)[0]
    assert all(torch.isfinite(v) for v in losses.values())


@pytest.mark.parametrize("preset", list(MUNIT.presets))
def test_presets_build(preset: str) -> None:
    config = build(MUNITConfig, MUNIT.presets, preset, [])
    with torch.device("meta"):
        model = MUNIT(Task(config.resolution, 1525, 250, 9), config)
        x = torch.empty(2, 3, config.resolution, config.resolution)
        assert model.gen_a(x, x).shape == x.shape and len(model.dis_a(x)) == config.n_scales


def weighted(*settings: str) -> MUNIT:
    return make("batch_weight=true", "weight_width=4", "batch_size=3", *settings)


def test_equal_weights_are_plain_munit() -> None:
    """Before clip_start the bound is 0, so all weights are 1/m and the losses are MUNIT's."""
    model = weighted("clip_start=10")
    xa, x_ab, x_ba, xb = (torch.rand(3, 3, model.task.resolution, model.task.resolution) for _ in range(4))
    of_a, of_b = model.weights(xa, x_ab, x_ba, xb)
    assert of_a is not None and of_b is not None
    assert of_a.tolist() == pytest.approx([1 / 3] * 3) and of_b.tolist() == pytest.approx([1 / 3] * 3)
    plain = model.discriminator_loss(model.dis_b, x_ab, xb)
    assert model.discriminator_loss(model.dis_b, x_ab, xb, of_a, of_b).item() == pytest.approx(plain.item(), rel=1e-5)


def test_batch_weight_by_hand() -> None:
    """Generated images carry the weight of the image they come from."""
    model = weighted("clip_full=1")
    side = model.task.resolution
    xa, x_ab, x_ba, xb = (torch.rand(3, 3, side, side) * 2 - 1 for _ in range(4))
    scores = {name: model.networks[name] for name in ("Wx", "Wy")}

    def share(s: torch.Tensor) -> torch.Tensor:
        return (s - s.mean()).clamp(-0.25, 0.25).softmax(0)

    w = (share(scores["Wx"](xa).flatten()) + share(-scores["Wy"](x_ab).flatten())) / 2
    v = (share(-scores["Wx"](x_ba).flatten()) + share(scores["Wy"](xb).flatten())) / 2
    omega, nu = (w + 1 / 3) / 2, (v + 1 / 3) / 2
    of_a, of_b = model.weights(xa, x_ab, x_ba, xb)
    assert of_a is not None and of_b is not None
    assert torch.allclose(of_a, omega, atol=1e-6) and torch.allclose(of_b, nu, atol=1e-6)
    assert not torch.allclose(omega, nu)

    def each(net: torch.nn.Module, x: torch.Tensor, wanted: float) -> torch.Tensor:
        return torch.stack([((m - wanted) ** 2).mean((1, 2, 3)) for m in net(x)]).sum(0)

    expected = (omega * each(model.dis_b, x_ab, 0)).sum() + (nu * each(model.dis_b, xb, 1)).sum()
    assert model.discriminator_loss(model.dis_b, x_ab, xb, of_a, of_b).item() == pytest.approx(
        expected.item(), rel=1e-5
    )

    def mean(net: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([m.mean((1, 2, 3)) for m in net(x)]).mean(0)

    gap_b = (omega * mean(model.dis_b, x_ab)).sum() - (nu * mean(model.dis_b, xb)).sum()
    gap_a = (nu * mean(model.dis_a, x_ba)).sum() - (omega * mean(model.dis_a, xa)).sum()
    labels = torch.tensor([0, 1, 1])
    found = model._weight_step(xa, x_ab, x_ba, xb, (labels, labels))
    assert found["W"].item() == pytest.approx((gap_b**2 + gap_a**2).item(), rel=1e-4)
    assert found["class_mass/0/source"].item() == pytest.approx(omega[0].item(), rel=1e-4)
    assert found["class_mass/1/target"].item() == pytest.approx((nu[1] + nu[2]).item(), rel=1e-4)


def test_batch_weight_keeps_the_promises(tmp_path: Path) -> None:
    for promise in CHECKS:
        check(MUNIT, promise, tmp_path, {"batch_weight": True, "weight_width": 4})
