"""MineGAN (Wang et al., CVPR 2020, arXiv 1912.05270): finds what a GAN of the source already knows of a small target.

A WGAN-GP learns to make source images. Then a small network, the miner M, turns noise u into codes z for which the
frozen generator makes images that look like the target; the critic goes on from its pre-trained weights. At last miner
and generator learn together.

The paper mines several kinds of generators; here it is the WGAN-GP of methods/transfergan.py with one source, and the
miner that the paper describes for SNGAN, whose code has the same length. It does not look at a source image, so it
stands in a table of generators.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from bench import Artifacts, Batch, Task, TaskData, UserError, register, setting
from bench.methods.nn.counter import Counter
from bench.methods.nn.miner import Miner
from bench.methods.nn.small_target import BETAS, GeneratorConfig, Pretraining, SmallTargetMethod, learn


@dataclass(frozen=True)
class MineGANConfig(GeneratorConfig):
    """MineGAN's settings."""

    batch_size: int = 8
    budget_kimg: float = 1000.0
    miner: tuple[int, ...] = setting((8, 32, 64), "widths of the miner, from its noise on; `latent` is the last", low=1)
    miner_steps: int = setting(1000, "iterations in which the generator is frozen")
    lr: float = setting(2e-4, "learning rate of miner, generator and critic")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.miner:
            raise UserError("miner is empty; choose at least the length of its noise")


@register
class MineGAN(SmallTargetMethod):
    """Mines a GAN of the source for images of the target."""

    name = "minegan"
    paper = "Wang et al., MineGAN: Effective Knowledge Transfer from GANs to Target Domains with Few Images, CVPR 2020"
    year = 2020
    kind = "generator"
    needs = ()
    Config = MineGANConfig
    discriminators = ("D",)
    second_order = ("D",)
    guidance = "noise"
    presets = {
        "paper": {},
        "cpu": {
            "resolution": 32,
            "batch_size": 8,
            "budget_kimg": 16.0,
            "width": 16,
            "latent": 32,
            "critic_steps": 2,
            "miner": (8, 32),
            "miner_steps": 300,
            "lr": 4e-4,
            "base_steps": 1000,
            "base_batch": 8,
            "base_critic_steps": 2,
            "base_lr": 4e-4,
        },
        "smoke": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 0.02,
            "width": 4,
            "latent": 8,
            "critic_steps": 2,
            "miner": (4, 8),
            "miner_steps": 1,
            "base_steps": 2,
            "base_batch": 2,
            "base_critic_steps": 1,
        },
    }

    def __init__(self, task: Task, config: MineGANConfig) -> None:
        super().__init__(task, config)
        self.config: MineGANConfig = config
        self.miner = Miner([*config.miner, config.latent])
        self.networks["M"] = self.miner
        for name, network in self.networks.items():
            self.optimizers[name] = torch.optim.Adam(network.parameters(), config.lr, BETAS, fused=True)
        self.counter = Counter()
        self.memory = {"counter": self.counter}

    def prepare(self, data: TaskData, artifacts: Artifacts) -> None:
        """Pre-trains on the source, unless an artifact holds the networks."""
        if self.config.pretrained:
            states = learn(Pretraining.of(self.config, self.task.channels), data, artifacts)
            for network, state in zip((self.generator, self.critic), states):
                network.load_state_dict(state)

    @property
    def opening(self) -> int:
        """The steps in which the generator is frozen and the miner learns alone."""
        return self.config.miner_steps

    def skip_opening(self) -> None:
        self.counter.done = self.opening

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        """The critic's steps, then one of the miner, later of miner and generator together."""
        mining = self.counter.done < self.opening
        self.generator.train(not mining)  # a frozen generator keeps the statistics of the source
        losses = self.critic_steps(batch)
        losses["G"] = self.generator_loss()
        self.minimise("M" if mining else ["M", "G"], losses["G"])
        self.counter.done += 1
        return {name: loss.detach() for name, loss in losses.items()}

    def fakes(self, n: int, rng: torch.Generator | None) -> Tensor:
        u = torch.randn(n, self.miner.inputs, generator=rng, device=self.device)
        return self.generator(self.miner(u))
