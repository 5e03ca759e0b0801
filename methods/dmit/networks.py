"""DMIT's networks (code Xiaoming-Yu/DMIT at 311cb43).

Images are (N, C, S, S), labels one-hot (N, K), styles (N, latent).

Every layer with weights is spectrally normalised; weights start at N(0, 0.02), biases at 0; padding reflects.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.nn.dropout import Dropout
from bench.methods.nn.kernels import InstanceNorm2d, instance_norm
from bench.methods.nn.layers import SLOPE, normal_init, normalised

MOST_STYLE = 4  # widths of the style encoder grow up to this many times the first
MOST_IMAGE, MOST_CONTENT = 8, 2  # as much of an image's and of the content's discriminator


class ShiftedNorm(nn.Module):
    """CBIN: IN(x) + tanh(A code + a), a bounded shift and no scale. The linear layer is the condition's."""

    def __init__(self, channels: int, code: int) -> None:
        super().__init__()
        self.shift = nn.Linear(code, channels)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        return instance_norm(x) + torch.tanh(self.shift(code))[:, :, None, None]


class ResidualBlock(nn.Module):
    """x + IN(conv3(leaky(IN(conv3(x))))), convs without bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv_norm_leaky(channels, channels, 3, 1, 1), conv(channels, channels, 3, 1, 1), InstanceNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class ContentEncoder(nn.Sequential):
    """Image -> content (N, width * 2^downs, S / 2^downs, S / 2^downs)."""

    def __init__(self, channels: int, width: int, downs: int, blocks: int) -> None:
        widths = [width * 2**i for i in range(downs + 1)]
        super().__init__(
            *_conv_norm_leaky(channels, width, 7, 1, 3),
            *(layer for a, b in pairwise(widths) for layer in _conv_norm_leaky(a, b, 4, 2, 1)),
            *(ResidualBlock(widths[-1]) for _ in range(blocks)),
        )
        _finish(self)


class PooledBlock(nn.Module):
    """Two times (norm, leaky ReLU, conv3), then an average of 2x2, plus a conv1 of the same average of the input.

    code  length of the condition that shifts the norms; 0: plain instance norms
    """

    def __init__(self, inputs: int, outputs: int, code: int = 0) -> None:
        super().__init__()
        self.norms = nn.ModuleList(ShiftedNorm(inputs, code) for _ in range(2 if code else 0))
        self.first = conv(inputs, inputs, 3, 1, 1)
        self.second = conv(inputs, outputs, 3, 1, 1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, code: Tensor | None = None) -> Tensor:
        hidden = self.first(F.leaky_relu(self._norm(0, x, code), SLOPE))
        hidden = self.second(F.leaky_relu(self._norm(1, hidden, code), SLOPE))
        return F.avg_pool2d(hidden, 2) + self.shortcut(F.avg_pool2d(x, 2))

    def _norm(self, which: int, x: Tensor, code: Tensor | None) -> Tensor:
        return instance_norm(x) if code is None else self.norms[which](x, code)


class StyleEncoder(nn.Module):
    """Image -> mean and log variance (N, latent) of its style."""

    def __init__(self, channels: int, width: int, latent: int) -> None:
        super().__init__()
        widths = [width * min(i, MOST_STYLE) for i in range(1, 5)]
        self.features = nn.Sequential(
            conv(channels, width, 4, 2, 1, bias=True),
            *(PooledBlock(a, b) for a, b in pairwise(widths)),
            nn.LeakyReLU(SLOPE),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.mean = nn.Linear(widths[-1], latent)
        self.log_variance = nn.Linear(widths[-1], latent)
        _finish(self)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(image)
        return self.mean(features), self.log_variance(features)


class ConditionalBlock(nn.Module):
    """x + dropout(CBIN(conv3(relu(CBIN(conv3(x))))))."""

    def __init__(self, channels: int, code: int, dropout: float) -> None:
        super().__init__()
        self.first, self.second = conv(channels, channels, 3, 1, 1), conv(channels, channels, 3, 1, 1)
        self.first_norm, self.second_norm = ShiftedNorm(channels, code), ShiftedNorm(channels, code)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, code: Tensor, rng: torch.Generator | None) -> Tensor:
        hidden = F.relu(self.first_norm(self.first(x), code))
        return x + self.dropout(self.second_norm(self.second(hidden), code), rng)


class Decoder(nn.Module):
    """Content, label and style -> image in [-1, 1]."""

    def __init__(
        self, channels: int, width: int, downs: int, blocks: int, labels: int, latent: int, dropout: float
    ) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(downs, -1, -1)]
        self.blocks = nn.ModuleList(ConditionalBlock(widths[0], labels + latent, dropout) for _ in range(blocks))
        up: list[nn.Module] = []
        for a, b in pairwise(widths):
            up += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.GroupNorm(1, b), nn.ReLU()]
        self.up = nn.Sequential(*up, conv(width, channels, 7, 1, 3, bias=True), nn.Tanh())
        _finish(self)

    def forward(self, content: Tensor, label: Tensor, style: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """rng: draws the masks of dropout, None: no dropout."""
        code = torch.cat([label, style], dim=1)
        for block in self.blocks:
            content = block(content, code, rng)
        return self.up(content)


class Discriminator(nn.Module):
    """Images or contents (N, C, s, s) and labels -> scores (N, 1, t, t), t = s / 2^(blocks + 1)."""

    def __init__(self, channels: int, width: int, blocks: int, labels: int, most: int) -> None:
        super().__init__()
        widths = [width * min(2**i, most) for i in range(blocks + 1)]
        self.stem = conv(channels, width, 4, 2, 1, bias=True)
        self.blocks = nn.ModuleList(PooledBlock(a, b, labels) for a, b in pairwise(widths))
        self.scores = nn.Conv2d(widths[-1], 1, 1)
        _finish(self)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, label)
        return self.scores(x)


class ImageDiscriminator(nn.Module):
    """Two of them: on the image, and half as wide on an image half as large."""

    def __init__(self, channels: int, width: int, blocks: int, labels: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            Discriminator(channels, side_width, blocks, labels, MOST_IMAGE) for side_width in (width, width // 2)
        )

    def forward(self, image: Tensor, label: Tensor) -> list[Tensor]:
        half = F.avg_pool2d(image, 3, stride=2, padding=1, count_include_pad=False)
        return [self.scales[0](image, label), self.scales[1](half, label)]


def conv(inputs: int, outputs: int, kernel: int, stride: int, padding: int, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=bias, padding_mode="reflect")


def _conv_norm_leaky(inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> list[nn.Module]:
    return [conv(inputs, outputs, kernel, stride, padding), InstanceNorm2d(outputs), nn.LeakyReLU(SLOPE)]


def _finish(network: nn.Module) -> None:
    normal_init(network)
    normalised(network)
