"""StarGAN v2's networks. Images are (N, C, S, S), classes int64 (N,), styles (N, style)."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.nn import losses
from bench.methods.nn.kernels import Conv2d, InstanceNorm2d, adain
from bench.methods.nn.layers import SLOPE, kaiming_init
from bench.methods.nn.resampling import conv_then_pool, upsample_then_conv
from bench.methods.starganv2.config import StarGANv2Config

HALF = math.sqrt(0.5)  # a sum of two branches keeps its variance


class DownBlock(nn.Module):
    """ResBlk: activation-first residual block; (N, inputs, H, W) -> (N, outputs, H, W), or half the side."""

    def __init__(self, inputs: int, outputs: int, norm: bool = False, down: bool = False) -> None:
        super().__init__()
        self.down = down
        self.norm1 = InstanceNorm2d(inputs, affine=True) if norm else nn.Identity()
        self.norm2 = InstanceNorm2d(inputs, affine=True) if norm else nn.Identity()
        self.conv1 = Conv2d(inputs, inputs, 3, padding=1)
        self.conv2 = Conv2d(inputs, outputs, 3, padding=1)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.leaky_relu(self.norm1(x), SLOPE)
        hidden = conv_then_pool(self.conv1, hidden) if self.down else self.conv1(hidden)
        hidden = self.conv2(F.leaky_relu(self.norm2(hidden), SLOPE))
        # a 1x1 conv and a mean of pixels may change places
        kept = self.shortcut(F.avg_pool2d(x, 2) if self.down else x)
        return HALF * (kept + hidden)


class StyledNorm(nn.Module):
    """AdaIN: (1 + gamma) * IN(x) + beta, gamma and beta linear in the style."""

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.linear = nn.Linear(style, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        gamma, beta = self.linear(style).chunk(2, dim=1)
        return adain(x, shift=beta, scale=1 + gamma)


class UpBlock(nn.Module):
    """AdainResBlk: (N, inputs, H, W) and style -> (N, outputs, H, W), or twice the side."""

    def __init__(self, inputs: int, outputs: int, style: int, up: bool = False, high_pass: bool = False) -> None:
        super().__init__()
        self.up, self.high_pass = up, high_pass
        self.norm1, self.norm2 = StyledNorm(inputs, style), StyledNorm(outputs, style)
        self.conv1 = Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        hidden = F.leaky_relu(self.norm1(x, style), SLOPE)
        hidden = upsample_then_conv(self.conv1, hidden) if self.up else self.conv1(hidden)
        hidden = self.conv2(F.leaky_relu(self.norm2(hidden, style), SLOPE))
        if self.high_pass:
            return hidden  # the code makes the shortcut's weights here too, and never uses them
        kept = self.shortcut(x)  # before the repetition of pixels: same values
        return HALF * ((F.interpolate(kept, scale_factor=2) if self.up else kept) + hidden)


class Generator(nn.Module):
    """G(x, s): (N, C, S, S), (N, style) -> (N, C, S, S), unbounded."""

    def __init__(self, channels: int, config: StarGANv2Config) -> None:
        super().__init__()
        high_pass = config.w_hpf > 0
        widths = config.widths(int(math.log2(config.resolution)) - 4 + high_pass)
        first, last = widths[0], widths[-1]
        self.from_rgb = nn.Conv2d(channels, first, 3, padding=1)
        down = [DownBlock(a, b, norm=True, down=True) for a, b in pairwise(widths)]
        self.encoder = nn.Sequential(*down, *(DownBlock(last, last, norm=True) for _ in range(2)))
        middle = [UpBlock(last, last, config.style, high_pass=high_pass) for _ in range(2)]
        up = [UpBlock(a, b, config.style, up=True, high_pass=high_pass) for a, b in pairwise(widths[::-1])]
        self.decoder = nn.ModuleList([*middle, *up])
        self.to_rgb = nn.Sequential(
            InstanceNorm2d(first, affine=True), nn.LeakyReLU(SLOPE), nn.Conv2d(first, channels, 1)
        )
        kaiming_init(self)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return self.decode(self.encode(x), style)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(self.from_rgb(x))

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        for block in self.decoder:
            content = block(content, style)
        return self.to_rgb(content)


class MappingNetwork(nn.Module):
    """F(z, y): noise (N, latent), classes (N,) -> style (N, style)."""

    def __init__(self, config: StarGANv2Config, classes: int) -> None:
        super().__init__()
        latent, width = config.latent, config.mapping_width
        self.shared = nn.Sequential(*_dense(latent, width), *(part for _ in range(3) for part in _dense(width, width)))
        self.heads = nn.ModuleList(
            nn.Sequential(*(part for _ in range(3) for part in _dense(width, width)), nn.Linear(width, config.style))
            for _ in range(classes)
        )
        kaiming_init(self)

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:
        return _of_head(self.heads, self.shared(noise), label)


class StyleEncoder(nn.Module):
    """E(x, y): images (N, C, S, S), classes (N,) -> style (N, style)."""

    def __init__(self, channels: int, config: StarGANv2Config, classes: int) -> None:
        super().__init__()
        self.trunk, width = _trunk(channels, config)
        self.heads = nn.ModuleList(nn.Linear(width, config.style) for _ in range(classes))
        kaiming_init(self)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        return _of_head(self.heads, self.trunk(x).flatten(1), label)


class Discriminator(nn.Module):
    """D(x, y): images (N, C, S, S), classes (N,) -> logit (N,)."""

    def __init__(self, channels: int, config: StarGANv2Config, classes: int) -> None:
        super().__init__()
        self.trunk, width = _trunk(channels, config)
        self.logits = nn.Conv2d(width, classes, 1)
        kaiming_init(self)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        return losses.of_class(self.logits(self.trunk(x)), label).flatten()


def _trunk(channels: int, config: StarGANv2Config) -> tuple[nn.Sequential, int]:
    """(N, C, S, S) -> (N, width, 1, 1), and its width."""
    widths = config.widths(int(math.log2(config.resolution)) - 2)
    blocks = [DownBlock(a, b, down=True) for a, b in pairwise(widths)]
    last = widths[-1]
    ending = [nn.LeakyReLU(SLOPE), Conv2d(last, last, 4), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(nn.Conv2d(channels, widths[0], 3, padding=1), *blocks, *ending), last


def _dense(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs), nn.ReLU()]


def _of_head(heads: nn.ModuleList, hidden: Tensor, label: Tensor) -> Tensor:
    """Each row through the head of its class. All heads see all rows: choosing first would wait for the device."""
    outputs = torch.stack([head(hidden) for head in heads], dim=1)
    return outputs[torch.arange(len(label), device=label.device), label]
