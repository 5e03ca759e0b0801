"""UVCGANv2's pre-training: one generator learns to fill holes in images of both domains, and both translators start
from it. An artifact that runs share.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench import Artifacts, Loop, TaskData
from bench.methods.modes import representation, views
from bench.methods.uvcgan2.networks import Generator

VERSION = 1  # raise it when the code gives other weights
BETAS, WEIGHT_DECAY = (0.9, 0.99), 0.05
HIDDEN = 0.4  # probability that a tile is hidden
TILES = 8  # a side
DEGREES = 10.0
JITTER = 0.2
LEAST_RATE = 1e-5  # of the learning rate, at the end of every cosine


@dataclass(frozen=True)
class Options:
    """Everything but the images that the pre-trained generator depends on; see UVCGAN2Config."""

    channels: int
    resolution: int
    width: int
    levels: int
    blocks: int
    heads: int
    steps: int
    batch: int
    lr: float
    restart: int
    mirror: bool
    seed: int

    def network(self) -> Generator:
        """Weights that depend on the seed alone; torch's global generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return Generator(self.channels, self.resolution, self.width, self.levels, self.blocks, self.heads)

    def rate(self, step: int) -> float:
        """Multiplier of the learning rate: a cosine from 1 to almost 0, begun again every `restart` steps."""
        fall = (1 + math.cos(math.pi * (step % self.restart) / self.restart)) / 2
        return LEAST_RATE + (1 - LEAST_RATE) * fall


def learn(options: Options, data: TaskData, artifacts: Artifacts) -> dict[str, Tensor]:
    """The state of a generator that was trained on the images of both domains."""
    loop = artifacts.loop
    key = {
        "version": VERSION,
        "dataset": data.dataset,
        "manifest": data.manifest_sha256,
        "images": [representation.identity(domain) for domain in (data.source_train, data.target_train)],
        "amp": loop.compute.amp,
        **asdict(options),
    }

    def make(folder: Path) -> None:
        training = Inpainting(options, data, loop)
        device = loop.compute.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):  # resuming changes its state
            loop.run("inpaint", folder, training, training.step, options.steps, options.batch)
        state = {key: value.cpu().contiguous() for key, value in training.network.state_dict().items()}
        save_file(state, folder / "G.safetensors")

    return load_file(artifacts.make("inpainting", key, make) / "G.safetensors")


class Inpainting:
    """The training as the loop wants it. Batch and draws of a step depend on (seed, step) alone."""

    def __init__(self, options: Options, data: TaskData, loop: Loop) -> None:
        self.options, self.compute = options, loop.compute
        self.domains = [data.source_train, data.target_train]
        self.network = options.network().to(loop.compute.device)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), options.lr, BETAS, weight_decay=WEIGHT_DECAY, fused=True
        )
        self.scaler = loop.compute.scaler()

    def step(self, step: int) -> Mapping[str, Tensor]:
        o, rng = self.options, np.random.default_rng([self.options.seed, step])
        wanted = views_of(self.compute.images(self._pixels(rng)), rng, o.mirror)
        loss = F.l1_loss(self.network(hide(wanted, rng)).float(), wanted) / 2  # of images in [0, 1]
        self.optimizer.param_groups[0]["lr"] = o.lr * o.rate(step)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return {"inpainting": loss.detach()}

    def _pixels(self, rng: np.random.Generator) -> np.ndarray:
        """Images of both domains, each image as often as any other."""
        first = len(self.domains[0])
        rows = np.sort(rng.integers(0, first + len(self.domains[1]), self.options.batch))
        source, target = rows[rows < first], rows[rows >= first] - first
        return np.concatenate([self.domains[0].images(source), self.domains[1].images(target)])

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        return {"network": self.network, "optimizer": self.optimizer, "scaler": self.scaler}


def hide(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Images (N, C, S, S) in [-1, 1] with black tiles of an eighth of the side, each hidden with probability 0.4."""
    side = images.shape[-1]
    hidden = rng.random((len(images), 1, TILES, TILES)) < HIDDEN
    tiles = torch.from_numpy(hidden).to(images.device).float()
    return images.masked_fill(F.interpolate(tiles, side, mode="nearest").bool(), -1.0)


def views_of(images: Tensor, rng: np.random.Generator, mirror: bool) -> Tensor:
    """Images in [-1, 1], each mirrored or not, turned by up to 10 degrees, with jittered colours."""
    n = len(images)
    sign = np.where(rng.random(n) < 0.5, -1.0, 1.0) if mirror else np.ones(n)
    angle = np.deg2rad(rng.uniform(-DEGREES, DEGREES, n))
    theta = np.zeros((n, 2, 3), dtype=np.float32)
    theta[:, 0, 0], theta[:, 0, 1] = sign * np.cos(angle), -sign * np.sin(angle)
    theta[:, 1, 0], theta[:, 1, 1] = np.sin(angle), np.cos(angle)
    grid = F.affine_grid(torch.from_numpy(theta).to(images.device), list(images.shape), align_corners=False)
    turned = F.grid_sample((images + 1) / 2, grid, mode="nearest", align_corners=False)
    return 2 * jitter(turned, rng) - 1


def jitter(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Images in [0, 1] with brightness, contrast and saturation times U(0.8, 1.2), and hue plus U(-0.2, 0.2) turns."""
    factors = rng.uniform(1 - JITTER, 1 + JITTER, (3, len(images), 1, 1, 1))
    turns = rng.uniform(-JITTER, JITTER, (len(images), 1, 1, 1))
    brightness, contrast, saturation = torch.from_numpy(factors).to(images)
    images = views.contrast(views.brightness(images, brightness), contrast)
    return views.hue(views.saturation(images, saturation), torch.from_numpy(turns).to(images))
