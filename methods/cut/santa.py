"""SANTA's generator and its path loss (Xie et al., CVPR 2023; code Mid-Push/santa at 1983536).

The decoder gets a place d on the line from the source (0) to the target (1). The shorter the path of its features along
that line, the less a translation changes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench.methods.nn.blur import BlurUp
from bench.methods.nn.kernels import adain
from bench.methods.nn.layers import ConvBlock, ResidualBlock, reflect_conv, xavier_init
from bench.methods.nn.resnet import blurred_down

SHORTEST = 0.1  # interval that the change of features is divided by, at least


class DomainNorm(nn.Module):
    """(1 + gamma) * IN(x) + beta, gamma and beta linear in the code of a domain (N, code)."""

    def __init__(self, channels: int, code: int) -> None:
        super().__init__()
        self.linear = nn.Linear(code, 2 * channels)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        gamma, beta = self.linear(code).chunk(2, dim=1)
        return adain(x, shift=beta, scale=1 + gamma)


class DomainBlock(nn.Module):
    """x + norm(conv3(relu(norm(conv3(x))))), both norms DomainNorm."""

    def __init__(self, channels: int, code: int) -> None:
        super().__init__()
        self.first = reflect_conv(channels, channels, 3, padding=1)
        self.norm1 = DomainNorm(channels, code)
        self.second = reflect_conv(channels, channels, 3, padding=1)
        self.norm2 = DomainNorm(channels, code)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        hidden = torch.relu(self.norm1(self.first(x), code))
        return x + self.norm2(self.second(hidden), code)


class PathGenerator(nn.Module):
    """encode: (N, C, S, S) -> (N, 4 width, S/4, S/4); decode: that and d (N,) -> (N, C, S, S) in [-1, 1]."""

    def __init__(self, channels: int, width: int, blocks: int, code: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            ConvBlock(channels, width, 7, padding=3, norm="instance"),
            *blurred_down(width),
            *blurred_down(2 * width),
            *(ResidualBlock(4 * width) for _ in range(blocks // 2)),
        )
        self.decoder = nn.ModuleList(
            [
                *(DomainBlock(4 * width, code) for _ in range(blocks - blocks // 2)),
                *_up(4 * width, code),
                *_up(2 * width, code),
                nn.ReflectionPad2d(3),
                nn.Conv2d(width, channels, 7),
                nn.Tanh(),
            ]
        )
        self.domains = nn.Embedding(2, code)
        xavier_init(self)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, hidden: Tensor, place: Tensor) -> Tensor:
        return self._walk(hidden, place, [])[0]

    def path_features(self, hidden: Tensor, place: Tensor, taps: Sequence[int]) -> list[Tensor]:
        """What the layers `taps` of the decoder give; a residual block counts as one, all other layers as in torch."""
        return self._walk(hidden, place, taps)[1]

    def _walk(self, x: Tensor, place: Tensor, taps: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        source, target = self.domains.weight
        code = source + place[:, None] * (target - source)
        features = []
        for number, layer in enumerate(self.decoder):
            x = layer(x, code) if isinstance(layer, (DomainBlock, DomainNorm)) else layer(x)
            features += [x] if number in taps else []
        return x, features


def path_energy(before: Sequence[Tensor], after: Sequence[Tensor], interval: Tensor) -> Tensor:
    """Mean over layers of mean ((f(d1) - f(d2)) / max(d1 - d2, 0.1))^2; interval (N,) is d1 - d2 of each image."""
    divisor = interval.clamp(min=SHORTEST)[:, None, None, None]
    return torch.stack([((f - g) / divisor).square().mean() for f, g in zip(after, before)]).mean()


def _up(width: int, code: int) -> list[nn.Module]:
    return [BlurUp(), nn.Conv2d(width, width // 2, 3, padding=1), DomainNorm(width // 2, code), nn.ReLU()]
