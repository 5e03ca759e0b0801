"""The ResNet of WGAN-GP (Gulrajani et al., NeurIPS 2017): a generator of images from noise, its critic, their losses.

At 64 pixels these are the networks of TransferGAN. For another side there are as many blocks as it takes to reach 4x4.
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.nn.losses import mixture, wgan_gp
from bench.methods.nn.resampling import conv_then_pool, upsample_then_conv

SMALLEST = 4  # side of the maps where generator and critic meet
WIDEST = 8  # channels grow up to this many times the width


def n_blocks(resolution: int) -> int:
    """Residual blocks of each network: the side is 4 times a power of two."""
    return int(math.log2(resolution / SMALLEST))


class UpBlock(nn.Module):
    """BN, ReLU, conv3 of the doubled map, BN, ReLU, conv3; plus the doubled input through a 1x1 conv."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = upsample_then_conv(self.conv1, F.relu(self.norm1(x)))
        hidden = self.conv2(F.relu(self.norm2(hidden)))
        # a 1x1 conv and repeated pixels can be exchanged
        return F.interpolate(self.shortcut(x), scale_factor=2) + hidden


class DownBlock(nn.Module):
    """LN, ReLU, conv3, LN, ReLU, conv3, mean of 2x2; plus the mean of the input through a 1x1 conv."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(1, inputs)
        self.conv1 = nn.Conv2d(inputs, inputs, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(1, inputs)
        self.conv2 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv1(F.relu(self.norm1(x)))
        hidden = conv_then_pool(self.conv2, F.relu(self.norm2(hidden)))
        return self.shortcut(F.avg_pool2d(x, 2)) + hidden


class Generator(nn.Module):
    """Noise (N, latent) -> images (N, channels, resolution, resolution) in [-1, 1]."""

    def __init__(self, channels: int, resolution: int, width: int, latent: int) -> None:
        super().__init__()
        self.latent = latent
        n = n_blocks(resolution)
        widths = [width * min(2**level, WIDEST) for level in reversed(range(n))]
        self.first = nn.Linear(latent, SMALLEST**2 * widths[0])
        self.blocks = nn.Sequential(*(UpBlock(i, o) for i, o in zip([widths[0], *widths], widths)))
        self.last = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, channels, 3, padding=1), nn.Tanh())
        wgan_init(self)

    def forward(self, z: Tensor) -> Tensor:
        return self.last(self.blocks(self.first(z).unflatten(1, (-1, SMALLEST, SMALLEST))))

    def noise(self, n: int, rng: torch.Generator | None, device: torch.device) -> Tensor:
        """(n, latent), normal."""
        return torch.randn(n, self.latent, generator=rng, device=device)


class Critic(nn.Module):
    """Images (N, channels, resolution, resolution) -> scores (N,)."""

    def __init__(self, channels: int, resolution: int, width: int) -> None:
        super().__init__()
        widths = [width * min(2**level, WIDEST) for level in range(n_blocks(resolution) + 1)]
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.Sequential(*(DownBlock(i, o) for i, o in pairwise(widths)))
        self.last = nn.Linear(SMALLEST**2 * widths[-1], 1)
        wgan_init(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.blocks(self.first(images)).flatten(1))[:, 0]


def wgan_init(network: nn.Module) -> None:
    """Weights uniform with Xavier's variance, twice as much for 3x3 convs; biases 0."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            wide = isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)
            nn.init.xavier_uniform_(module.weight, math.sqrt(2) if wide else 1.0)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def wasserstein(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """mean D(fake) - mean D(real): what the critic makes small. `fake` needs no gradient."""
    scores = critic(torch.cat([real, fake])).float()
    return scores[len(real) :].mean() - scores[: len(real)].mean()


def penalty(critic: nn.Module, real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """mean (||grad D|| - 1)^2 at share * real + (1 - share) * fake; one share (N,) in [0, 1] an image."""
    between = mixture(real, fake, share)
    return wgan_gp(critic(between), between)
