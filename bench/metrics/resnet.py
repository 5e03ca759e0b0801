"""The small ResNet behind the metrics called ..._resnet: one network and one recipe for all data sets and methods.

3x3 convs of stride 2 until at most 16 pixels remain, then three stages of one residual block (He et al. 2016, figure 5
left) with 16, 32 and 64 channels, the mean over positions, and two linear heads: the classes of the data set, and
source or target. Trained for 600 steps of 64 images by SGD with Nesterov momentum and a cosine rate; every domain
makes half of a batch on average, every class of a domain an equal part of it; images are shifted by up to an eighth of
their side, never mirrored (a mirrored digit is another thing).
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from bench.metrics.data import Pixels
    from bench.training.artifacts import Artifacts

VERSION = 1  # raise it when the same images give another classifier
SIDE = 16
WIDTHS = (16, 32, 64)
STEPS, BATCH = 600, 64
RATE, MOMENTUM, DECAY = 0.1, 0.9, 5e-4
SEED = 0


class Block(nn.Module):
    """Two 3x3 convs with batch norm, added to the input (or its 1x1 projection)."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outside)
        same = inside == outside and stride == 1
        self.skip = nn.Identity() if same else nn.Conv2d(inside, outside, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.skip(x) + self.norm2(self.conv2(y)))


class ResNet(nn.Module):
    """Float (n, 3, R, R) in [-1, 1] -> logits of the classes (n, C) and of source and target (n, 2)."""

    def __init__(self, side: int, n_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 3
        while not layers or side > SIDE:
            stride = 2 if side > SIDE else 1
            layers += [nn.Conv2d(width, WIDTHS[0], 3, stride, 1, bias=False), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU()]
            width, side = WIDTHS[0], -(-side // stride)
        for i, outside in enumerate(WIDTHS):
            layers.append(Block(width, outside, 1 if i == 0 else 2))
            width = outside
        self.trunk = nn.Sequential(*layers)
        self.classes = nn.Linear(width, max(1, n_classes))
        self.domains = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(x).mean((2, 3))
        return self.classes(features), self.domains(features)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained, and the name under which it is kept. `distort` changes each batch of images, uint8
    (n, 3, R, R), by draws from the generator."""

    name: str
    version: int
    steps: int
    distort: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None


@dataclass(frozen=True)
class Examples:
    """Images uint8 (n, 3, R, R) with classes int64 (n,), -1 where there is none, and domains (n,): 0 source, 1 target.

    In an order of their own, so that training does not depend on the order in which they come.
    """

    pixels: np.ndarray
    classes: np.ndarray
    domains: np.ndarray

    @classmethod
    def of(cls, pixels: np.ndarray, classes: np.ndarray, domains: np.ndarray) -> "Examples":
        keys = [(domains[i], classes[i], hashlib.sha256(image.tobytes()).digest()) for i, image in enumerate(pixels)]
        order = sorted(range(len(pixels)), key=keys.__getitem__)
        return cls(pixels[order], classes[order], domains[order])

    @cached_property
    def n_classes(self) -> int:
        return int(self.classes.max(initial=-1)) + 1

    @cached_property
    def sha256(self) -> str:
        content = hashlib.sha256(self.pixels.tobytes())
        content.update(self.classes.astype("<i8").tobytes() + self.domains.astype("<i8").tobytes())
        return content.hexdigest()

    @cached_property
    def cumulative(self) -> np.ndarray:
        """The chances of images to be drawn: equal for domains, within a domain for classes, within a class for
        images."""
        weight = np.zeros(len(self.pixels))
        for domain in np.unique(self.domains):
            of_domain = self.domains == domain
            kinds = np.unique(self.classes[of_domain])
            for kind in kinds:
                rows = of_domain & (self.classes == kind)
                weight[rows] = 1 / len(kinds) / rows.sum()
        return np.cumsum(weight) / weight.sum()


class ResNetTraining:
    """The training as bench.training.loop wants it; the batch of a step depends on the step alone."""

    def __init__(self, examples: Examples, device: torch.device, recipe: Recipe) -> None:
        self.examples = examples
        self.device = device
        self.total = recipe.steps
        self._distort = recipe.distort
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            self.network = ResNet(examples.pixels.shape[-1], examples.n_classes)
        self.network.to(device).train()
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), RATE, MOMENTUM, weight_decay=DECAY, nesterov=True, foreach=True
        )
        self._two_domains = len(np.unique(examples.domains)) == 2

    def step(self, number: int) -> Mapping[str, Tensor]:
        for group in self.optimizer.param_groups:
            group["lr"] = RATE * (1 + np.cos(np.pi * number / self.total)) / 2
        images, classes, domains = self._batch(np.random.default_rng([SEED, number]))
        by_class, by_domain = self.network(images)
        losses = {}
        if self.examples.n_classes > 1:
            total = F.cross_entropy(by_class, classes, ignore_index=-1, reduction="sum")
            losses["class"] = total / (classes >= 0).sum().clamp(min=1)
        if self._two_domains:
            losses["domain"] = F.cross_entropy(by_domain, domains)
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        self.optimizer.step()
        return {name: loss.detach() for name, loss in losses.items()}

    def _batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Images drawn by their chances, each shifted by itself; what comes in at an edge mirrors what is there."""
        examples, side = self.examples, self.examples.pixels.shape[-1]
        rows = np.searchsorted(examples.cumulative, rng.random(BATCH), side="right").clip(max=len(examples.pixels) - 1)
        most = side // 8
        padded = np.pad(examples.pixels[rows], ((0, 0), (0, 0), (most, most), (most, most)), "reflect")
        moves = rng.integers(0, 2 * most + 1, (BATCH, 2))
        shifted = np.stack([image[:, y : y + side, x : x + side] for image, (y, x) in zip(padded, moves)])
        if self._distort is not None:
            shifted = self._distort(shifted, rng)
        classes, domains = (torch.from_numpy(v[rows]).to(self.device) for v in (examples.classes, examples.domains))
        return _scaled(shifted, self.device), classes, domains

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])


def cached(examples: Examples, artifacts: "Artifacts", recipe: Recipe | None = None) -> ResNet:
    """The classifier of these examples in evaluation mode, trained once. A killed training goes on."""
    from safetensors.torch import load_file

    network = ResNet(examples.pixels.shape[-1], examples.n_classes)
    network.load_state_dict(load_file(artifact(examples, artifacts, recipe) / "weights.safetensors"))
    return network.to(artifacts.loop.compute.device).eval()


def artifact(examples: Examples, artifacts: "Artifacts", recipe: Recipe | None = None) -> Path:
    """The folder in which the classifier of these examples is kept."""
    from safetensors.torch import save_file

    recipe = recipe or Recipe("resnet", VERSION, STEPS)
    device = artifacts.loop.compute.device

    def build(folder: Path) -> None:
        training = ResNetTraining(examples, device, recipe)
        artifacts.loop.run("classifier", folder, training, training.step, training.total, BATCH)
        save_file({k: v.contiguous() for k, v in training.network.state_dict().items()}, folder / "weights.safetensors")

    key = {"version": recipe.version, "steps": recipe.steps, "batch": BATCH, "shape": list(examples.pixels.shape)}
    key["images"] = examples.sha256
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        return artifacts.make(recipe.name, key, build)


def trained(examples: Examples, device: torch.device, steps: int, report: Callable[[str], None]) -> ResNet:
    """A classifier that is not kept."""
    training = ResNetTraining(examples, device, Recipe("resnet", VERSION, steps))
    for step in range(steps):
        training.step(step)
        report(f"classifier of the outputs: step {step + 1}/{steps}")
    return training.network.eval()


def probabilities(network: ResNet, pixels: "Pixels", device: torch.device) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities float64 of the classes (n, C) and of source and target (n, 2), image by image."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pixels), 2 * BATCH):
            logits = network(_scaled(pixels[start : start + 2 * BATCH], device))
            parts.append([torch.softmax(part.double(), 1).cpu().numpy() for part in logits])
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def features(network: ResNet, pixels: "Pixels", device: torch.device) -> np.ndarray:
    """The last stage's maps, float64 (n, 64 * positions), each image's of root mean square one: what is where."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pixels), 2 * BATCH):
            maps = network.trunk(_scaled(pixels[start : start + 2 * BATCH], device)).flatten(1)
            parts.append((F.normalize(maps.double(), dim=1) * maps.shape[1] ** 0.5).cpu().numpy())
    return np.concatenate(parts)


def _scaled(pixels: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).to(device).float() / 127.5 - 1
