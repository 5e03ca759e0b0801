"""Learns a representation of the training images without labels, as an artifact: weights and the source's embedding."""

import hashlib
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench import Artifacts, Domain, Loop, TaskData
from bench.methods.modes.contrastive import Contrastive
from bench.methods.modes.vae import VAE
from bench.methods.modes.views import Views

VERSION = 2  # raise it when the code gives other representations
CONSTANT_EPOCHS = 10  # before the learning rate begins to fall
WEIGHT_DECAY = 1e-6
CHUNK = 256  # images embedded at once


@dataclass(frozen=True)
class EncoderOptions:
    """Everything but the images that a representation depends on; see modes.Fields."""

    model: Literal["contrastive", "vae"]
    resolution: int
    views: Views
    width: int
    batch: int
    epochs: int
    lr: float
    schedule: Literal["cosine", "code"]
    seed: int
    mirror: bool = True  # whether views may be mirrored: a fact of the data set

    def network(self, channels: int) -> Contrastive | VAE:
        """A network with weights that depend on the seed alone; torch's global generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            if self.model == "vae":
                return VAE(channels, self.width, self.resolution)
            return Contrastive(channels, self.width, self.views, self.mirror)


def learn(options: EncoderOptions, data: TaskData, with_target: bool, artifacts: Artifacts) -> Path:
    """The artifact's folder: weights.safetensors, and source.npy with the source's embedding (n, d) float32."""
    domains = [data.source_train, data.target_train] if with_target else [data.source_train]
    key = {
        "version": VERSION,
        "dataset": data.dataset,
        "manifest": data.manifest_sha256,
        "images": [identity(domain) for domain in domains],
        "amp": artifacts.loop.compute.amp,
        **asdict(options),
    }

    def build(folder: Path) -> None:
        loop = artifacts.loop
        training = EncoderTraining(options, domains, loop)
        with _global_generators_kept(loop.compute.device):
            loop.run("modes", folder, training, training.step, training.total, training.batch)
        save_file({k: v.contiguous() for k, v in training.network.state_dict().items()}, folder / "weights.safetensors")
        np.save(folder / "source.npy", _embed(training.network, data.source_train, loop))

    return artifacts.make("representation", key, build)


def embed(folder: Path, options: EncoderOptions, domain: Domain, loop: Loop) -> np.ndarray:
    """Embedding (n, d) float32 of other images by the representation in `folder`."""
    network = options.network(domain.bank.images.shape[1])
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    return _embed(network.to(loop.compute.device), domain, loop)


def identity(domain: Domain) -> dict[str, Any]:
    ids = "".join(f"{name}\n" for name in domain.ids)
    return {"domain": domain.name, "ids": hashlib.sha256(ids.encode()).hexdigest()}


class EncoderTraining:
    """The stage as the loop wants it. The batch and the draws of a step depend on (seed, step) alone."""

    def __init__(self, options: EncoderOptions, domains: list[Domain], loop: Loop) -> None:
        self.options = options
        self.domains = domains
        self.compute = loop.compute
        self.n_images = sum(len(domain) for domain in domains)
        self.batch = min(options.batch, self.n_images)
        self.per_epoch = self.n_images // self.batch  # a last partial batch is dropped
        self.total = options.epochs * self.per_epoch
        channels = domains[0].bank.images.shape[1]
        self.network: Contrastive | VAE = options.network(channels).to(self.compute.device).train()
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=options.lr, weight_decay=WEIGHT_DECAY)
        self.scaler = self.compute.scaler()

    def step(self, step: int) -> Mapping[str, Tensor]:
        images = self._images(step)
        rng = np.random.default_rng([self.options.seed, 1, step])
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(step // self.per_epoch)
        loss = self.network.loss(images, rng)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return {self.options.model: loss.detach()}

    def rate(self, epoch: int) -> float:
        """Cosine annealing from the tenth epoch on."""
        period = self.n_images if self.options.schedule == "code" else self.options.epochs - CONSTANT_EPOCHS
        done = max(0, epoch - CONSTANT_EPOCHS)
        return self.options.lr * (1 + math.cos(math.pi * done / max(period, 1))) / 2

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        return {"network": self.network, "optimizer": self.optimizer, "scaler": self.scaler}

    def _images(self, step: int) -> Tensor:
        epoch, position = divmod(step, self.per_epoch)
        order = np.random.default_rng([self.options.seed, 0, epoch]).permutation(self.n_images)
        chosen = order[position * self.batch : (position + 1) * self.batch]
        first = len(self.domains[0])
        pixels = [self.domains[0].images(chosen[chosen < first])]
        pixels += [domain.images(chosen[chosen >= first] - first) for domain in self.domains[1:]]
        return _unit_range(self.compute.images(np.concatenate(pixels)))


def _embed(network: Contrastive | VAE, domain: Domain, loop: Loop) -> np.ndarray:
    network.eval()
    parts, started = [], time.monotonic()
    for start in range(0, len(domain), CHUNK):
        pixels = domain.images(slice(start, start + CHUNK))
        with torch.no_grad(), loop.compute.autocast():
            parts.append(network.embed(_unit_range(loop.compute.images(pixels))).float().cpu().numpy())
        loop.reporter.tick("embed", start + len(pixels), len(domain), started=started)
    return np.concatenate(parts)


def _unit_range(images: Tensor) -> Tensor:
    """[-1, 1] -> [0, 1], which is what the encoder sees."""
    return (images + 1) / 2


def _global_generators_kept(device: torch.device) -> Any:
    """Resuming restores the global generators of whichever run made the checkpoint; this run's must survive that."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
