"""The training of DeepI2I's BigGAN on images of the task or of another data set; an artifact that runs share.

The training is that of BigGAN: hinge loss, uniform classes, one step of D for one of G, accumulated gradients, an
average of G, its batch statistics included, from `ema_from` on. The pre-trained generator is the average.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bench import Artifacts, Loop, TaskData
from bench.methods.deepi2i.biggan import Discriminator, Generator, orthogonal_init
from bench.methods.modes import representation
from bench.methods.nn import ema, losses
from bench.methods.nn.spectral import held

VERSION = 2  # raise it when the code gives other networks
BETAS, ADAM_EPS = (0.0, 0.999), 1e-6
State = dict[str, Tensor]


@dataclass(frozen=True)
class BigGANOptions:
    """Everything but images and classes that a pre-trained network depends on; see DeepI2IConfig."""

    resolution: int
    channels: int
    rows: int
    width: int
    latent: int
    shared: int
    steps: int
    batch: int
    accumulations: int
    ema_decay: float
    ema_from: int
    lr_g: float
    lr_d: float
    balanced: bool
    seed: int

    def networks(self) -> tuple[Generator, Discriminator]:
        """A network with weights that depend on the seed alone; torch's global generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            generator = Generator(self.channels, self.rows, self.width, self.resolution, self.latent, self.shared)
            discriminator = Discriminator(self.channels, self.rows, self.width, self.resolution)
            for network in (generator, discriminator):
                orthogonal_init(network)
        return generator, discriminator


def learn(options: BigGANOptions, data: TaskData, classes: np.ndarray, artifacts: Artifacts) -> tuple[State, State]:
    """States of G (its average) and D, trained on source and target; `classes` are those of all training images."""
    key = {
        "version": VERSION,
        "dataset": data.dataset,
        "manifest": data.manifest_sha256,
        "images": [representation.identity(domain) for domain in (data.source_train, data.target_train)],
        "classes": hashlib.sha256(np.asarray(classes, "<i8").tobytes()).hexdigest(),
        "n_classes": int(classes.max()) + 1,
        "amp": artifacts.loop.compute.amp,
        **asdict(options),
    }

    def build(folder: Path) -> None:
        loop = artifacts.loop
        training = BigGANTraining(options, data, classes, loop)
        devices = [loop.compute.device] if loop.compute.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):  # resuming restores those of the run that made the checkpoint
            loop.run("biggan", folder, training, training.step, options.steps, options.batch)
        save(folder, {"G": training.average, "D": training.discriminator})

    folder = artifacts.make("biggan", key, build)
    return load_file(folder / "G.safetensors"), load_file(folder / "D.safetensors")


def save(folder: Path, networks: Mapping[str, nn.Module]) -> None:
    """One file a network, NAME.safetensors."""
    for name, network in networks.items():
        save_file({k: v.cpu().contiguous() for k, v in network.state_dict().items()}, folder / f"{name}.safetensors")


class BigGANTraining:
    """The stage as the loop wants it. Batch and draws of a step depend on (seed, step) alone."""

    def __init__(self, options: BigGANOptions, data: TaskData, classes: np.ndarray, loop: Loop) -> None:
        self.options, self.data, self.classes, self.compute = options, data, classes, loop.compute
        self.n_classes = int(classes.max()) + 1
        self.members = [np.flatnonzero(classes == c) for c in np.unique(classes)]
        generator, discriminator = options.networks()
        self.generator, self.discriminator = generator.to(loop.compute.device), discriminator.to(loop.compute.device)
        self.average = ema.copy_of(self.generator)
        self.optimizers = {
            "G": torch.optim.Adam(self.generator.parameters(), options.lr_g, BETAS, ADAM_EPS, fused=True),
            "D": torch.optim.Adam(self.discriminator.parameters(), options.lr_d, BETAS, ADAM_EPS, fused=True),
        }
        self.scaler = loop.compute.scaler()

    def step(self, step: int) -> Mapping[str, Tensor]:
        o, rng = self.options, np.random.default_rng([self.options.seed, step])
        logged: dict[str, Tensor] = {}
        for name, trained, loss in (("D", ("D",), self._d_loss), ("G", self._generating(step), self._g_loss)):
            optimizers = [self.optimizers[one] for one in trained]
            parameters = [p for optimizer in optimizers for p in optimizer.param_groups[0]["params"]]
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            with held(self.generator, self.discriminator):
                for _ in range(o.accumulations):
                    value = loss(o.batch // o.accumulations, rng) / o.accumulations
                    self.scaler.scale(value).backward(inputs=parameters)
                    logged[name] = logged.get(name, torch.zeros_like(value)) + value.detach()
            for optimizer in optimizers:
                self.scaler.step(optimizer)
        self.scaler.update()
        decay = o.ema_decay if step >= o.ema_from else 0.0
        ema.update(self.average, self.generator, decay, average_buffers=True)
        return logged

    def _generating(self, step: int) -> tuple[str, ...]:
        """The optimizers that G's loss moves."""
        return ("G",)

    def _d_loss(self, n: int, rng: np.random.Generator) -> Tensor:
        index = self._index(n, rng)
        real, label = self._images(index), self._device(self.classes[index])
        with torch.no_grad():
            fake, wanted = self._fakes(n, rng)
        logits, _ = self.discriminator.judge(torch.cat([fake, real]), torch.cat([wanted, label]))
        return losses.hinge_real(logits[n:]) + losses.hinge_fake(logits[:n])

    def _g_loss(self, n: int, rng: np.random.Generator) -> Tensor:
        return -self.discriminator.judge(*self._fakes(n, rng))[0].mean()

    def _fakes(self, n: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        label = self._device(rng.integers(0, self.n_classes, n))
        z = self._device(rng.standard_normal((n, self.generator.latent), dtype=np.float32))
        return self.generator(z, label), label

    def _index(self, n: int, rng: np.random.Generator) -> np.ndarray:
        if not self.options.balanced:
            return rng.integers(0, len(self.classes), n)
        return np.array([rng.choice(self.members[c]) for c in rng.integers(0, len(self.members), n)])

    def _images(self, index: np.ndarray) -> Tensor:
        source, target = self.data.source_train, self.data.target_train
        first = len(source)
        pixels = np.empty((len(index), *source.bank.images.shape[1:]), np.uint8)
        pixels[index < first] = source.images(index[index < first])
        pixels[index >= first] = target.images(index[index >= first] - first)
        return self.compute.images(pixels)

    def _device(self, array: np.ndarray) -> Tensor:
        return self.compute.tensor(array)

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        networks = {"generator": self.generator, "discriminator": self.discriminator, "average": self.average}
        return {**networks, **self.optimizers, "scaler": self.scaler}
