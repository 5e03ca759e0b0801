"""The denoising U-Net of DDPM (Ho et al., NeurIPS 2020, appendix B)."""

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.nn.dropout import Dropout
from bench.methods.nn.time_embedding import time_embedding

GROUPS = 32  # of every group norm, or as many as divide the channels
EPS = 1e-6  # of every group norm


def group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels, EPS)


class ZeroConv2d(nn.Conv2d):
    """A conv that starts as zero, so that the branch that it ends starts as nothing."""

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        assert self.bias is not None
        nn.init.zeros_(self.bias)


class ResidualBlock(nn.Module):
    """x + conv(SiLU(GN(conv(SiLU(GN(x))) + linear(SiLU(time))))), with dropout before the second conv."""

    def __init__(self, inputs: int, outputs: int, n_time: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = group_norm(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time = nn.Linear(n_time, outputs)
        self.norm2 = group_norm(outputs)
        self.dropout = Dropout(dropout)
        self.conv2 = ZeroConv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, time: Tensor, rng: torch.Generator | None) -> Tensor:
        hidden = self.conv1(F.silu(self.norm1(x)))
        hidden = hidden + self.time(F.silu(time))[:, :, None, None]
        hidden = self.dropout(F.silu(self.norm2(hidden)), rng)
        return self.shortcut(x) + self.conv2(hidden)


class Attention(nn.Module):
    """x + conv1(self-attention of the normed positions), one head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = ZeroConv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, dim=2)
        return x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape))


class Stage(nn.Module):
    """A residual block, then attention where the map is small enough to have it."""

    def __init__(self, inputs: int, outputs: int, n_time: int, dropout: float, attention: bool) -> None:
        super().__init__()
        self.block = ResidualBlock(inputs, outputs, n_time, dropout)
        self.attention = Attention(outputs) if attention else nn.Identity()

    def forward(self, x: Tensor, time: Tensor, rng: torch.Generator | None) -> Tensor:
        return self.attention(self.block(x, time, rng))


class Downsample(nn.Conv2d):
    """Halves the side by a conv of stride 2, padded by one row below and one column to the right."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Conv2d):
    """Doubles the side by repeating pixels, then a conv."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.interpolate(x, scale_factor=2, mode="nearest"))


class DiffusionUNet(nn.Module):
    """Noisy images (N, C, S, S) and their steps (N,) -> the noise in them, (N, C, S, S).

    width        channels at the full side
    multipliers  of the width, one for each side from S on, halving; S is divisible by 2 ** (their number - 1)
    blocks       residual blocks of each side on the way down; on the way up there is one more
    attention    sides that have attention; the innermost one has it between its two middle blocks always
    """

    def __init__(
        self,
        channels: int,
        side: int,
        width: int,
        multipliers: tuple[int, ...],
        blocks: int,
        attention: Iterable[int],
        dropout: float,
    ) -> None:
        super().__init__()
        self.width = width
        attended, n_time = set(attention), 4 * width
        self.time = nn.Sequential(nn.Linear(width, n_time), nn.SiLU(), nn.Linear(n_time, n_time))
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        skips, current = [width], width
        sides = [side // 2**level for level in range(len(multipliers))]
        for level, (factor, at) in enumerate(zip(multipliers, sides)):
            for _ in range(blocks):
                self.down.append(Stage(current, factor * width, n_time, dropout, at in attended))
                current = factor * width
                skips.append(current)
            if level < len(sides) - 1:
                self.down.append(Downsample(current))
                skips.append(current)
        self.middle = nn.ModuleList(
            [Stage(current, current, n_time, dropout, True), Stage(current, current, n_time, dropout, False)]
        )
        for level in reversed(range(len(sides))):
            for _ in range(blocks + 1):
                inputs, current = current + skips.pop(), multipliers[level] * width
                self.up.append(Stage(inputs, current, n_time, dropout, sides[level] in attended))
            if level:
                self.up.append(Upsample(current))
        self.last = nn.Sequential(group_norm(current), nn.SiLU(), ZeroConv2d(current, channels, 3, padding=1))

        xavier_uniform_init(self)

    def forward(self, x: Tensor, t: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """rng: draws the masks of dropout, None: no dropout."""
        time = self.time(time_embedding(t, self.width))
        x = self.first(x)
        skips = [x]
        for layer in self.down:
            x = layer(x) if isinstance(layer, Downsample) else layer(x, time, rng)
            skips.append(x)
        for stage in self.middle:
            x = stage(x, time, rng)
        for layer in self.up:
            x = layer(x) if isinstance(layer, Upsample) else layer(torch.cat([x, skips.pop()], 1), time, rng)
        return self.last(x)


def xavier_uniform_init(network: nn.Module) -> None:
    """Every conv and linear weight: uniform with Xavier's variance; biases 0. Convs that start as zero stay so."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)) and not isinstance(module, ZeroConv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
