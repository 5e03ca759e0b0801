"""Generators for a small target that start from a WGAN-GP of the source: settings, pre-training, the critic's steps."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench import Artifacts, Batch, Config, DiscriminatorFields, Loop, Method, Stream, Task, TaskData, Unfit, setting
from bench.methods.modes import representation
from bench.methods.nn import wgan
from bench.methods.nn.wgan import Critic, Generator

VERSION = 1  # of the pre-training; raise it when the code gives other networks
BETAS = (0.0, 0.9)
State = dict[str, Tensor]


@dataclass(frozen=True)
class GeneratorConfig(Config, DiscriminatorFields):
    """The settings of a WGAN-GP that is trained on the source, then on the target."""

    resolution: int = 64
    batch_size: int = setting(64, "target images of one step of the critic")
    budget_kimg: float = setting(8000.0, "thousands of target images that the critic sees")
    width: int = setting(64, "channels at the full side", low=1)
    latent: int = setting(128, "length of the noise", low=1)
    critic_steps: int = setting(5, "steps of the critic for each step of the generator", low=1)
    penalty_weight: float = setting(10.0, "weight of the gradient penalty")
    lr: float = setting(
        1e-5, "learning rate on the target; 1e-5: the paper's for 1,000 images; it has 1e-4 for larger ones", above=0
    )

    pretrained: bool = setting(True, "start from a WGAN-GP of the source")
    base_steps: int = setting(50_000, "iterations of the pre-training", low=1)
    base_batch: int = setting(128, "batch of the pre-training", low=1)
    base_critic_steps: int = setting(5, "the same as critic_steps, in the pre-training", low=1)
    base_lr: float = setting(1e-4, "learning rate of the pre-training", above=0)
    base_seed: int = setting(
        1234, "seed of the pre-training, apart from the run's, so that runs share the networks", high=2**63 - 1
    )

    @property
    def boundary(self) -> None:
        return None  # a critic's scores have none

    def __post_init__(self) -> None:
        super().__post_init__()
        blocks = wgan.n_blocks(self.resolution)
        if blocks < 1 or self.resolution != wgan.SMALLEST * 2**blocks:
            raise Unfit(
                f"the generator cannot make images of {self.resolution} pixels; choose a power of two, at least 8"
            )


@dataclass(frozen=True)
class Pretraining:
    """Everything but the images that pre-trained networks depend on; see GeneratorConfig."""

    channels: int
    resolution: int
    width: int
    latent: int
    steps: int
    batch: int
    critic_steps: int
    penalty_weight: float
    lr: float
    seed: int

    @classmethod
    def of(cls, config: GeneratorConfig, channels: int) -> "Pretraining":
        c = config
        return cls(
            channels, c.resolution, c.width, c.latent, c.base_steps, c.base_batch, c.base_critic_steps,
            c.penalty_weight, c.base_lr, c.base_seed,
        )  # fmt: skip

    def networks(self) -> tuple[Generator, Critic]:
        """A network with weights that depend on the seed alone; torch's global generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return build(self.channels, self.resolution, self.width, self.latent)


def build(channels: int, resolution: int, width: int, latent: int) -> tuple[Generator, Critic]:
    return Generator(channels, resolution, width, latent), Critic(channels, resolution, width)


def learn(options: Pretraining, data: TaskData, artifacts: Artifacts) -> tuple[State, State]:
    """States of G and D that were trained on the source's images."""
    loop = artifacts.loop
    key = {
        "version": VERSION,
        "dataset": data.dataset,
        "manifest": data.manifest_sha256,
        "images": representation.identity(data.source_train),
        "amp": loop.compute.amp,
        **asdict(options),
    }

    def make(folder: Path) -> None:
        training = PretrainingSteps(options, data, loop)
        device = loop.compute.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):  # resuming changes its state
            loop.run("pre-train", folder, training, training.step, options.steps, options.batch * options.critic_steps)
        for name, network in (("G", training.generator), ("D", training.critic)):
            state = {key: value.cpu().contiguous() for key, value in network.state_dict().items()}
            save_file(state, folder / f"{name}.safetensors")

    folder = artifacts.make("wgan", key, make)
    return load_file(folder / "G.safetensors"), load_file(folder / "D.safetensors")


class PretrainingSteps:
    """The pre-training as the loop wants it. Batch and draws of a step depend on (seed, step) alone."""

    def __init__(self, options: Pretraining, data: TaskData, loop: Loop) -> None:
        self.options, self.source, self.compute = options, data.source_train, loop.compute
        generator, critic = options.networks()
        self.generator, self.critic = generator.to(loop.compute.device), critic.to(loop.compute.device)
        self.optimizers = {
            "G": torch.optim.Adam(self.generator.parameters(), options.lr, BETAS, fused=True),
            "D": torch.optim.Adam(self.critic.parameters(), options.lr, BETAS, fused=True),
        }
        self.scaler = self.compute.scaler()

    def step(self, step: int) -> Mapping[str, Tensor]:
        """The critic's steps, each on new images, then one of the generator."""
        o, rng = self.options, np.random.default_rng([self.options.seed, step])
        losses: dict[str, Tensor] = {}
        for _ in range(o.critic_steps):
            real = self.compute.images(self.source.images(rng.integers(0, len(self.source), o.batch)))
            with torch.no_grad():
                fake = self.generator(self._noise(rng))
            share = self._device(rng.random(o.batch, dtype=np.float32))
            losses["D"] = wgan.wasserstein(self.critic, real, fake)
            with torch.autocast(self.compute.device.type, enabled=False):
                losses["penalty"] = wgan.penalty(self.critic, real, fake.float(), share)
            self._descend("D", losses["D"] + o.penalty_weight * losses["penalty"])
        losses["G"] = -self.critic(self.generator(self._noise(rng))).float().mean()
        self._descend("G", losses["G"])
        return {name: loss.detach() for name, loss in losses.items()}

    def _descend(self, name: str, loss: Tensor) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward(inputs=optimizer.param_groups[0]["params"])
        self.scaler.step(optimizer)
        self.scaler.update()

    def _noise(self, rng: np.random.Generator) -> Tensor:
        return self._device(rng.standard_normal((self.options.batch, self.options.latent), dtype=np.float32))

    def _device(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.compute.device)

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        return {"generator": self.generator, "critic": self.critic, **self.optimizers, "scaler": self.scaler}


class SmallTargetMethod(Method):
    """A generator of target images whose critic D is trained by WGAN-GP; it ignores the source when it "translates".

    A subclass says in `fakes` how an image is made of noise, and in `train_step` what else learns.
    """

    @classmethod
    def whole_batch(cls, config: GeneratorConfig) -> str | None:
        return "the generator has batch norm"

    def __init__(self, task: Task, config: GeneratorConfig) -> None:
        super().__init__(task, config)
        self.config: GeneratorConfig = config
        self.generator, self.critic = build(task.channels, task.resolution, config.width, config.latent)
        self.networks = {"G": self.generator, "D": self.critic}

    @property
    def images_per_step(self) -> int:
        return self.config.batch_size * self.config.critic_steps

    def streams(self, data: TaskData) -> dict[str, Stream]:
        """Batches of as many target images as the critic's steps of one iteration need."""
        return {"target": Stream("target", self.images_per_step, "uniform")}

    @abstractmethod
    def fakes(self, n: int, rng: torch.Generator | None) -> Tensor:
        """n images of new noise."""

    def critic_steps(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        """Steps of D, each on new real and new generated images; the losses of the last one."""
        losses: dict[str, Tensor] = {}
        for real in batch["target"].image.chunk(self.config.critic_steps):
            with torch.no_grad():
                fake = self.fakes(len(real), self.rng)
            share = torch.rand(len(real), generator=self.rng, device=self.device)
            losses["D"] = wgan.wasserstein(self.critic, real, fake)
            with self.exact():
                losses["penalty"] = wgan.penalty(self.critic, real, fake.float(), share)
            self.minimise("D", losses["D"] + self.config.penalty_weight * losses["penalty"])
        return losses

    def generator_loss(self) -> Tensor:
        """-mean D(fake)."""
        return -self.critic(self.fakes(self.config.batch_size, self.rng)).float().mean()

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        """Makes as many images as there are sources, which are not looked at."""
        return self.fakes(len(source), rng)
