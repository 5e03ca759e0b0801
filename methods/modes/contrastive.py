"""The contrastive encoder of BalaGAN's first stage: SimCLR (Chen et al. 2020) with a ResNet-18."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.modes import views

TEMPERATURE = 0.5
PROJECTION = 256  # length of the vector that enters the loss


def nt_xent(first: Tensor, second: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Normalised temperature-scaled cross entropy of two views (N, d): the mean over all 2N projections of
    -log(exp(s_positive / T) / sum over the 2N - 1 others of exp(s / T)), s the cosine similarity. Under autocast the
    similarities are float32."""
    n = len(first)
    with torch.autocast(first.device.type, enabled=False):
        z = F.normalize(torch.cat([first, second]).float(), dim=1)
        logits = z @ z.T / temperature
    logits = logits.masked_fill(torch.eye(2 * n, dtype=torch.bool, device=z.device), -torch.inf)
    positive = torch.arange(2 * n, device=z.device).roll(n)
    return F.cross_entropy(logits, positive)


class BasicBlock(nn.Module):
    """Two 3x3 convs with batch norm and a shortcut (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(shortcut + self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class ResNet18(nn.Module):
    """torchvision's ResNet-18 without its classifier, at any width: (N, C, S, S) -> (N, 8 * width)."""

    def __init__(self, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = _stage(width, width, 1)
        self.layer2 = _stage(width, 2 * width, 2)
        self.layer3 = _stage(2 * width, 4 * width, 2)
        self.layer4 = _stage(4 * width, 8 * width, 2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3))


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1))


class Contrastive(nn.Module):
    """Encoder h and projection z: only z enters the loss, h is what is clustered. Pixels are in [0, 1] throughout."""

    def __init__(self, channels: int, width: int, augmentations: views.Views, mirror: bool = True) -> None:
        super().__init__()
        self.augmentations: views.Views = augmentations
        self.mirror = mirror
        self.encoder = ResNet18(channels, width)
        self.projection = nn.Sequential(nn.Linear(8 * width, 8 * width), nn.ReLU(), nn.Linear(8 * width, PROJECTION))

    def loss(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """NT-Xent of two random views, each with a forward pass (and batch statistics) of its own."""
        first = self.projection(self.encoder(views.augment(images, rng, self.augmentations, self.mirror)))
        second = self.projection(self.encoder(views.augment(images, rng, self.augmentations, self.mirror)))
        return nt_xent(first, second)

    def embed(self, images: Tensor) -> Tensor:
        """h (N, 8 * width) of the images as they are shown at extraction: enlarged to 140/128, centre crop."""
        side = images.shape[-1]
        larger = round(side * 140 / 128)
        images = F.interpolate(images, size=larger, mode="bilinear", antialias=True)
        start = (larger - side) // 2
        return self.encoder(images[..., start : start + side, start : start + side])
