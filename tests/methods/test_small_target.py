"""TransferGAN and MineGAN, against the counts of their papers and hand calculations."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.core.errors import UserError
from bench.data.task import TaskData
from bench.methods.minegan import MineGAN, Miner
from bench.methods.nn import wgan
from bench.methods.nn.small_target import GeneratorConfig, Pretraining, PretrainingSteps, SmallTargetMethod, learn
from bench.methods.nn.wgan import Critic, DownBlock, Generator, UpBlock
from bench.methods.transfergan import TransferGAN
from bench.training.artifacts import Artifacts
from bench.training.config import build
from bench.training.method import Task
from bench.training.sampler import Batch

MakeTask = Callable[..., TaskData]


def make(cls: type[SmallTargetMethod], *settings: str) -> SmallTargetMethod:
    config = build(cls.Config, cls.presets, "smoke", settings)
    torch.manual_seed(0)
    model = cls(Task(resolution=32, n_source=20, n_target=6, n_labels=0), config)
    model.rng.manual_seed(0)
    return model


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def batch(n: int) -> dict[str, Batch]:
    none = torch.full((n,), -1)
    return {"target": Batch(torch.rand(n, 3, 32, 32) * 2 - 1, none, none)}


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


class TestNetworks:
    def test_parameter_count_of_transfergans_generator(self) -> None:
        with torch.device("meta"):
            assert count(Generator(3, 64, 64, 128)) == 8_540_483

    def test_parameter_count_of_the_critic_by_hand(self) -> None:
        """Of each block both norms, conv3 without and conv3 with bias, and the 1x1 conv."""
        with torch.device("meta"):
            critic = Critic(3, 64, 64)
        blocks = [(64, 128), (128, 256), (256, 512), (512, 512)]
        expected = 27 * 64 + 64 + 16 * 512 + 1
        expected += sum(4 * i + 9 * i * i + 9 * i * o + o + i * o + o for i, o in blocks)
        assert count(critic) == expected

    @pytest.mark.parametrize("side", [8, 32, 64, 128])
    def test_sides(self, side: int) -> None:
        with torch.device("meta"):
            generator, critic = Generator(3, side, 8, 16), Critic(3, side, 8)
            images = generator(torch.empty(2, 16))
            assert images.shape == (2, 3, side, side)
            assert critic(images).shape == (2,)
            assert generator.first.out_features == 16 * 8 * min(8, side // 8)

    @pytest.mark.parametrize("side", [4, 32])
    def test_an_up_block_by_hand(self, side: int) -> None:
        block = UpBlock(4, 6).eval()
        x = torch.randn(2, 4, side, side)
        bn = math.sqrt(1 / (1 + 1e-5))  # new running statistics: mean 0, variance 1
        double = nn.Upsample(scale_factor=2)
        hidden = block.conv2((bn * block.conv1(double((bn * x).relu()))).relu())
        assert torch.allclose(block(x), block.shortcut(double(x)) + hidden, atol=1e-4)

    @pytest.mark.parametrize("side", [4, 32])
    def test_a_down_block_by_hand(self, side: int) -> None:
        block = DownBlock(4, 6)
        x = torch.randn(2, 4, side, side)

        def norm(y: Tensor) -> Tensor:
            mean, variance = y.mean((1, 2, 3), keepdim=True), y.var((1, 2, 3), keepdim=True, unbiased=False)
            return (y - mean) / (variance + 1e-5).sqrt()

        hidden = block.conv2(norm(block.conv1(norm(x).relu())).relu())
        expected = nn.functional.avg_pool2d(hidden + block.shortcut(x), 2)
        assert torch.allclose(block(x), expected, atol=1e-4)

    def test_parameter_counts_of_the_papers_miners(self) -> None:
        assert count(Miner((8, 64, 128, 256, 512))) == 173_504  # progressive GAN
        with torch.device("meta"):
            model = MineGAN(Task(64, 20, 6, 0), build(MineGAN.Config, MineGAN.presets, "paper", []))
        assert count(model.miner) == 8 * 32 + 32 + 32 * 64 + 64 + 64 * 128 + 128  # SNGAN: 8-32-64-128

    def test_a_miner_by_hand(self) -> None:
        miner = Miner((2, 3, 4))
        u = torch.randn(5, 2)
        hidden = (u @ miner[0].weight.T + miner[0].bias).relu()
        hidden = hidden / (hidden.square().mean(1, keepdim=True) + 1e-8).sqrt()
        assert torch.allclose(miner(u), hidden @ miner[1].weight.T + miner[1].bias, atol=1e-6)


class TestLosses:
    def test_wasserstein_is_the_mean_of_generated_minus_that_of_real_images(self) -> None:
        class Sum(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return x.flatten(1).sum(1)

        real, fake = torch.full((2, 1, 2, 2), 0.5), torch.full((3, 1, 2, 2), 0.25)
        assert wgan.wasserstein(Sum(), real, fake).item() == pytest.approx(1.0 - 2.0)

    def test_penalty_of_a_linear_critic(self) -> None:
        """The gradient of 0.5 times the sum of 4 values has the norm 1, of twice that 2."""

        class Scaled(nn.Module):
            def __init__(self, factor: float) -> None:
                super().__init__()
                self.factor = factor

            def forward(self, x: Tensor) -> Tensor:
                return self.factor * x.flatten(1).sum(1)

        images, share = torch.rand(3, 1, 2, 2), torch.rand(3)
        assert wgan.penalty(Scaled(0.5), images, images, share).item() == pytest.approx(0.0, abs=1e-6)
        assert wgan.penalty(Scaled(1.0), images, images, share).item() == pytest.approx(1.0)

    def test_losses_of_an_iteration_recomputed(self) -> None:
        """One critic step, from copies of the initial networks and of the generator of draws."""
        model, twin = (make(TransferGAN, "critic_steps=1", "lr=1e-12", "batch_size=3") for _ in range(2))
        given = batch(3)
        losses = model.train_step(given)
        g, d = twin.networks["G"], twin.networks["D"]
        real, rng = given["target"].image, torch.Generator().manual_seed(0)
        fake = g(torch.randn(3, 8, generator=rng)).detach()
        share = torch.rand(3, generator=rng).view(3, 1, 1, 1)
        between = (share * real + (1 - share) * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(d(between).sum(), between)
        penalty = ((gradient.flatten(1).square().sum(1).sqrt() - 1) ** 2).mean()
        assert losses["D"].item() == pytest.approx((d(fake).mean() - d(real).mean()).item(), rel=1e-4)
        assert losses["penalty"].item() == pytest.approx(penalty.item(), rel=1e-4)
        assert losses["G"].item() == pytest.approx(-d(g(torch.randn(3, 8, generator=rng))).mean().item(), rel=1e-4)


def orders(model: SmallTargetMethod, iterations: int, n: int) -> list[object]:
    """Which optimizers stepped, in order; every loss of the critic holds ten times the penalty."""
    found, plain = [], model.minimise

    def watch(names: object, loss: Tensor) -> None:
        found.append(names)
        plain(names, loss)

    model.minimise = watch
    for _ in range(iterations):
        model.train_step(batch(n))
    return found


class TestTransferGAN:
    def test_an_iteration_is_the_critics_steps_then_one_of_the_generator(self) -> None:
        model = make(TransferGAN, "critic_steps=3", "batch_size=2")
        assert model.images_per_step == 6
        assert orders(model, 2, 6) == ["D", "D", "D", "G"] * 2

    @pytest.mark.parametrize(("g", "d"), [(True, True), (True, False), (False, True), (False, False)])
    def test_generator_and_critic_start_from_the_sources_where_wanted(
        self, tiny_task: MakeTask, artifacts: Artifacts, g: bool, d: bool
    ) -> None:
        model = make(TransferGAN, f"transfer_g={str(g).lower()}", f"transfer_d={str(d).lower()}")
        before = {name: state(network) for name, network in model.networks.items()}
        data = tiny_task(resolution=32)
        model.prepare(data, artifacts)
        pretrained = dict(zip("GD", learn(Pretraining.of(model.config, 3), data, artifacts)))
        for name, wanted in (("G", g), ("D", d)):
            assert same(state(model.networks[name]), pretrained[name]) == wanted
            assert same(state(model.networks[name]), before[name]) != wanted

    def test_without_pre_training_nothing_is_made(self, tiny_task: MakeTask, artifacts: Artifacts) -> None:
        make(TransferGAN, "pretrained=false").prepare(tiny_task(resolution=32), artifacts)
        assert not artifacts.root.exists()

    def test_the_paper_preset(self) -> None:
        c = build(TransferGAN.Config, TransferGAN.presets, "paper", [])
        assert (c.resolution, c.width, c.latent, c.critic_steps, c.penalty_weight) == (64, 64, 128, 5, 10.0)
        assert (c.base_steps, c.base_batch, c.base_lr, c.batch_size, c.lr) == (50_000, 128, 1e-4, 64, 1e-5)
        with torch.device("meta"):
            model = TransferGAN(Task(64, 20, 6, 0), c)
        assert model.total_steps == 25_000
        assert model.optimizers["G"].defaults["betas"] == (0.0, 0.9)


class TestMineGAN:
    def test_the_small_presets_are_transfergans_and_those_of_the_miner(self) -> None:
        """Presets are literals, which `bench list presets` reads, so they are written in both files."""
        for preset in ("cpu", "smoke"):
            shared = {k: v for k, v in MineGAN.presets[preset].items() if k not in ("miner", "miner_steps")}
            assert shared == TransferGAN.presets[preset]

    def test_the_generator_is_frozen_first_and_then_learns_with_the_miner(self) -> None:
        model = make(MineGAN, "miner_steps=2", "critic_steps=1")
        start = state(model.networks["G"])
        assert orders(model, 2, 2) == ["D", "M", "D", "M"]
        assert same(state(model.networks["G"]), start), "weights and statistics stay"
        assert orders(model, 1, 2)[-1] == ["M", "G"]
        assert not same(state(model.networks["G"]), start)

    def test_images_are_made_of_mined_codes(self) -> None:
        model = make(MineGAN)
        model.train(False)
        images = model.translate(torch.zeros(3, 3, 32, 32), rng=torch.Generator().manual_seed(1))
        u = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
        assert torch.equal(images, model.networks["G"](model.networks["M"](u)))

    def test_the_phase_survives_a_checkpoint(self) -> None:
        model, again = make(MineGAN, "miner_steps=2"), make(MineGAN, "miner_steps=2")
        for _ in range(2):
            model.train_step(batch(4))
        again.load_state_dict(model.state_dict())
        assert orders(again, 1, 4)[-1] == ["M", "G"]


@pytest.mark.parametrize("cls", [TransferGAN, MineGAN])
class TestGenerators:
    def test_the_source_is_not_looked_at(self, cls: type[SmallTargetMethod]) -> None:
        model = make(cls)
        model.train(False)
        sources = torch.zeros(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
        black, random = (model.translate(x, rng=torch.Generator().manual_seed(0)) for x in sources)
        assert torch.equal(black, random)
        assert cls.kind == "generator" and cls.guidance == "noise"

    def test_training_sees_the_target_alone(self, cls: type[SmallTargetMethod], tiny_task: MakeTask) -> None:
        assert {s.pool for s in make(cls).streams(tiny_task(resolution=32)).values()} == {"target"}


class TestPretraining:
    def options(self) -> Pretraining:
        config = GeneratorConfig(resolution=32, batch_size=2, width=4, latent=8, base_steps=4, base_batch=2)
        return Pretraining.of(config, 3)

    def test_it_learns_from_the_source_alone_and_is_made_once(self, tiny_task: MakeTask, artifacts: Artifacts) -> None:
        torch.manual_seed(3)
        g, d = learn(self.options(), tiny_task(resolution=32), artifacts)
        after = torch.rand(1)
        torch.manual_seed(3)
        again, _ = learn(self.options(), tiny_task(resolution=32, n_target=2), artifacts)
        assert torch.equal(after, torch.rand(1)), "torch's own generator is left as it was"
        assert same(g, again) and len(list((artifacts.root / "wgan").glob("*/G.safetensors"))) == 1
        fresh, _ = self.options().networks()
        assert not same(g, state(fresh)) and "last.bias" in d

    def test_another_source_or_seed_gives_other_networks(self, tiny_task: MakeTask, artifacts: Artifacts) -> None:
        learn(self.options(), tiny_task(resolution=32), artifacts)
        learn(self.options(), tiny_task(resolution=32, n_source=12), artifacts)
        assert len(list((artifacts.root / "wgan").glob("*/G.safetensors"))) == 2

    def test_a_stopped_pre_training_goes_on_bit_equal(
        self, tiny_task: MakeTask, artifacts: Artifacts, tmp_path: Path
    ) -> None:
        options, data = self.options(), tiny_task(resolution=32)
        first = PretrainingSteps(options, data, artifacts.loop)
        for step in range(2):
            first.step(step)
        second = PretrainingSteps(options, data, artifacts.loop)
        second.load_state_dict(first.state_dict())
        for step in range(2, 4):
            second.step(step)
        learn(options, data, artifacts)
        (file,) = (artifacts.root / "wgan").glob("*/G.safetensors")
        assert same(load_file(file), state(second.generator))


@pytest.mark.parametrize("setting", ["resolution=48", "resolution=4", "latent=0", "critic_steps=0", "base_steps=0"])
def test_values_that_make_no_sense_are_one_line(setting: str) -> None:
    with pytest.raises(UserError):
        make(TransferGAN, setting)


@pytest.mark.parametrize("setting", ["miner=", "miner=0", "miner_steps=-1"])
def test_values_that_make_no_sense_for_minegan_are_one_line(setting: str) -> None:
    with pytest.raises(UserError):
        make(MineGAN, setting)
