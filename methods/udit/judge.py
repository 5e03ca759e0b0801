"""Frozen judges: networks that see in an image what its translation must keep, and learn nothing from translating.

Any module will do that maps images (N, C, S, S) in [-1, 1] to features (N, ...) and lets gradients through to them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bench import Artifacts, Loop, TaskData, digest, pretrained_weights
from bench.methods.nn.layers import ConvBlock

VERSION = 1  # of the classifier below; raise it when the code gives other weights
BATCH = 64
EFFNET_SIDE = 224  # pixels; what EfficientNet-Lite0 was trained on


class Frozen(nn.Module):
    """A network that no optimizer has and that is always in eval mode."""

    def train(self, mode: bool = True) -> "Frozen":
        return super().train(False)


@dataclass(frozen=True)
class JudgeOptions:
    """Everything but the images that a classifier depends on."""

    classes: int
    width: int
    channels: int
    steps: int
    lr: float
    seed: int


class Classifier(Frozen):
    """Names the class of an image; its judgement h(x) is the last map, reduced to a few channels by a 1x1 conv that is
    trained with it (section 5 of the thesis): (N, C, S, S) -> (N, channels, S / 8, S / 8)."""

    def __init__(self, image_channels: int, options: JudgeOptions) -> None:
        super().__init__()
        widths = [image_channels, options.width, 2 * options.width, 4 * options.width]
        self.features = nn.Sequential(
            *(ConvBlock(a, b, 4, 2, 1) for a, b in pairwise(widths)), nn.Conv2d(widths[-1], options.channels, 1)
        )
        self.head = nn.Linear(options.channels, options.classes)

    def forward(self, image: Tensor) -> Tensor:
        return self.features(image)

    def logits(self, image: Tensor) -> Tensor:
        """(N, classes)."""
        return self.head(self(image).mean((2, 3)))


class EffNet(Frozen):
    """EfficientNet-Lite0 of ImageNet, up to its last map: (N, C, S, S) -> (N, 1280, 7, 7), at 224 pixels."""

    def __init__(self) -> None:
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        self.network = EfficientNet.from_name("efficientnet-lite0")

    def load(self) -> None:
        path = pretrained_weights("effnet-lite0")
        self.network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))

    def forward(self, image: Tensor) -> Tensor:
        large = F.interpolate(image, size=EFFNET_SIDE, mode="bilinear", antialias=True)
        pixels = (large.expand(-1, 3, -1, -1) + 1) * 127.5
        return self.network.extract_features((pixels - 127) / 128)


def learn(options: JudgeOptions, data: TaskData, artifacts: Artifacts) -> Path:
    """The file with the weights of a classifier of the labelled training images of both domains, as an artifact."""
    domains = [data.source_train, data.target_train]
    key = {
        "version": VERSION,
        "dataset": data.dataset,
        "manifest": data.manifest_sha256,
        "images": [digest(domain.ids) for domain in domains],
        "amp": artifacts.loop.compute.amp,
        **asdict(options),
    }

    def build(folder: Path) -> None:
        training = JudgeTraining(options, data, artifacts.loop)
        device = artifacts.loop.compute.device
        # a resumed stage restores the global generators of the run that began it; this run's must survive that
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            artifacts.loop.run("judge", folder, training, training.step, options.steps, BATCH)
        weights = {name: value.contiguous() for name, value in training.network.state_dict().items()}
        save_file(weights, folder / "weights.safetensors")

    return artifacts.make("judge", key, build) / "weights.safetensors"


def load(judge: nn.Module, path: Path) -> None:
    judge.load_state_dict(load_file(path))


class JudgeTraining:
    """The classifier's training as the loop wants it; a step depends on (seed, step) alone. Classes come equally often,
    so that a bias of the data is none of the judge."""

    def __init__(self, options: JudgeOptions, data: TaskData, loop: Loop) -> None:
        self.options = options
        self.compute = loop.compute
        self.domains = [data.source_train, data.target_train]
        self.labels = np.concatenate([domain.labels for domain in self.domains])
        self.members = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels) if label >= 0]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            network = Classifier(self.domains[0].bank.images.shape[1], options)
        self.network = network.to(self.compute.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), options.lr, fused=True)

    def step(self, step: int) -> Mapping[str, Tensor]:
        rng = np.random.default_rng([self.options.seed, step])
        classes = rng.integers(0, len(self.members), BATCH)
        rows = np.sort([rng.choice(self.members[i]) for i in classes])
        wanted = torch.from_numpy(self.labels[rows]).to(self.compute.device)
        logits = self.network.logits(self.compute.images(self._pixels(rows)))
        loss = F.cross_entropy(logits, wanted)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return {"judge": loss.detach(), "judge_accuracy": (logits.argmax(1) == wanted).float().mean()}

    def _pixels(self, rows: np.ndarray) -> np.ndarray:
        """The images of sorted rows, which count through the source and then through the target."""
        first = len(self.domains[0])
        source, target = rows[rows < first], rows[rows >= first] - first
        return np.concatenate([self.domains[0].images(source), self.domains[1].images(target)])

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
