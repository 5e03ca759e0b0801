"""CUT, FastCUT, Hneg-SRC and SANTA against the counts and formulas of their papers and official code."""

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.errors import Unfit, UserError
from bench.data.task import TaskData
from bench.methods.cut import CUT, CUTConfig
from bench.methods.cut.hneg import hdce, negative_weights, relation_consistency
from bench.methods.cut.santa import PathGenerator, path_energy
from bench.methods.nn.blur import BlurDown, BlurUp
from bench.methods.nn.layers import xavier_init
from bench.methods.nn.patch_nce import PatchProjection, draw_positions, patch_nce, sample
from bench.methods.nn.resnet import PatchDiscriminator, ResNetGenerator
from bench.testing import CHECKS, check
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Sampler

MakeTask = Callable[..., TaskData]
TAPS = (0, 4, 8, 12, 16)
SMALL = (
    "resolution=16",
    "width=4",
    "blocks=2",
    "discriminator_layers=2",
    "batch_size=2",
    "nce_layers=0,4,8,12",
    "path_layers=0,2,6,10",
    "patches=12",
    "projection=8",
)


def make(*settings: str, preset: str = "paper") -> CUT:
    config = build(CUTConfig, CUT.presets, preset, [*SMALL, *settings])
    torch.manual_seed(0)
    model = CUT(Task(16, 20, 6, 3), config)
    model.rng.manual_seed(3)
    return model


def batches(model: CUT, data: TaskData) -> Sampler:
    return Sampler(model.streams(data), data, 0, Compute.choose("cpu"))


def watched_step(model: CUT, data: TaskData) -> tuple[dict[str, Tensor], list[tuple[Any, float]]]:
    """Losses of the first iteration, and names and values of what was minimised, in order."""
    seen: list[tuple[Any, float]] = []
    plain = model.minimise
    model.minimise = lambda names, loss: (seen.append((names, loss.item())), plain(names, loss))  # type: ignore
    return model.train_step(batches(model, data).batch(0)), seen


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def unit(*shape: int, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


class TestNetworks:
    def test_parameter_counts_of_the_official_code(self) -> None:
        with torch.device("meta"):
            for preset in ("paper", "fastcut", "hneg"):
                model = CUT(Task(128, 100, 10, 0), build(CUTConfig, CUT.presets, preset, []))
                counts = {name: count(net) for name, net in model.networks.items()}
                assert counts == {"G": 11_378_179, "D": 2_764_737, "F": 560_384}
            santa = CUT(Task(128, 100, 10, 0), build(CUTConfig, CUT.presets, "santa", []))
        generator = santa.networks["G"]
        assert isinstance(generator, PathGenerator)
        assert list(santa.networks) == ["G", "D"] and count(santa.networks["D"]) == 2_764_737
        parts = (count(generator.encoder), count(generator.decoder), count(generator.domains))
        assert parts == (5_099_136, 6_328_579, 16) and count(generator) == 11_427_731

    def test_feature_shapes_of_an_image_of_128_pixels(self) -> None:
        with torch.device("meta"):
            generator = ResNetGenerator(3, 64, 9, antialias=True)
            features = generator.features(torch.empty(1, 3, 128, 128), TAPS)
        assert [tuple(f.shape[1:]) for f in features] == [
            (3, 134, 134),
            (128, 128, 128),
            (256, 64, 64),
            (256, 32, 32),
            (256, 32, 32),
        ]
        assert generator.feature_channels(TAPS) == [3, 128, 256, 256, 256]

    @pytest.mark.parametrize(("side", "map_side"), [(128, 14), (256, 30)])
    def test_map_of_the_discriminator(self, side: int, map_side: int) -> None:
        with torch.device("meta"):
            scores = PatchDiscriminator(3, 64, 3, antialias=True)(torch.empty(1, 3, side, side))
        assert scores.shape == (1, 1, map_side, map_side)

    def test_features_of_one_pass_are_those_of_the_encoder_and_of_the_layers_by_hand(self) -> None:
        generator = ResNetGenerator(3, 4, 3, antialias=True)
        x = torch.rand(2, 3, 16, 16)
        image, features = generator.image_and_features(x, (0, 4, 8, 13))
        assert torch.equal(image, generator(x))
        padded = F.pad(x, (3, 3, 3, 3), mode="reflect")
        first = generator.layers[0][0]
        hidden = F.relu(F.instance_norm(F.conv2d(padded, first.weight, first.bias)))
        second = generator.layers[1]
        fourth = F.conv2d(hidden, second.weight, second.bias, padding=1)
        assert torch.equal(features[0], padded) and torch.allclose(features[1], fourth, atol=1e-5)
        assert features[2].shape == (2, 16, 8, 8) and features[3].shape == (2, 16, 4, 4)
        again = generator.features(x, (0, 4, 8, 13))
        assert all(torch.equal(one, other) for one, other in zip(features, again))

    def test_weights_start_as_xavier_normal_of_gain_002_and_biases_at_0(self) -> None:
        linear = nn.Linear(300, 500)
        conv = nn.Conv2d(20, 30, 4)
        xavier_init(nn.Sequential(linear, conv))
        assert linear.weight.std().item() == pytest.approx(0.02 * math.sqrt(2 / 800), rel=0.02)
        assert conv.weight.std().item() == pytest.approx(0.02 * math.sqrt(2 / (16 * 50)), rel=0.03)
        assert not linear.bias.any() and not conv.bias.any()  # type: ignore[union-attr]

    @pytest.mark.parametrize("side", [7, 8])
    def test_blurs_keep_a_constant_and_halve_and_double_the_side(self, side: int) -> None:
        constant = torch.full((2, 3, side, side), 0.7)
        down, up = BlurDown()(constant), BlurUp()(constant)
        assert down.shape[-1] == math.ceil(side / 2) and up.shape[-1] == 2 * side
        assert torch.allclose(down, torch.tensor(0.7)) and torch.allclose(up, torch.tensor(0.7))

    def test_blurs_by_hand(self) -> None:
        """Down: (1, 2, 1) / 4 at even places with the reflected border. Up is bilinear interpolation."""
        row = torch.tensor([1.0, 2.0, 5.0, 3.0])
        wanted = torch.tensor([(2 + 2 * 1 + 2) / 4, (2 + 2 * 5 + 3) / 4])
        assert torch.allclose(BlurDown()(row.expand(1, 1, 4, 4))[0, 0, 0], wanted)
        x = torch.randn(2, 3, 5, 6)
        assert torch.allclose(BlurUp()(x), F.interpolate(x, scale_factor=2, mode="bilinear"), atol=1e-6)


class TestPatchNCE:
    def test_it_is_the_codes_cross_entropy_with_the_positive_in_its_own_column(self) -> None:
        query, key = unit(2, 5, 8), unit(2, 5, 8, seed=1)
        for q, k, found in zip(query, key, patch_nce(query, key, 0.07)):
            positive = (q * k).sum(1, keepdim=True)
            negative = (q @ k.T).masked_fill(torch.eye(5, dtype=torch.bool), -10)
            logits = torch.cat([positive, negative], dim=1) / 0.07
            assert found.item() == pytest.approx(F.cross_entropy(logits, torch.zeros(5, dtype=torch.long)).item())

    def test_equal_features_cost_the_logarithm_of_the_number_of_places(self) -> None:
        same = unit(1, 1, 8).expand(1, 7, 8)
        assert patch_nce(same, same, 0.07).item() == pytest.approx(math.log(7), rel=1e-5)

    def test_it_vanishes_with_the_temperature_when_the_query_is_the_key(self) -> None:
        key = unit(1, 6, 16)
        assert patch_nce(key, key, 0.01).item() < 1e-6

    def test_all_places_in_any_order_cost_the_same(self) -> None:
        query, key = unit(1, 9, 8), unit(1, 9, 8, seed=1)
        order = torch.randperm(9)
        assert torch.allclose(patch_nce(query, key, 0.07), patch_nce(query[:, order], key[:, order], 0.07))

    def test_positions_differ_and_are_all_of_them_where_there_are_few(self) -> None:
        maps = [torch.zeros(4, 3, 10, 10), torch.zeros(4, 5, 3, 3)]
        large, small = draw_positions(maps, 2, 20, torch.Generator().manual_seed(0))
        assert large.shape == (2, 20) and all(len(set(row.tolist())) == 20 for row in large)
        assert not torch.equal(large[0], large[1])
        assert [sorted(row.tolist()) for row in small] == [list(range(9))] * 2

    def test_sampled_features_are_those_of_the_positions(self) -> None:
        feature = torch.arange(4 * 2 * 6.0).view(4, 2, 2, 3)
        (found,) = sample([feature], [torch.tensor([[5, 0], [1, 2]])])
        assert found.shape == (4, 2, 2)
        assert torch.equal(found[1], feature[1].flatten(1)[:, [5, 0]].T)
        assert torch.equal(found[2], feature[2].flatten(1)[:, [1, 2]].T)

    def test_projections_are_perceptrons_of_length_1(self) -> None:
        torch.manual_seed(0)
        projection = PatchProjection([3], 8)
        nn.init.normal_(projection[0][0].weight)
        nn.init.normal_(projection[0][2].weight)
        x = torch.randn(2, 5, 3)
        first, second = projection[0][0], projection[0][2]
        hidden = F.relu(x @ first.weight.T + first.bias) @ second.weight.T + second.bias
        (found,) = projection([x])
        assert torch.allclose(found, hidden / hidden.norm(dim=2, keepdim=True), atol=1e-5)


class TestHneg:
    def test_weights_by_hand(self) -> None:
        key = unit(1, 6, 4)
        found = negative_weights(key, 0.5)
        similarity = key[0] @ key[0].T
        for i in range(6):
            others = [math.exp(similarity[i, j].item() / 0.5) if j != i else math.exp(-20) for j in range(6)]
            assert found[0, i].tolist() == pytest.approx([value / max(others) for value in others], rel=1e-4)

    def test_a_large_gamma_weighs_all_keys_alike(self) -> None:
        found = negative_weights(unit(1, 6, 4), 1e6)
        assert torch.allclose(found, torch.ones(1, 6, 6), atol=1e-4)
        assert (negative_weights(unit(1, 6, 4), 1.0).amax(2) == 1).all()

    def test_value_is_the_cross_entropy_and_gradient_has_no_positive_below(self) -> None:
        query, key = unit(2, 5, 8).requires_grad_(), unit(2, 5, 8, seed=1)
        weights = torch.rand(2, 5, 5)
        found = hdce(query, key, 0.07, weights)
        expected, decoupled = [], torch.zeros(())
        for q, k, w, n in zip(query, key, weights, range(2)):
            for i in range(5):
                positive = q[i] @ k[i] / 0.07
                terms = [w[i, j] * (q[i] @ k[j]) / 0.07 if i != j else torch.tensor(-10 / 0.07) for j in range(5)]
                negatives = torch.stack(terms).exp().sum()
                expected.append((n, (-(positive.exp() / (positive.exp() + negatives)).log()).item()))
                decoupled = decoupled + (negatives.log() - positive) / 5
        values = [sum(v for m, v in expected if m == n) / 5 for n in range(2)]
        assert found.tolist() == pytest.approx(values, rel=1e-4)
        (wanted,) = torch.autograd.grad(decoupled, query)
        (gradient,) = torch.autograd.grad(found.sum(), query)
        assert torch.allclose(gradient, wanted, atol=1e-4)

    def test_relations_of_equal_features_cost_nothing_and_different_ones_at_most_n_log_2(self) -> None:
        query, key = unit(1, 256, 8), unit(1, 256, 8, seed=1)
        assert relation_consistency(query, query).abs().item() < 1e-4
        assert 0 < relation_consistency(query, key).item() < 256 * math.log(2)
        assert torch.allclose(relation_consistency(query, key), relation_consistency(key, query))

    def test_relations_by_hand_and_scaled_to_256_positions(self) -> None:
        query, key = unit(1, 3, 4), unit(1, 3, 4, seed=1)
        p, r = ((x[0] @ x[0].T).softmax(1) for x in (query, key))
        middle = (p + r) / 2
        total = 0.5 * (p * (p / middle).log()).sum() + 0.5 * (r * (r / middle).log()).sum()
        assert relation_consistency(query, key).item() == pytest.approx(256 / 3 * total.item(), rel=1e-3)

    def test_gamma_falls_from_epoch_to_epoch(self) -> None:
        """50 -> 10 over 400 epochs: 49.9 in the first, 40 in the 100th, 30 in the 200th, 10 in the last."""
        model = make("budget_kimg=0.8", preset="hneg")  # 400 steps
        assert [model.gamma(step) for step in (0, 99, 199, 399)] == pytest.approx([49.9, 40, 30, 10])
        stepped = make("budget_kimg=0.8", "gamma_step_epoch=200", preset="hneg")
        assert [stepped.gamma(step) for step in (199, 200)] == pytest.approx([30, 1])


class TestSanta:
    def test_the_ends_of_the_line_use_the_two_codes(self) -> None:
        generator = PathGenerator(3, 4, 2, 8)
        hidden = torch.randn(2, 16, 4, 4)
        images = [generator.decode(hidden, torch.full((2,), place)) for place in (0.0, 1.0)]
        for row, image in enumerate(images):
            other = copy.deepcopy(generator)
            other.domains.weight.data[:] = generator.domains.weight.data[row]
            assert torch.allclose(other.decode(hidden, torch.tensor([0.3, 0.9])), image, atol=1e-6)

    def test_the_path_has_no_length_where_both_codes_are_equal(self) -> None:
        generator = PathGenerator(3, 4, 2, 8)
        generator.domains.weight.data[1] = generator.domains.weight.data[0]
        before, after = (
            generator.path_features(torch.ones(1, 16, 4, 4), torch.tensor([d]), (0, 4)) for d in (0.2, 0.4)
        )
        assert path_energy(before, after, torch.tensor([0.2])).item() == 0

    def test_energy_of_linear_features_is_their_squared_slope_above_the_floor(self) -> None:
        """Per image: slopes 3 and 5 give (9 + 25) / 2; the third interval, 0.05, is divided by 0.1."""

        def at(places: Tensor) -> Tensor:
            return (torch.tensor([3.0, 5.0]) * places)[:, None, None, None].expand(2, 2, 4, 4)

        low, high = torch.tensor([0.1, 0.2]), torch.tensor([0.25, 0.5])
        assert path_energy([at(low)], [at(high)], high - low).item() == pytest.approx((9 + 25) / 2)
        assert path_energy([at(low)], [at(low + 0.05)], torch.full((2,), 0.05)).item() == pytest.approx((9 + 25) / 8)

    def test_layers_of_the_path_are_numbered_as_in_the_code(self) -> None:
        """Blocks 0 to 4, blur 5, conv 6, norm 7, ReLU 8, blur 9, conv 10, norm 11, ReLU 12, pad, conv 14, tanh."""
        generator = PathGenerator(3, 4, 9, 8)
        assert len(generator.decoder) == 16
        features = generator.path_features(torch.ones(1, 16, 4, 4), torch.ones(1), (0, 3, 6, 10, 14))
        shapes = [tuple(f.shape[1:]) for f in features]
        assert shapes == [(16, 4, 4), (16, 4, 4), (8, 8, 8), (4, 16, 16), (3, 16, 16)]
        assert torch.equal(torch.tanh(features[-1]), generator.decode(torch.ones(1, 16, 4, 4), torch.ones(1)))

    def test_losses_of_one_iteration_by_hand(self, tiny_task: MakeTask) -> None:
        data, model = tiny_task(), make("content=path")
        batch = batches(model, data).batch(0)
        a, b, generator, d = batch["A"].image, batch["B"].image, model.networks["G"], model.networks["D"]
        assert isinstance(generator, PathGenerator)
        rng = torch.Generator().manual_seed(3)
        with torch.no_grad():
            hidden = generator.encode(torch.cat([a, b]))
            noisy_a, noisy_b = (hidden + torch.randn(hidden.shape, generator=rng)).chunk(2)
            middle, share = torch.rand(2, 2, generator=rng)
            zero, one = torch.zeros(2), torch.ones(2)
            fake = generator.decode(noisy_a, one)
            wanted = {
                "rec": (generator.decode(noisy_a, zero) - a).abs().mean(),
                "idt": (generator.decode(noisy_b, one) - b).abs().mean(),
                "kl": hidden.square().mean(),
                "D": 0.5 * ((d(b) - 1).square().mean() + d(fake).square().mean()),
            }
            half = 0.05 + 0.05 * share
            d1, d2 = (middle + half).clamp(0, 1), (middle - half).clamp(0, 1)
            energies = []
            for f, g in zip(*(generator.path_features(noisy_a, place, (0, 2, 6, 10)) for place in (d1, d2))):
                energies += [((f[i] - g[i]) / max(d1[i] - d2[i], 0.1)).square().mean() for i in range(2)]
            wanted["path"] = torch.stack(energies).mean()
        losses, seen = watched_step(model, data)
        assert set(losses) == {*wanted, "G"}
        for name, value in wanted.items():
            assert losses[name].item() == pytest.approx(value.item(), rel=1e-4), name
        e = {name: value.item() for name, value in losses.items()}
        total = e["G"] + 5 * e["rec"] + 5 * e["idt"] + 0.01 * e["kl"] + 0.01 * e["path"]
        assert [names for names, _ in seen] == ["D", ["G"]] and seen[1][1] == pytest.approx(total, rel=1e-5)

    def test_it_translates_without_noise_and_runs_without_the_path(self, tiny_task: MakeTask) -> None:
        model = make("content=path", "path_weight=0")
        assert "path" not in model.train_step(batches(model, tiny_task()).batch(0))
        x = torch.rand(2, 3, 16, 16)
        assert torch.equal(model.translate(x), model.translate(x))


def plain_nce(model: CUT, source: Tensor, made: Tensor, positions: list[Tensor], mirrored: bool = False) -> Tensor:
    """PatchNCE of one pair of image batches as the code computes it: every image and layer by itself."""
    generator, projection = model.networks["G"], model.networks["F"]
    assert isinstance(generator, ResNetGenerator) and isinstance(projection, PatchProjection)
    taps, layers = model.config.nce_layers, []
    for number, chosen in enumerate(positions):
        per_image = []
        for x, y in zip(source, made):
            query, key = generator.features(y[None], taps)[number], generator.features(x[None], taps)[number]
            query = query.flip(3) if mirrored else query
            vectors = [projection[number](f.flatten(2)[0].T[chosen]) for f in (query, key)]
            q, k = (v / (v.norm(dim=1, keepdim=True) + 1e-7) for v in vectors)
            per_image.append(F.cross_entropy(q @ k.T / 0.07, torch.arange(len(chosen))))
        layers.append(torch.stack(per_image).mean())
    return torch.stack(layers).mean()


def drawn(model: CUT, sets: int, rng: torch.Generator) -> list[list[Tensor]]:
    """The positions of each set, layer by layer, as the method draws them."""
    sides = [22, 16, 8, 4]
    found: list[list[Tensor]] = [[] for _ in range(sets)]
    for side in sides:
        for one in found:
            one.append(torch.randperm(side * side, generator=rng)[:12])
    return found


@pytest.mark.parametrize(("total", "factor"), [("mean", 0.5), ("sum", 1.0)])
def test_losses_of_one_iteration_of_cut_by_hand(tiny_task: MakeTask, total: str, factor: float) -> None:
    data, model = tiny_task(), make(f"nce_total={total}", "nce_weight=3")
    batch = batches(model, data).batch(0)
    a, b, g, d = batch["A"].image, batch["B"].image, model.networks["G"], model.networks["D"]
    for_a, for_b = drawn(model, 2, torch.Generator().manual_seed(3))
    with torch.no_grad():
        fake, same = g(a), g(b)
        nce, nce_y = plain_nce(model, a, fake, for_a).item(), plain_nce(model, b, same, for_b).item()
        on_d = 0.5 * ((d(b) - 1).square().mean() + d(fake).square().mean()).item()
    losses, seen = watched_step(model, data)
    assert set(losses) == {"NCE", "NCE_Y", "D", "G"}
    assert losses["NCE"].item() == pytest.approx(nce, rel=1e-4)
    assert losses["NCE_Y"].item() == pytest.approx(nce_y, rel=1e-4)
    assert [names for names, _ in seen] == ["D", ["G", "F"]]
    assert seen[0][1] == pytest.approx(on_d, rel=1e-4)
    assert seen[1][1] == pytest.approx(losses["G"].item() + 3 * factor * (nce + nce_y), rel=1e-4)


def test_the_generators_step_meets_the_discriminator_after_its_own_step(tiny_task: MakeTask) -> None:
    data, model = tiny_task(), make()
    before = copy.deepcopy(model.networks["G"])
    batch = batches(model, data).batch(0)
    losses = model.train_step(batch)
    with torch.no_grad():
        wanted = (model.networks["D"](before(batch["A"].image)) - 1).square().mean()
    assert losses["G"].item() == pytest.approx(wanted.item(), rel=1e-5)


@pytest.mark.parametrize("mirrored", [False, True])
def test_fastcut_mirrors_the_input_and_the_features_back(
    tiny_task: MakeTask, mirrored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, model = tiny_task(), make(preset="fastcut")
    monkeypatch.setattr(model, "_heads", lambda: mirrored)
    a = batches(model, data).batch(0)["A"].image
    (positions,) = drawn(model, 1, torch.Generator().manual_seed(3))
    with torch.no_grad():
        made = model.networks["G"](a.flip(3) if mirrored else a)
        nce = plain_nce(model, a, made, positions, mirrored).item()
    losses, seen = watched_step(model, data)
    assert set(losses) == {"NCE", "D", "G"}
    assert losses["NCE"].item() == pytest.approx(nce, rel=1e-4)
    assert seen[1][1] == pytest.approx(losses["G"].item() + 10 * nce, rel=1e-4)


def test_half_of_fastcuts_inputs_are_mirrored() -> None:
    model = make(preset="fastcut")
    heads = sum(model._heads() for _ in range(400))
    assert abs(heads - 200) < 4 * math.sqrt(400 / 4)


def test_one_iteration_of_hneg_by_hand(tiny_task: MakeTask) -> None:
    """One set of positions for both pairs; weights from each pair's keys; relations of the first pair alone."""
    data, model = tiny_task(), make(preset="hneg")
    batch = batches(model, data).batch(0)
    a, b, g = batch["A"].image, batch["B"].image, model.networks["G"]
    assert isinstance(g, ResNetGenerator)
    (positions,) = drawn(model, 1, torch.Generator().manual_seed(3))
    chosen = [one[None] for one in positions]
    with torch.no_grad():
        terms = {}
        for name, x in (("NCE", a), ("NCE_Y", b)):
            query, key = (model.networks["F"](sample(g.features(y, (0, 4, 8, 12)), chosen)) for y in (g(x), x))
            found = [hdce(q, k, 0.07, negative_weights(k, model.gamma(0))) for q, k in zip(query, key)]
            terms[name] = torch.stack(found).mean().item()
            src = torch.stack([relation_consistency(q, k) for q, k in zip(query, key)]).mean().item()
            terms.setdefault("SRC", src)
    losses, seen = watched_step(model, data)
    for name, value in terms.items():
        assert losses[name].item() == pytest.approx(value, rel=1e-3), name
    total = losses["G"].item() + 0.1 * (terms["NCE"] + terms["NCE_Y"]) / 2 + 0.05 * terms["SRC"]
    assert seen[1][1] == pytest.approx(total, rel=1e-4)


def test_gradients_reach_only_the_networks_of_their_step(tiny_task: MakeTask) -> None:
    data, model, seen = tiny_task(), make(), []
    plain = model.minimise

    def watch(names: Any, loss: Tensor) -> None:
        for net in model.networks.values():
            net.zero_grad(set_to_none=True)
        plain(names, loss)
        seen.append({key for key, net in model.networks.items() if any(p.grad is not None for p in net.parameters())})

    model.minimise = watch
    model.train_step(batches(model, data).batch(0))
    assert seen == [{"D"}, {"G", "F"}]


def test_keys_are_constants(monkeypatch: pytest.MonkeyPatch, tiny_task: MakeTask) -> None:
    seen = []

    def watch(query: Tensor, key: Tensor, temperature: float) -> Tensor:
        seen.append((query.requires_grad, key.requires_grad))
        return patch_nce(query, key, temperature)

    monkeypatch.setattr("bench.methods.cut.patch_nce", watch)
    model = make()
    model.train_step(batches(model, tiny_task()).batch(0))
    assert seen == [(True, False)] * 4


def test_the_generator_passes_over_the_source_once(tiny_task: MakeTask) -> None:
    """One pass of the whole generator, whose features serve as keys, and one of its encoder on the translations."""
    model, calls = make(), []
    generator = model.networks["G"]
    assert isinstance(generator, ResNetGenerator)
    for name in ("0", "5", "10"):  # the first conv, the second halving's conv, and a layer behind the last tap
        generator.layers.get_submodule(name).register_forward_hook(lambda *args, name=name: calls.append(name))
    model.train_step(batches(model, tiny_task()).batch(0))
    assert sorted(calls) == ["0", "0", "10", "5", "5"]


def test_the_presets_of_the_papers() -> None:
    paper = CUTConfig()
    assert (paper.batch_size, paper.lr, paper.nce_layers, paper.patches, paper.temperature) == (
        1,
        2e-4,
        TAPS,
        256,
        0.07,
    )
    assert (paper.nce_weight, paper.identity, paper.flip_equivariance) == (1, True, False)
    with torch.device("meta"):
        models = {name: CUT(Task(128, 100, 10, 0), CUTConfig(**CUT.presets[name])) for name in ("paper", "fastcut")}
    assert models["paper"].total_steps == 400 * 100 and models["fastcut"].total_steps == 200 * 100
    fast = models["fastcut"].config
    assert (fast.nce_weight, fast.identity, fast.flip_equivariance) == (10, False, True)
    for optimizer in models["paper"].optimizers.values():
        assert (optimizer.defaults["lr"], optimizer.defaults["betas"]) == (2e-4, (0.5, 0.999))
    hneg, santa = CUTConfig(**CUT.presets["hneg"]), CUTConfig(**CUT.presets["santa"])
    assert (hneg.nce_weight, hneg.src_weight, hneg.gamma, hneg.gamma_min) == (0.1, 0.05, 50, 10)
    assert (santa.rec_weight, santa.idt_weight, santa.kl_weight, santa.path_weight) == (5, 5, 0.01, 0.01)
    assert (santa.path_layers, santa.path_interval) == ((0, 3, 6, 10, 14), (0.05, 0.10))


def test_learning_rate_and_cropping_change_after_the_first_epochs(tiny_task: MakeTask) -> None:
    """200 + 200 epochs in 400 steps: constant, then linear, 2e-4 / 201 in the last; cropping ends where it falls."""
    model = make("budget_kimg=0.8")
    assert model.rate(0) == model.rate(199) == 1.0
    assert model.rate(200) == pytest.approx(1 - 1 / 201) and model.rate(399) == pytest.approx(1 / 201)
    for stream in model.streams(tiny_task()).values():
        assert stream.augmentation(199).load_size == round(286 / 256 * 16) and stream.augmentation(199).flip
        assert stream.augmentation(200).load_size is None and stream.augmentation(200).flip
    fast = make("budget_kimg=0.4", preset="fastcut")  # 200 steps of 150 + 50 epochs
    assert fast.rate(149) == 1.0 and fast.rate(150) == pytest.approx(1 - 1 / 51)


@pytest.mark.parametrize("promise", CHECKS, ids=lambda promise: promise.__name__)
@pytest.mark.parametrize(
    "settings",
    [{"content": "path"}, {"content": "hdce", "src_weight": 0.05}, {"flip_equivariance": True, "identity": False}],
    ids=["santa", "hneg", "fastcut"],
)
def test_the_other_presets_keep_the_promises_of_the_contract(
    promise: Any, settings: dict[str, Any], tmp_path: Path
) -> None:
    check(CUT, promise, tmp_path, settings)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("resolution=30", "choose a multiple of 4"),
        ("batch_size=0", "at least 1"),
        ("decay_epochs=-1", "at least 0"),
        ("nce_layers=0,2", "ascending ones of 0"),
        ("nce_layers=0,21", "4 to 20"),
        ("patches=1", "at least 2"),
        ("path_interval=0.2,0.1", "the smaller one first"),
    ],
)
def test_values_that_make_no_sense_are_one_line(setting: str, message: str) -> None:
    more = ["content=path"] if "path" in setting else []
    with pytest.raises((UserError, Unfit), match=message) as raised:
        build(CUTConfig, CUT.presets, "paper", [setting, *more])
    assert "\n" not in str(raised.value)


def test_santa_refuses_what_only_contrast_has() -> None:
    for setting in ("src_weight=1", "flip_equivariance=true", "antialias=false", "path_layers=16"):
        with pytest.raises(UserError, match="path"):
            build(CUTConfig, CUT.presets, "santa", [setting])
