"""UNSB against the counts and formulas of its public code, and hand calculations."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import UserError
from bench.data.task import TaskData
from bench.methods.nn.patch_nce import PatchProjection
from bench.methods.unsb import UNSB, UNSBConfig, bridge_mix, bridge_times
from bench.methods.unsb.networks import BridgeGenerator, TimedPatchDiscriminator
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Batch, Sampler

MakeTask = Callable[..., TaskData]
CPU = Compute.choose("cpu")


def make(*settings: str, preset: str = "smoke") -> UNSB:
    config = build(UNSBConfig, UNSB.presets, preset, settings)
    torch.manual_seed(0)
    model = UNSB(Task(resolution=config.resolution, n_source=20, n_target=6, n_labels=0), config)
    model.rng.manual_seed(0)
    return model


def awake(generator: BridgeGenerator) -> BridgeGenerator:
    """With weights as after some training, so that time and code are heard."""
    for p in generator.parameters():
        nn.init.normal_(p, 0.0, 0.3)
    return generator


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


class Constant(nn.Module):
    """A discriminator whose scores are all equal."""

    def __init__(self, score: float, side: int = 3) -> None:
        super().__init__()
        self.score, self.side = score, side

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return torch.full((len(x), 1, self.side, self.side), self.score)


class TestNetworks:
    def test_parameter_counts_of_the_public_code(self) -> None:
        with torch.device("meta"):
            model = make(preset="paper")
        assert {name: count(network) for name, network in model.networks.items()} == {
            "G": 14_684_419,
            "F": 560_384,
            "D": 3_143_041,
            "E": 3_152_257,
        }

    def test_parameter_counts_of_the_parts(self) -> None:
        with torch.device("meta"):
            g = make(preset="paper").generator
        parts = {"encoder": g.encoder, "block": g.blocks[0], "decoder": g.decoder, "code": g.code, "time": g.time}
        assert {name: count(part) for name, part in parts.items()} == {
            "encoder": 378_496,
            "block": 1_509_120,
            "decoder": 378_243,
            "code": 263_168,
            "time": 82_432,
        }

    @pytest.mark.parametrize(("side", "map_side"), [(64, 6), (128, 14), (256, 30)])
    def test_sides_of_the_discriminators_map(self, side: int, map_side: int) -> None:
        with torch.device("meta"):
            net = TimedPatchDiscriminator(3, 64, 3)
            assert net(torch.empty(2, 3, side, side), torch.zeros(2)).shape == (2, 1, map_side, map_side)

    def test_features_have_the_sides_and_channels_of_cuts_layers(self) -> None:
        with torch.device("meta"):
            g = make(preset="paper").generator
            taps = (0, 4, 8, 12, 16)
            found = g.features(torch.empty(1, 3, 64, 64), torch.zeros(1), torch.empty(1, 256), taps)
        assert [tuple(f.shape[1:]) for f in found] == [
            (3, 70, 70), (128, 64, 64), (256, 32, 32), (256, 16, 16), (256, 16, 16)
        ]  # fmt: skip
        assert g.feature_channels(taps) == [3, 128, 256, 256, 256]

    @pytest.mark.parametrize(("variant", "expected"), [("code", 58), ("intended", 18)])
    def test_how_many_tensors_never_get_a_gradient(self, variant: str, expected: int) -> None:
        model = make("blocks=9", f"block={variant}", "style_bias_one=true")
        g = awake(model.generator)
        g(torch.rand(2, 3, 32, 32), torch.tensor([0, 1]), torch.randn(2, g.n_code)).square().sum().backward()
        assert sum(p.grad is None for p in g.parameters()) == expected

    def test_half_of_the_codes_parameters_are_never_trained(self) -> None:
        with torch.device("meta"):
            g = make(preset="paper").generator
        unused = [g.time, *(part for block in g.blocks for part in (block.first, block.time, block.unused_style))]
        assert sum(count(part) for part in unused) == 7_169_536

    @pytest.mark.parametrize(("variant", "hears"), [("code", False), ("intended", True)])
    def test_whether_the_generator_knows_the_time(self, variant: str, hears: bool) -> None:
        g = awake(make(f"block={variant}").generator)
        x, code = torch.rand(1, 3, 32, 32), torch.randn(1, g.n_code)
        early, late = (g(x, torch.tensor([t]), code) for t in (0, 4))
        assert torch.equal(early, late) != hears

    def test_the_discriminator_knows_the_time_by_its_first_conv_alone(self) -> None:
        net = TimedPatchDiscriminator(3, 4, 2)
        for p in net.parameters():
            nn.init.normal_(p, 0.0, 0.3)
        x = torch.rand(1, 3, 32, 32)
        assert not torch.allclose(net(x, torch.tensor([0])), net(x, torch.tensor([4])), atol=1e-4)
        for p in net.convs[0].time.parameters():
            nn.init.zeros_(p)
        assert torch.allclose(net(x, torch.tensor([0])), net(x, torch.tensor([4])), atol=1e-4)

    def test_the_length_of_a_code_means_nothing(self) -> None:
        g = awake(make().generator)
        x, t, code = torch.rand(1, 3, 32, 32), torch.tensor([0]), torch.randn(1, g.n_code)
        assert torch.allclose(g(x, t, code), g(x, t, 3 * code), atol=1e-5)
        assert not torch.allclose(g(x, t, code), g(x, t, code.flip(1)), atol=1e-4)

    def test_blocks_start_as_the_identity_unless_the_scale_starts_at_one(self) -> None:
        for setting, start in (("false", 0.0), ("true", 1.0)):
            g = make(f"style_bias_one={setting}", "width=8").generator
            scale, shift = g.blocks[0].style.bias.chunk(2)
            assert (scale == start).all() and (shift == 0).all()

    def test_a_block_by_hand(self) -> None:
        block = make().generator.blocks[0]
        for p in block.parameters():
            nn.init.normal_(p, 0.0, 0.3)
        x, time, code = torch.randn(1, 16, 8, 8), torch.randn(1, 16), torch.randn(1, 16)
        norm = nn.InstanceNorm2d(16)
        scale, shift = block.style(code)[0, :16, None, None], block.style(code)[0, 16:, None, None]
        expected = x + norm(block.second(torch.relu(scale * norm(x) + shift)))
        assert torch.allclose(block(x, time, code), expected, atol=1e-4)


class TestBridge:
    def test_times_of_five_steps(self) -> None:
        assert bridge_times(5) == pytest.approx([0, 0.5, 0.74, 0.86, 0.94, 1.0])

    def test_shares_and_variances_of_five_steps(self) -> None:
        found = [bridge_mix(bridge_times(5), step) for step in range(1, 5)]
        expected = [(0.5, 0.25), (0.48, 0.1248), (0.4615, 0.0646), (0.5714, 0.0343)]
        assert [pytest.approx(pair, abs=5e-5) for pair in expected] == found

    def test_the_last_point_is_the_guess(self) -> None:
        assert bridge_mix(bridge_times(5), 5) == pytest.approx((1.0, 0.0))

    def test_without_noise_a_generator_that_changes_nothing_stays_at_the_source(self) -> None:
        model = make("tau=0")
        x, rng = torch.rand(1, 3, 32, 32), torch.Generator()
        for step in (1, 2):
            assert torch.allclose(model.advance(x, x, step, rng), x, atol=1e-6)

    def test_a_move_by_hand(self) -> None:
        model = make("steps=5", "tau=0.04")
        x, guess = torch.full((1, 3, 2, 2), 0.5), torch.full((1, 3, 2, 2), -0.5)
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(5))
        found = model.advance(x, guess, 2, torch.Generator().manual_seed(5))
        assert torch.allclose(found, 0.52 * x + 0.48 * guess + math.sqrt(0.04 * 0.1248) * noise, atol=1e-6)


class TestLosses:
    def test_energy_of_nothing_is_the_logarithm_of_how_many_scores_there_are(self) -> None:
        """With E = 0 on N scores: log N + (log N)^2 for E, and share tau log N for G."""
        model = make("steps=5", "tau=0.01")
        model.networks["E"] = Constant(0.0)
        x = torch.rand(2, 3, 32, 32)
        joint, apart = model.energies(x, x, x, x, torch.tensor([1, 1]))
        assert (joint.item(), apart.item()) == (0.0, pytest.approx(math.log(18)))
        assert model.bridge_loss(x, x, x, x, 1).item() == pytest.approx(0.8 * 0.01 * math.log(18))

    def test_transport_is_tau_times_the_mean_square_of_the_move(self) -> None:
        model = make("steps=5", "tau=0.01")
        model.networks["E"] = Constant(0.0, side=1)
        x = torch.zeros(1, 3, 32, 32)
        assert model.bridge_loss(x, x + 0.5, x, x, 0).item() == pytest.approx(0.01 * 0.25)

    def test_energies_are_those_of_a_bridge_with_itself_and_with_the_other(self) -> None:
        model = make()
        x, y, x2, y2 = (torch.rand(2, 3, 32, 32) for _ in range(4))
        t = torch.tensor([1, 1])
        net = model.networks["E"]
        joint, apart = model.energies(x, y, x2, y2, t)
        assert joint.item() == pytest.approx(net(torch.cat([x, y, x, y], 1), t).mean().item(), abs=1e-6)
        expected = net(torch.cat([x, y, x2, y2], 1), t).exp().sum().log()
        assert apart.item() == pytest.approx(expected.item(), rel=1e-5)

    def test_discriminator_loss_by_hand(self) -> None:
        model = make()
        model.networks["D"] = Constant(0.25)
        x = torch.rand(2, 3, 32, 32)
        loss = model.discriminator_loss(x, x, torch.tensor([0, 0]))
        assert loss.item() == pytest.approx(0.5 * (0.75**2 + 0.25**2))

    def test_patch_nce_by_hand_encodes_clean_sources_and_guesses_with_the_same_codes(self) -> None:
        """Each pair of images by itself, with softmax written out."""
        model = make("patches=2000")  # every place of every map
        awake(model.generator)
        a, y, b, yb = (torch.rand(2, 3, 32, 32) * 2 - 1 for _ in range(4))
        model.rng.manual_seed(4)
        total, losses = model._content(a, y, b, yb)
        code = torch.randn(4, model.generator.n_code, generator=torch.Generator().manual_seed(4))
        taps, head, zero = model.config.nce_layers, model.networks["F"], torch.tensor([0])
        expected = []
        for i, (source, guess) in enumerate(zip([*a, *b], [*y, *yb])):
            q, k = (model.generator.features(im[None], zero, code[i : i + 1], taps) for im in (guess, source))
            per_layer = []
            for layer in range(len(taps)):
                u, v = (head[layer](f[layer][0].flatten(1).T) for f in (q, k))
                u, v = (m / (m.norm(dim=1, keepdim=True) + 1e-7) for m in (u, v))
                share = torch.softmax(u @ v.T / 0.07, 1).diagonal()
                per_layer.append(-share.log().mean())
            expected.append(torch.stack(per_layer).mean().item())
        assert losses["NCE"].item() == pytest.approx((expected[0] + expected[1]) / 2, rel=1e-4)
        assert losses["NCE_Y"].item() == pytest.approx((expected[2] + expected[3]) / 2, rel=1e-4)
        assert total.item() == pytest.approx(sum(expected) / 4, rel=1e-4)

    def test_without_identity_there_is_one_patch_nce_term_of_full_weight(self) -> None:
        model = make("identity=false", "nce_weight=3")
        images = [torch.rand(1, 3, 32, 32) for _ in range(4)]
        total, losses = model._content(*images)
        assert set(losses) == {"NCE"}
        assert total.item() == pytest.approx(3 * losses["NCE"].item())


class TestIteration:
    def batch(self, model: UNSB, make_task: MakeTask) -> dict[str, Batch]:
        data = make_task(resolution=32)
        return Sampler(model.streams(data), data, 0, CPU).batch(0)

    def test_the_order_is_d_then_e_then_g_and_f_with_the_new_networks(self, tiny_task: MakeTask) -> None:
        model = make()
        batch = self.batch(model, tiny_task)
        order, plain = [], model.minimise

        def watch(names: str | list[str], loss: Tensor) -> None:
            for network in model.networks.values():
                network.zero_grad(set_to_none=True)
            plain(names, loss)
            touched = {key for key, n in model.networks.items() if any(p.grad is not None for p in n.parameters())}
            order.append((names, touched, loss.item()))

        model.minimise = watch
        losses = {name: value.item() for name, value in model.train_step(batch).items()}
        assert [names for names, _, _ in order] == ["D", "E", ["G", "F"]]
        assert [touched for _, touched, _ in order] == [{"D"}, {"E"}, {"G", "F"}]
        total = losses["G"] + losses["SB"] + (losses["NCE"] + losses["NCE_Y"]) / 2
        assert order[2][2] == pytest.approx(total, rel=1e-5)
        assert set(losses) == {"D", "E", "G", "SB", "NCE", "NCE_Y"}

    def test_patch_nce_compares_with_the_clean_sources_and_targets(self, tiny_task: MakeTask) -> None:
        model = make("steps=5")
        batch = self.batch(model, tiny_task)
        seen, plain = [], model._content

        def watch(a: Tensor, y: Tensor, b: Tensor, yb: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            seen.append((a, b))
            return plain(a, y, b, yb)

        model._content = watch
        for _ in range(6):  # several steps of the bridge
            model.train_step(batch)
        assert all(torch.equal(a, batch["A"].image) and torch.equal(b, batch["B"].image) for a, b in seen)

    def test_how_often_the_generator_is_called(self, tiny_task: MakeTask) -> None:
        """To step n: n calls without gradient on three images each, then two calls on three images in all."""
        model = make("steps=5", "batch_size=1")
        batch = self.batch(model, tiny_task)
        calls: list[tuple[int, bool]] = []
        model.generator.decoder.register_forward_pre_hook(
            lambda _m, inputs: calls.append((len(inputs[0]), torch.is_grad_enabled()))
        )
        steps = set()
        for _ in range(12):
            calls.clear()
            model.train_step(batch)
            walked = [n for n, graph in calls if not graph]
            assert walked == [3] * len(walked) and len(walked) < 5
            assert [n for n, graph in calls if graph] == [2, 1]
            steps.add(len(walked))
        assert len(steps) > 2

    def test_both_streams_of_sources_have_orders_of_their_own(self, tiny_task: MakeTask) -> None:
        model, data = make(), tiny_task(resolution=32)
        sampler = Sampler(model.streams(data), data, 0, CPU)
        drawn = [sampler.batch(step) for step in range(5)]
        assert any(not torch.equal(batch["A"].index, batch["A2"].index) for batch in drawn)

    def test_an_iteration_counts_both_batches_of_sources(self) -> None:
        model = make("batch_size=3", "budget_kimg=0.06")
        assert (model.images_per_step, model.total_steps) == (6, 10)
        with torch.device("meta"):
            assert make(preset="paper").total_steps == 400 * 20


class TestTranslation:
    def test_every_call_gives_an_image_and_fewer_calls_give_the_first_of_them(self) -> None:
        x = torch.rand(2, 3, 32, 32)
        model, short = make("steps=5"), make("steps=5", "calls=2")
        guesses = model.translate_steps(x, rng=torch.Generator().manual_seed(1))
        assert len(guesses) == 5 and torch.equal(guesses[-1], model.translate(x, rng=torch.Generator().manual_seed(1)))
        assert torch.equal(guesses[1], short.translate(x, rng=torch.Generator().manual_seed(1)))

    def test_the_first_guess_is_that_of_the_source_itself(self) -> None:
        model = make()
        awake(model.generator)
        x = torch.rand(1, 3, 32, 32)
        (first, *_) = model.translate_steps(x, rng=torch.Generator().manual_seed(2))
        code = torch.randn(1, model.generator.n_code, generator=torch.Generator().manual_seed(2))
        assert torch.equal(first, model.generator(x, torch.tensor([0]), code))


def test_the_paper_preset_is_the_public_command() -> None:
    c = UNSBConfig()
    assert (c.batch_size, c.steps, c.tau, c.sb_weight, c.nce_weight, c.identity) == (1, 5, 0.01, 1.0, 1.0, True)
    assert (c.epochs, c.decay_epochs, c.lr, c.beta1, c.block) == (200, 200, 2e-4, 0.5, "code")
    assert isinstance(make().networks["F"], PatchProjection)


@pytest.mark.parametrize("setting", ["steps=1", "calls=4", "calls=0", "tau=-1", "patches=1", "nce_layers=0,3"])
def test_values_that_make_no_sense_are_one_line(setting: str) -> None:
    with pytest.raises(UserError):
        make(setting)
