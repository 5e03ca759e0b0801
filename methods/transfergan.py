"""TransferGAN (Wang et al., ECCV 2018, arXiv 1805.01677): a GAN for a small target that starts from one of the source.

A WGAN-GP learns to make source images; then its generator and its critic go on with the target's images. Both start
from the pre-trained weights; the critic's matter more (`transfer_g`, `transfer_d`).

It makes images of the target out of noise and does not look at a source image, so it stands in a table of generators.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from bench import Artifacts, Batch, Task, TaskData, register, setting
from bench.methods.nn.small_target import BETAS, GeneratorConfig, Pretraining, SmallTargetMethod, learn


@dataclass(frozen=True)
class TransferGANConfig(GeneratorConfig):
    """TransferGAN's settings."""

    transfer_g: bool = setting(True, "the generator starts from that of the source")
    transfer_d: bool = setting(True, "the critic starts from that of the source")


@register
class TransferGAN(SmallTargetMethod):
    """Fine-tunes a GAN of the source on the target."""

    name = "transfergan"
    aliases = ("transferring-gans",)
    paper = "Wang et al., Transferring GANs: Generating Images from Limited Data, ECCV 2018, arXiv 1805.01677"
    year = 2018
    kind = "generator"
    needs = ()
    Config = TransferGANConfig
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
            "base_steps": 2,
            "base_batch": 2,
            "base_critic_steps": 1,
        },
    }

    def __init__(self, task: Task, config: TransferGANConfig) -> None:
        super().__init__(task, config)
        self.config: TransferGANConfig = config
        for name, network in self.networks.items():
            self.optimizers[name] = torch.optim.Adam(network.parameters(), config.lr, BETAS, fused=True)

    def prepare(self, data: TaskData, artifacts: Artifacts) -> None:
        """Pre-trains on the source, unless an artifact holds the networks."""
        c = self.config
        if not c.pretrained or not (c.transfer_g or c.transfer_d):
            return
        states = learn(Pretraining.of(c, self.task.channels), data, artifacts)
        for network, state, wanted in zip((self.generator, self.critic), states, (c.transfer_g, c.transfer_d)):
            if wanted:
                network.load_state_dict(state)

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        """The critic's steps, then one of the generator."""
        losses = self.critic_steps(batch)
        losses["G"] = self.generator_loss()
        self.minimise("G", losses["G"])
        return {name: loss.detach() for name, loss in losses.items()}

    def fakes(self, n: int, rng: torch.Generator | None) -> Tensor:
        return self.generator(self.generator.noise(n, rng, self.device))
