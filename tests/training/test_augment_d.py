"""Augmentation in front of discriminators: each policy by hand, what passes through it, and ADA's probability."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import Batch, Task, UserError
from bench.methods.cyclegan import CycleGAN, CycleGANConfig
from bench.methods.funit import FUNIT, FUNITConfig
from bench.methods.jdbw import JDBWConfig
from bench.methods.nicegan import NICEGAN, NICEGANConfig
from bench.methods.stargan import StarGANConfig
from bench.training import policies as P
from bench.training.augment_d import (
    Adaptive,
    DiscriminatorAugmentation,
    DiscriminatorFields,
    ada,
    diffaugment,
    modules_that_judge,
)
from bench.training.config import as_json, build, from_json

SMALL = {"resolution": 16, "width": 4, "blocks": 1, "discriminator_layers": 2, "batch_size": 2}


def images(n: int = 2, channels: int = 3, side: int = 16, seed: int = 0) -> Tensor:
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def whole(*values: int) -> Tensor:
    return torch.tensor(values)


class TestDiffAugment:
    def test_colours_do_nothing_at_one_half(self) -> None:
        x, half = images(), torch.full((2,), 0.5)
        for change in (P.brightness, P.saturation, P.contrast):
            assert torch.allclose(change(x, half), x, atol=1e-6)

    def test_colours_by_hand(self) -> None:
        """One pixel (0.2, -0.4, 0.8) beside a black one, (-1, -1, -1)."""
        x = torch.tensor([[0.2, -1.0], [-0.4, -1.0], [0.8, -1.0]]).view(1, 3, 1, 2)
        assert P.brightness(x, torch.tensor([0.75]))[0, :, 0, 0].tolist() == pytest.approx([0.45, -0.15, 1.05])
        assert P.saturation(x, torch.tensor([0.75]))[0, :, 0, 0].tolist() == pytest.approx([0.2, -0.7, 1.1])
        mean = (0.2 - 0.4 + 0.8 - 3) / 6
        wanted = [(value - mean) * 1.25 + mean for value in (0.2, -0.4, 0.8)]
        assert P.contrast(x, torch.tensor([0.75]))[0, :, 0, 0].tolist() == pytest.approx(wanted)

    def test_translation_by_hand(self) -> None:
        """out(r, c) = in(r + 1, c - 2), grey outside; the second image stays."""
        x = images(2, side=5)
        moved = P.translate(x, whole(1, 0), whole(-2, 0))
        assert torch.equal(moved[0, :, :4, 2:], x[0, :, 1:, :3]) and torch.equal(moved[1], x[1])
        assert not moved[0, :, 4].any() and not moved[0, :, :, :2].any()

    @pytest.mark.parametrize(("centre", "zeros"), [(8, 64), (0, 16), (16, 16)])
    def test_cutout_shrinks_at_the_border(self, centre: int, zeros: int) -> None:
        cut = P.cut_out(torch.ones(1, 1, 16, 16), whole(centre), whole(centre), 8, 8)
        assert int((cut == 0).sum()) == zeros

    def test_cutout_by_hand(self) -> None:
        cut = P.cut_out(torch.ones(1, 1, 6, 6), whole(4), whole(1), 3, 3)
        assert (cut[0, 0] == 0).nonzero().tolist() == [[r, c] for r in (3, 4, 5) for c in (0, 1, 2)]

    @pytest.mark.parametrize("side", [8, 9])
    def test_draws_cover_their_ranges(self, monkeypatch: pytest.MonkeyPatch, side: int) -> None:
        """Shifts of an eighth, holes of half the side around 0 ... side, or side - 1 where the hole is odd."""
        seen: dict[str, tuple[set[int], int]] = {}
        monkeypatch.setattr(P, "translate", lambda x, r, c: (seen.update(shift=(set(r.tolist()), 0)), x)[1])
        monkeypatch.setattr(P, "cut_out", lambda x, r, c, h, w: (seen.update(hole=(set(r.tolist()), h)), x)[1])
        diffaugment([torch.zeros(400, 1, side, side)], ("translation", "cutout"), rng())
        assert seen["shift"][0] == {-1, 0, 1}
        hole = int(side / 2 + 0.5)
        assert seen["hole"] == (set(range(side + 1 if hole % 2 == 0 else side)), hole)

    def test_no_gradient_reaches_pixels_that_are_cut_or_moved_out(self) -> None:
        x = images(1, side=6).requires_grad_()
        P.cut_out(x, whole(3), whole(3), 2, 2).sum().backward()
        assert x.grad is not None and int((x.grad == 0).sum()) == 3 * 4
        x.grad = None
        P.translate(x, whole(2), whole(0)).sum().backward()
        assert x.grad is not None and not x.grad[:, :, :2].any() and (x.grad[:, :, 2:] == 1).all()

    def test_images_have_their_own_draws_and_a_seed_repeats_them(self) -> None:
        same = images(1).expand(2, -1, -1, -1)
        (first,) = diffaugment([same], ("color", "translation", "cutout"), rng())
        (again,) = diffaugment([same], ("color", "translation", "cutout"), rng())
        assert not torch.equal(first[0], first[1]) and torch.equal(first, again)


class TestAda:
    def test_nothing_changes_at_probability_0_and_no_number_is_drawn(self) -> None:
        x, generator = images(), rng()
        (found,) = ada([x], ("flip", "turn", "shift", "geom_simple", "color", "hue"), 0.0, generator)
        assert found is x and torch.equal(generator.get_state(), rng().get_state())

    def test_at_probability_1_half_of_the_images_are_mirrored(self) -> None:
        x = images(1, side=4).expand(1000, -1, -1, -1)
        (found,) = ada([x], ("flip",), 1.0, rng())
        mirrored = (found == x.flip(3)).all(3).all(2).all(1)
        assert ((found == x).all(3).all(2).all(1) | mirrored).all()
        assert abs(int(mirrored.sum()) - 500) < 4 * math.sqrt(1000 / 4)

    @pytest.mark.parametrize("p", [0.3, 0.8])
    def test_each_transform_fires_as_often_as_asked(self, p: float) -> None:
        x = images(1, side=6).expand(2000, -1, -1, -1)
        for name, identity in (("geom_simple", (1 - p) ** 3 * (1 - p)), ("hue", 1 - p), ("turn", 1 - p * 3 / 4)):
            (found,) = ada([x], (name,), p, rng())
            same = int((found - x).abs().amax((1, 2, 3)).lt(1e-6).sum())
            assert abs(same - 2000 * identity) < 4 * math.sqrt(2000 * identity * (1 - identity)), name

    def test_turns_and_shifts_by_hand(self) -> None:
        x = images(4, side=5)
        turned = P.turn(x, whole(0, 1, 2, 3))
        assert all(torch.equal(turned[k], torch.rot90(x[k], k, (1, 2))) for k in range(4))
        moved = P.shift(x, whole(0, 2, 0, 0), whole(0, 0, -1, 0))
        assert torch.equal(moved[0], x[0]) and torch.equal(moved[1], x[1][:, [2, 3, 4, 3, 2]])
        assert torch.equal(moved[2], x[2][:, :, [1, 0, 1, 2, 3]])

    def test_affine_is_exact_for_the_identity_quarter_turns_and_whole_shifts(self) -> None:
        x, one = images(1, side=8), torch.ones(1)
        assert torch.equal(P.affine(x, torch.eye(3)[None]), x)
        quarter = P.affine(x, P.rotation(one * math.pi / 2))
        assert torch.allclose(quarter, torch.rot90(x, 1, (2, 3)), atol=1e-5)
        assert torch.allclose(P.affine(x, P.shifting(2 * one, -one)), P.shift(x, whole(-1), whole(2)), atol=1e-6)

    def test_affine_is_bilinear_sampling_with_reflection(self) -> None:
        """Against torch's grid_sample, whose places run from -1 to 1 between the centres of the border pixels."""
        x, turn, stretch = images(3, side=9), torch.tensor([0.3, -1.0, 2.0]), torch.tensor([0.8, 1.3, 1.0])
        matrix = P.scaling(1 / stretch, stretch) @ P.rotation(turn) @ P.shifting(torch.tensor([1.0, 0, -2]), turn)
        rescaled = matrix[:, :2].clone()
        rescaled[:, :, 2] /= 4
        grid = F.affine_grid(rescaled, [3, 3, 9, 9], align_corners=True)
        wanted = F.grid_sample(x, grid, "bilinear", "reflection", align_corners=True)
        assert torch.allclose(P.affine(x, matrix), wanted, atol=1e-5)

    def test_everything_can_be_differentiated_twice(self) -> None:
        def double(x: Tensor) -> Tensor:
            inverse = P.rotation(torch.tensor([0.4], dtype=torch.float64))
            return P.affine(P.shift(x, whole(1), whole(0)), inverse) ** 2

        x = images(1, 1, 4).double().requires_grad_()
        assert torch.autograd.gradgradcheck(double, x)

    def test_colours_by_hand(self) -> None:
        x = torch.tensor([0.3, -0.5, 0.9]).view(1, 3, 1, 1)
        mean = 0.7 / 3

        def seen(matrix: Tensor) -> list[float]:
            return P.recolour(x, matrix).flatten().tolist()

        one = torch.ones(1)
        assert seen(P.colour_shifting(0.25 * one)) == pytest.approx([0.55, -0.25, 1.15])
        assert seen(P.colour_scaling(2 * one)) == pytest.approx([0.6, -1.0, 1.8])
        assert seen(P.luma_flip(one.bool())) == pytest.approx([v - 2 * mean for v in (0.3, -0.5, 0.9)])
        assert seen(P.hue_turn(2 * math.pi / 3 * one)) == pytest.approx([0.9, 0.3, -0.5], abs=1e-6)
        assert seen(P.colour_saturation(0 * one)) == pytest.approx([mean] * 3)
        assert seen(P.colour_saturation(3 * one)) == pytest.approx([mean + 3 * (v - mean) for v in (0.3, -0.5, 0.9)])
        identity = P.hue_turn(0 * one) @ P.luma_flip(~one.bool()) @ P.colour_saturation(one)
        assert torch.allclose(identity, torch.eye(4)[None], atol=1e-6)

    def test_grey_images_change_by_the_mean_of_the_colours(self) -> None:
        grey = torch.full((1, 1, 2, 2), 0.5)
        matrix = P.colour_scaling(torch.tensor([2.0])) @ P.colour_shifting(torch.tensor([0.1]))
        assert torch.allclose(P.recolour(grey, matrix), torch.tensor(1.2))

    @pytest.mark.parametrize("mode", ["diffaugment", "ada"])
    def test_a_pair_moves_together_and_colours_change_in_the_second_image_alone(self, mode: str) -> None:
        x = images(8, side=8)
        both = [x, x.clone()]
        if mode == "diffaugment":
            first, second = diffaugment(both, ("translation", "cutout"), rng())
            recoloured, other = diffaugment(both, ("color",), rng())
        else:
            first, second = ada(both, ("flip", "turn", "shift", "geom_simple"), 0.9, rng())
            recoloured, other = ada(both, ("color", "hue"), 0.9, rng())
        assert torch.equal(first, second) and not torch.equal(first, x)
        assert torch.equal(recoloured, x) and not torch.equal(other, x)


class TestProbability:
    def test_it_follows_the_share_of_real_images_that_are_told(self) -> None:
        """4 images, 4 iterations, 500,000 images from 0 to 1: mean signs of 0.9 twice, then of 0.3."""
        state, seen = Adaptive(), []
        for mean in (0.9, 0.9, 0.3, 0.3, 0.3):
            positive = round(10 * (1 + mean))
            state.add(torch.cat([torch.ones(positive), -torch.ones(20 - positive)]))
            state.adapt(0.6, 4 * 4 / 500_000, 0.8)
            seen.append(state.p)
        assert seen == pytest.approx([3.2e-5, 6.4e-5, 3.2e-5, 0, 0], abs=1e-12)

    def test_it_stays_where_the_mean_is_the_target_and_ends_at_its_bound(self) -> None:
        state = Adaptive()
        state.add(torch.tensor([1.0, 1, 1, -1]))
        state.adapt(0.5, 0.1, 0.8)
        assert state.p == 0
        for _ in range(20):
            state.add(torch.ones(1))
            state.adapt(0.5, 0.1, 0.8)
        assert state.p == 0.8

    def test_all_scores_between_two_changes_count_alike(self) -> None:
        """Maps of scores, several passes: 9 + 1 scores, of which 8 are above the boundary of 0.5."""
        found = augmented(nn.Conv2d(3, 1, 1), "ada", boundary=0.5, ada_interval=2, ada_target=0.59, ada_kimg=1.0)
        found.saw_real("D", torch.tensor([1.0] * 8 + [0.2]).view(1, 1, 3, 3))
        assert found.finish_step()["augment_d/D"] == 0
        found.saw_real("D", torch.tensor([[0.4]]))
        assert found.finish_step()["augment_d/D"].item() == pytest.approx(2 * 4 / 1000)

    def test_it_stays_where_no_real_image_was_judged(self) -> None:
        found = augmented(nn.Conv2d(3, 1, 1), "ada", ada_interval=1)
        found.adaptive["D"].p = 0.3
        assert found.finish_step()["augment_d/D"].item() == pytest.approx(0.3)

    def test_it_is_a_fifth_of_the_training_but_at_least_20_kimg(self) -> None:
        for budget, kimg in ((1_000_000, 200), (10_000, 20)):
            found = augmented(nn.Conv2d(3, 1, 1), "ada", budget=budget)
            assert found.change == pytest.approx(4 * 4 / (1000 * kimg))


def augmented(
    network: nn.Module, mode: str, boundary: float = 0.0, budget: int = 1000, **more: object
) -> DiscriminatorAugmentation:
    class Fields(DiscriminatorFields):
        @property
        def boundary(self) -> float:
            return boundary

    config = Fields(augment_d=mode, **more)  # type: ignore[arg-type]
    generator = rng()
    return DiscriminatorAugmentation(config, {"D": network}, lambda: generator, 4, budget)


class TestInFrontOfADiscriminator:
    def test_a_penalty_is_taken_at_the_image_before_the_augmentation(self) -> None:
        """D(x) = sum x, so the gradient at the image is 1, and 0 where it is cut; half of the pixels count twice."""
        network = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.ones_(network.weight)
        augmented(network, "diffaugment", augment_policy=("cutout",))
        x = torch.ones(1, 1, 8, 8, requires_grad=True)
        out = network(x)
        (gradient,) = torch.autograd.grad(out.sum(), x, create_graph=True)
        assert torch.equal(gradient, out.detach()) and (gradient == 0).any() and (gradient == 1).any()
        gradient.square().sum().backward()  # R1 reaches the weights through the augmentation
        assert network.weight.grad is not None
        assert network.weight.grad.item() == pytest.approx(2 * int((gradient == 1).sum()))

    def test_it_rests_in_eval_mode_and_where_it_is_switched_off(self) -> None:
        network = nn.Sequential(nn.Identity())
        found = augmented(network, "diffaugment")
        x = images()
        assert not torch.equal(network(x), x) and not torch.equal(network(x), network(x))
        with found.off():
            assert torch.equal(network(x), x)
        assert torch.equal(network.eval()(x), x)

    def test_labels_and_codes_pass_by(self) -> None:
        class Judge(nn.Module):
            def forward(self, x: Tensor, label: Tensor, code: Tensor) -> tuple[Tensor, Tensor, Tensor]:
                return x, label, code

        network = Judge()
        augmented(network, "diffaugment")
        x, label, code = images(), torch.tensor([1, 2]), torch.rand(2, 8)
        found = network(x, label, code)
        assert not torch.equal(found[0], x) and found[1] is label and found[2] is code

    def test_modules_are_named_by_network_pattern_and_path(self) -> None:
        networks = {"C_0": nn.Identity(), "C_1": nn.Identity(), "D": nn.ModuleDict({"trunk": nn.Identity()})}
        found = modules_that_judge(networks, ("C_*", "D.trunk"))
        assert list(found) == ["C_0", "C_1", "D.trunk"] and found["D.trunk"] is networks["D"].trunk

    @pytest.mark.parametrize("mode", ["diffaugment", "ada"])
    def test_cycle_and_identity_terms_stay_and_adversarial_ones_change(self, mode: str) -> None:
        plain, other = (cyclegan(augment_d=value) for value in ("none", mode))
        assert plain.augmentation is None and other.augmentation is not None
        for state in other.augmentation.adaptive.values():
            state.p = 0.8
        batch = {name: Batch(images(seed=i), whole(0, 0), whole(0, 1)) for i, name in enumerate("AB")}
        before, after = plain.iterate(batch), other.iterate(batch)
        for name in ("cycle_A", "cycle_B", "idt_A", "idt_B"):
            assert torch.equal(before[name], after[name])
        for name in ("G_A", "G_B", "D_A", "D_B"):
            assert not torch.equal(before[name], after[name])
        shown = {name for name in after if name not in before}
        assert shown == ({"augment_d/D_A", "augment_d/D_B"} if mode == "ada" else set())

    def test_the_pool_keeps_images_as_they_were(self) -> None:
        model = cyclegan(augment_d="diffaugment")
        a = images(seed=0)
        with torch.no_grad():
            fake = model.networks["G_A"](a)
        model.iterate({"A": Batch(a, whole(0, 0), whole(0, 1)), "B": Batch(images(seed=1), whole(0, 0), whole(0, 1))})
        assert torch.equal(torch.stack(model.memory["pool_A"].state_dict()["images"]), fake)

    def test_matched_features_are_those_of_images_as_they_are(self) -> None:
        found = []
        for mode in ("none", "diffaugment"):
            torch.manual_seed(0)
            config = FUNITConfig(**{**FUNIT.presets["smoke"], "augment_d": mode, "classes": "domain"})
            model = FUNIT(Task(32, 20, 6, 3), config)
            model.augment_discriminators()
            _, parts = model.generator_loss(images(4, side=32), images(4, side=32, seed=1), whole(0, 1, 0, 1))
            found.append(parts)
        assert torch.equal(found[0]["g_feat"], found[1]["g_feat"])
        assert not torch.equal(found[0]["g_adv"], found[1]["g_adv"])

    def test_a_discriminator_that_is_an_encoder_too_encodes_images_as_they_are(self) -> None:
        torch.manual_seed(0)
        model = NICEGAN(Task(32, 20, 6, 3), NICEGANConfig(**{**NICEGAN.presets["smoke"], "augment_d": "diffaugment"}))
        model.augment_discriminators()
        x = images(side=32)
        (judged, code), (again, same) = model.judge_and_encode("B", x), model.judge_and_encode("B", x)
        assert torch.allclose(code, same, atol=1e-4) and not torch.allclose(judged[0], again[0], atol=1e-4)


def cyclegan(**more: object) -> CycleGAN:
    torch.manual_seed(0)
    model = CycleGAN(Task(16, 20, 6, 3), CycleGANConfig(**{**SMALL, **more}))
    model.rng.manual_seed(0)
    model.augment_discriminators()
    return model


class TestSettings:
    def test_they_are_read_from_the_command_line(self) -> None:
        settings = ["augment_d=ada", "ada_pipe=flip,turn", "ada_kimg=30", "augment_policy=cutout"]
        config = build(CycleGANConfig, CycleGAN.presets, "cpu", settings)
        assert (config.augment_d, config.ada_pipe, config.ada_kimg) == ("ada", ("flip", "turn"), 30)
        assert from_json(CycleGANConfig, as_json(config)) == config

    def test_a_run_without_augmentation_is_recorded_as_before_there_was_one(self) -> None:
        values = as_json(CycleGANConfig(ada_target=0.5))
        assert not {"augment_d", "ada_target", "ada_pipe", "boundary", "unread"} & set(values)
        assert from_json(CycleGANConfig, values).augment_d == "none"

    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ("augment_d=adaptive", "choose one of none, diffaugment, ada"),
            ("augment_policy=colour", "each one of color, translation, cutout"),
            ("ada_max=0", "above 0 and at most 1"),
            ("ada_kimg=0", "a number above 0, or none"),
        ],
    )
    def test_values_that_make_no_sense_are_one_line(self, setting: str, message: str) -> None:
        with pytest.raises(UserError, match=message) as raised:
            build(CycleGANConfig, CycleGAN.presets, "cpu", [setting])
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize("config", [StarGANConfig, JDBWConfig])
    def test_critics_without_a_boundary_refuse_ada(self, config: Callable[..., object]) -> None:
        with pytest.raises(UserError, match="choose augment_d=diffaugment"):
            config(augment_d="ada")


@pytest.mark.parametrize("mirror", [True, False])
def test_ada_mirrors_only_where_the_data_set_allows_it(mirror: bool) -> None:
    task = Task(16, 20, 6, 0, mirror=mirror)
    config = build(CycleGANConfig, CycleGAN.presets, "smoke", ["resolution=16", "augment_d=ada", "ada_pipe=flip"])
    method = CycleGAN(task, config)
    method.augment_discriminators()
    assert method.augmentation is not None
    method.augmentation.adaptive["D_A"].p = 1.0
    ramp = torch.linspace(-1, 1, 16).expand(64, 3, 16, 16)
    (found,) = method.augmentation.augment([ramp], "D_A")
    assert (found[:, 0, 0, 0] > 0).any() == mirror
