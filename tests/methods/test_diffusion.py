"""The diffusion U-Net, the schedules and steps, DDIB and SDEdit, against published counts and closed forms."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import UserError
from bench.data.task import TaskData
from bench.methods.ddib import DDIB
from bench.methods.nn.diffusion import DiffusionConfig, DiffusionMethod, denoising_loss, grid, move, noised, signal
from bench.methods.nn.diffusion_unet import Attention, DiffusionUNet, Downsample, ResidualBlock
from bench.methods.nn.time_embedding import time_embedding
from bench.methods.sdedit import SDEdit
from bench.training.compute import Compute
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Sampler

MakeTask = Callable[..., TaskData]
CPU = Compute.choose("cpu")
A = signal("linear", 1000)


def make(cls: type[DiffusionMethod], *settings: str) -> DiffusionMethod:
    config = build(cls.Config, cls.presets, "smoke", settings)
    torch.manual_seed(0)
    return cls(Task(resolution=32, n_source=20, n_target=6, n_labels=0), config)


class Gaussian(nn.Module):
    """The perfect denoiser of images whose values are normal with this mean and deviation, each by itself."""

    def __init__(self, mean: float, std: float) -> None:
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, x: Tensor, t: Tensor, rng: torch.Generator | None = None) -> Tensor:
        a = A[t].reshape(-1, 1, 1, 1)
        return (1 - a).sqrt() * (x - a.sqrt() * self.mean) / (a * self.std**2 + 1 - a)


class Zero(nn.Module):
    def forward(self, x: Tensor, t: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return torch.zeros_like(x)


class TestNetwork:
    def test_parameter_counts_of_ddpm(self) -> None:
        """35.7 million for CIFAR-10 and 114 million for CelebA-HQ (appendix B); to the last one as public weights."""
        with torch.device("meta"):
            for cls in (DDIB, SDEdit):
                for preset, side, expected in (("paper32", 32, 35_746_307), ("paper", 256, 113_673_219)):
                    model = cls(Task(side, 20, 6, 0), build(cls.Config, cls.presets, preset, []))
                    counts = [sum(p.numel() for p in network.parameters()) for network in model.networks.values()]
                    assert counts == [expected] * len(cls.domains)

    def test_it_guesses_no_noise_at_the_start(self) -> None:
        net = DiffusionUNet(3, 16, 8, (1, 2), 1, (8,), 0.0)
        assert net(torch.randn(2, 3, 16, 16), torch.tensor([0, 5])).abs().max() == 0

    def test_time_embedding_by_hand(self) -> None:
        """Width 4: frequencies 1 and 1/10,000."""
        found = time_embedding(torch.tensor([3]), 4)[0]
        expected = [math.sin(3), math.sin(3e-4), math.cos(3), math.cos(3e-4)]
        assert found.tolist() == pytest.approx(expected, abs=1e-6)

    def test_a_residual_block_hears_the_time_and_drops_values_only_with_a_generator(self) -> None:
        block = ResidualBlock(4, 4, 8, 0.5)
        nn.init.normal_(block.conv2.weight)
        x, time = torch.randn(1, 4, 4, 4), torch.randn(1, 8)
        assert not torch.equal(block(x, time, None), block(x, 2 * time, None))
        assert torch.equal(block(x, time, None), block(x, time, None))
        seeded = [block(x, time, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
        assert torch.equal(seeded[0], seeded[1]) and not torch.equal(seeded[0], seeded[2])

    def test_attention_by_hand(self) -> None:
        layer = Attention(4)
        nn.init.normal_(layer.out.weight)
        x = torch.randn(1, 4, 2, 2)
        rows = layer.norm(x).flatten(2)[0].T @ layer.qkv.weight[:, :, 0, 0].T + layer.qkv.bias
        q, k, v = rows.split(4, dim=1)
        mixed = (q @ k.T / 2).softmax(1) @ v  # 2 is the root of the four channels
        expected = x[0].flatten(1) + (mixed @ layer.out.weight[:, :, 0, 0].T).T
        assert torch.allclose(layer(x)[0].flatten(1), expected, atol=1e-5)

    def test_halving_pads_below_and_to_the_right(self) -> None:
        layer = Downsample(1)
        nn.init.ones_(layer.weight)
        nn.init.zeros_(layer.bias)
        assert layer(torch.ones(1, 1, 4, 4))[0, 0].tolist() == [[9, 6], [6, 4]]


class TestSchedules:
    def test_linear_is_that_of_ddpm(self) -> None:
        assert A[0].item() == pytest.approx(1 - 1e-4)
        assert A[1].item() == pytest.approx((1 - 1e-4) * (1 - 1e-4 - 0.0199 / 999), rel=1e-6)
        assert A[-1].item() == pytest.approx(4.036e-5, rel=1e-3)

    def test_linear_of_fewer_steps_drowns_the_image_alike(self) -> None:
        assert signal("linear", 500)[-1].log().item() == pytest.approx(A[-1].log().item(), rel=0.02)

    def test_cosine_by_its_formula(self) -> None:
        a = signal("cosine", 1000)
        f = [math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for t in (0, 1, 501)]
        assert a[0].item() == pytest.approx(f[1] / f[0], rel=1e-5)
        assert a[500].item() == pytest.approx(f[2] / f[0], rel=1e-5)
        assert a[-1].item() == pytest.approx(a[-2].item() * 0.001, rel=1e-3)  # the last beta is cut to 0.999

    def test_the_grid_starts_at_the_image_and_takes_a_share_of_the_steps(self) -> None:
        assert grid(1000, 3) == [0, 333, 666, 999]
        assert grid(1000, 999) == list(range(1000))
        assert grid(1001, 10, 0.5) == [0, 100, 200, 300, 400, 500]
        assert grid(1000, 1, 0.1) == [0, 100]


class TestSteps:
    def test_noised_by_hand(self) -> None:
        x, noise = torch.full((2, 1, 1, 1), 0.5), torch.full((2, 1, 1, 1), -1.0)
        found = noised(x, noise, torch.tensor([0.64, 0.36]))
        assert found.flatten().tolist() == pytest.approx([0.8 * 0.5 - 0.6, 0.6 * 0.5 - 0.8])

    def test_the_loss_is_the_mean_square_of_the_noise_where_none_is_guessed(self) -> None:
        rng = torch.Generator().manual_seed(7)
        torch.randint(1000, (4,), generator=rng)
        expected = torch.randn(4, 3, 8, 8, generator=rng).square().mean()
        found = denoising_loss(Zero(), torch.zeros(4, 3, 8, 8), A, torch.Generator().manual_seed(7))
        assert found.item() == pytest.approx(expected.item(), rel=1e-6)

    def test_the_loss_of_a_network_that_knows_the_image_is_zero(self) -> None:
        x = torch.rand(4, 1, 8, 8)

        class Knows(nn.Module):
            def forward(self, noisy: Tensor, t: Tensor, rng: torch.Generator | None) -> Tensor:
                a = A[t].reshape(-1, 1, 1, 1)
                return (noisy - a.sqrt() * x) / (1 - a).sqrt()

        assert denoising_loss(Knows(), x, A, torch.Generator()).item() < 1e-6

    def test_one_step_of_eta_1_is_that_of_ddpm(self) -> None:
        """Equation 11 and section 3.2 of DDPM: mean (x - beta/sqrt(1 - a) noise)/sqrt(1 - beta), variance beta~."""
        x, network = torch.randn(1, 1, 64, 64), Gaussian(0.2, 0.5)
        t = 400
        beta = 1 - A[t] / A[t - 1]
        noise = network(x, torch.tensor([t]))
        mean = (x - beta / (1 - A[t]).sqrt() * noise) / (1 - beta).sqrt()
        std = (beta * (1 - A[t - 1]) / (1 - A[t])).sqrt()
        draws = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
        found = move(network, x, [t, t - 1], A, eta=1.0, rng=torch.Generator().manual_seed(1))
        assert torch.allclose(found, mean + std * draws, atol=1e-5)

    def test_a_clipped_step_ends_on_the_clipped_guess(self) -> None:
        x = torch.full((1, 1, 2, 2), 5.0)
        found = move(Zero(), x, [500, 0], A, clip=True)
        noise = (5 - A[500].sqrt()) / (1 - A[500]).sqrt()
        assert torch.allclose(found, A[0].sqrt() + (1 - A[0]).sqrt() * noise, atol=1e-5)

    def test_encoding_and_decoding_with_one_model_returns_the_image(self) -> None:
        x = torch.rand(2, 3, 8, 8) * 2 - 1
        steps, network = grid(1000, 999), Gaussian(0.1, 0.4)
        noise = move(network, x, steps, A)
        assert torch.allclose(move(network, noise, steps[::-1], A), x, atol=0.02)
        assert noise.sub((x - 0.1) / 0.4).abs().max() < 0.05  # the ordinary differential equation of a Gaussian


class TestTraining:
    def test_each_model_takes_a_step_in_turn_with_a_cut_gradient_and_its_average_follows(
        self, tiny_task: MakeTask
    ) -> None:
        model = make(DDIB, "ema_decay=0.75", "max_gradient=0.5")
        batch = Sampler(model.streams(tiny_task(resolution=32)), tiny_task(resolution=32), 0, CPU).batch(0)
        start = {name: [p.clone() for p in net.parameters()] for name, net in model.networks.items()}
        order, plain = [], model.minimise

        def watch(name: str, loss: Tensor, max_gradient: float) -> None:
            order.append((name, max_gradient))
            plain(name, loss, max_gradient)

        model.minimise = watch
        losses = model.train_step(batch)
        assert order == [("source", 0.5), ("target", 0.5)]
        assert set(losses) == {"source", "target"}
        for name, network in model.networks.items():
            norm = math.sqrt(sum(p.grad.square().sum().item() for p in network.parameters()))
            assert norm <= 0.5 * 1.001
            for before, now, average in zip(start[name], network.parameters(), model.ema[name].parameters()):
                assert torch.allclose(average, 0.75 * before + 0.25 * now, atol=1e-6)

    def test_the_learning_rate_rises_from_zero(self) -> None:
        model = make(DDIB, "warmup_steps=4")
        assert [model.rate(step) for step in (0, 1, 3, 9)] == [0.25, 0.5, 1.0, 1.0]

    def test_sdedit_trains_on_the_target_alone(self, tiny_task: MakeTask) -> None:
        model = make(SDEdit)
        assert set(model.networks) == {"target"}
        assert {stream.pool for stream in model.streams(tiny_task(resolution=32)).values()} == {"target"}

    def test_the_paper_presets_are_ddpms_recipes(self) -> None:
        large, small = (build(DiffusionConfig, DDIB.presets, preset, []) for preset in ("paper", "paper32"))
        assert (large.batch_size, large.lr, large.dropout, large.budget_kimg) == (64, 2e-5, 0.0, 64 * 500)
        assert (small.batch_size, small.lr, small.dropout, small.budget_kimg) == (128, 2e-4, 0.1, 128 * 800)
        for config in (large, small):
            assert (config.ema_decay, config.train_steps, config.schedule) == (0.9999, 1000, "linear")

    def test_both_methods_train_alike_in_every_preset(self) -> None:
        """Presets are literals, which `bench list presets` reads, so they are written in both files."""
        ddib, sdedit = (
            {
                preset: {name: value for name, value in fields.items() if name not in ("sample_steps", "eta")}
                for preset, fields in cls.presets.items()
            }
            for cls in (DDIB, SDEdit)
        )
        assert ddib == sdedit


class TestDDIB:
    def test_between_two_gaussians_it_is_the_straight_map(self) -> None:
        """x -> m2 + s2/s1 (x - m1), the optimal transport of one into the other."""
        model = make(DDIB, "sample_steps=999")
        model.ema = nn.ModuleDict({"source": Gaussian(0.3, 0.4), "target": Gaussian(-0.2, 0.2)})
        x = torch.linspace(-0.5, 1.0, 3 * 32 * 32).reshape(1, 3, 32, 32)
        there = model.translate(x)
        assert torch.allclose(there, -0.2 + 0.5 * (x - 0.3), atol=0.02)
        assert torch.allclose(model.translate_back(there, torch.Generator()), x, atol=0.05)

    def test_each_way_calls_each_model_once_a_step(self) -> None:
        model = make(DDIB, "sample_steps=5")
        calls = []
        for name, network in model.ema.items():
            network.register_forward_pre_hook(lambda _m, inputs, name=name: calls.append((name, int(inputs[1][0]))))
        model.translate(torch.rand(1, 3, 32, 32))
        steps = grid(1000, 5)
        assert calls == [("source", t) for t in steps[:-1]] + [("target", t) for t in steps[:0:-1]]


class TestSDEdit:
    def test_where_the_target_is_one_image_every_source_becomes_it(self) -> None:
        model = make(SDEdit, "sample_steps=999", "noise_level=1.0")
        model.ema = {"target": Gaussian(0.4, 0.0)}
        out = model.translate(torch.rand(2, 3, 32, 32), rng=torch.Generator().manual_seed(0))
        assert (out - 0.4).abs().max() < 0.1

    def test_a_small_noise_level_keeps_the_source_and_a_large_one_forgets_it(self) -> None:
        x = torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32)
        kept = []
        for level in (0.05, 0.3, 0.9):
            model = make(SDEdit, "sample_steps=200", f"noise_level={level}", "eta=0")
            model.ema = {"target": Gaussian(0.0, 0.5)}
            out = model.translate(x, rng=torch.Generator().manual_seed(0))
            kept.append(torch.corrcoef(torch.stack([out.flatten(), x.flatten()]))[0, 1].item())
        assert kept[0] > 0.95 and kept[0] > kept[1] > kept[2] and kept[2] < 0.3

    def test_it_starts_from_the_source_with_the_noise_of_its_level(self) -> None:
        model = make(SDEdit, "noise_level=0.5", "sample_steps=10")
        seen = []
        model.ema["target"].register_forward_pre_hook(lambda _m, inputs: seen.append(inputs))
        x = torch.rand(1, 3, 32, 32)
        model.translate(x, rng=torch.Generator().manual_seed(3))
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
        assert int(seen[0][1][0]) == 500 and len(seen) == 5
        assert torch.allclose(seen[0][0], A[500].sqrt() * x + (1 - A[500]).sqrt() * noise, atol=1e-6)


@pytest.mark.parametrize("setting", ["sample_steps=1000", "sample_steps=0", "width=7", "dropout=1", "resolution=33"])
def test_values_that_make_no_sense_are_one_line(setting: str) -> None:
    with pytest.raises(UserError):
        build(DDIB.Config, DDIB.presets, "smoke", [setting])


@pytest.mark.parametrize("setting", ["noise_level=0", "noise_level=1.1", "eta=2"])
def test_values_that_make_no_sense_for_sdedit_are_one_line(setting: str) -> None:
    with pytest.raises(UserError):
        build(SDEdit.Config, SDEdit.presets, "smoke", [setting])
