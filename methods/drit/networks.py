"""DRIT's networks (code HsinYingLee/DRIT). Images are (N, C, S, S), attributes (N, latent); padding reflects.

Weights of convs start at N(0, 0.02); all else starts as the framework has it. The encoders and generators hold what is
each domain's own in lists of two, source first, and what the domains share beside it.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.nn.kernels import Conv2d, InstanceNorm2d
from bench.methods.nn.layers import ConvBlock, ResidualBlock, reflect_conv
from bench.methods.nn.multiscale import Discriminator

SLOPE = 0.01  # of the leaky ReLUs, but for those of the attribute encoder
ATTRIBUTE_SLOPE = 0.2
CONTENT_KERNEL, CONTENT_LAST = 7, 4  # of the content discriminator
MOST_CONTENT_LAYERS = 3


def conv_normal_init(network: nn.Module) -> None:
    """Every weight of a conv or transposed conv: N(0, 0.02); biases and linear layers stay as they are."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, 0.02)


class ContentEncoder(nn.Module):
    """Image of a domain (0: source, 1: target) -> content (N, width * 2^downs, S / 2^downs, S / 2^downs).

    The last residual block is shared. Training adds noise of unit variance behind it; the caller does.
    """

    def __init__(self, channels: int, width: int, downs: int, blocks: int) -> None:
        super().__init__()
        inner = width * 2**downs
        self.own = nn.ModuleList(self._own(channels, width, downs, blocks) for _ in range(2))
        self.shared = ResidualBlock(inner)
        conv_normal_init(self)

    @staticmethod
    def _own(channels: int, width: int, downs: int, blocks: int) -> nn.Sequential:
        widths = [width * 2**i for i in range(downs + 1)]
        return nn.Sequential(
            ConvBlock(channels, width, 7, padding=3, activation="leaky", slope=SLOPE),
            *(ConvBlock(a, b, 3, 2, 1, norm="instance") for a, b in pairwise(widths)),
            *(ResidualBlock(widths[-1]) for _ in range(blocks)),
        )

    def forward(self, image: Tensor, domain: int) -> Tensor:
        return self.shared(self.own[domain](image))


class PooledBlock(nn.Module):
    """Two times (leaky ReLU, conv3), then an average of 2x2, plus the same average and a conv1 of the input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = reflect_conv(inputs, inputs, 3, padding=1)
        self.second = reflect_conv(inputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(F.leaky_relu(x, ATTRIBUTE_SLOPE))
        hidden = self.second(F.leaky_relu(hidden, ATTRIBUTE_SLOPE))
        return F.avg_pool2d(hidden, 2) + self.shortcut(F.avg_pool2d(x, 2))


class GaussianAttributeEncoder(nn.Module):
    """Image of a domain -> mean and log variance (N, latent) of its attribute; for pairs that keep shapes."""

    def __init__(self, channels: int, width: int, latent: int) -> None:
        super().__init__()
        self.own = nn.ModuleList(self._own(channels, width) for _ in range(2))
        self.mean = nn.ModuleList(nn.Linear(4 * width, latent) for _ in range(2))
        self.log_variance = nn.ModuleList(nn.Linear(4 * width, latent) for _ in range(2))
        conv_normal_init(self)

    @staticmethod
    def _own(channels: int, width: int) -> nn.Sequential:
        return nn.Sequential(
            reflect_conv(channels, width, 4, 2, 1),
            *(PooledBlock(i * width, (i + 1) * width) for i in (1, 2, 3)),
            nn.LeakyReLU(ATTRIBUTE_SLOPE),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )

    def forward(self, image: Tensor, domain: int) -> tuple[Tensor, Tensor]:
        features = self.own[domain](image)
        return self.mean[domain](features), self.log_variance[domain](features)


class PlainAttributeEncoder(nn.Module):
    """Image of a domain -> its attribute (N, latent); for pairs that change shapes."""

    def __init__(self, channels: int, width: int, latent: int) -> None:
        super().__init__()
        self.own = nn.ModuleList(self._own(channels, width, latent) for _ in range(2))
        conv_normal_init(self)

    @staticmethod
    def _own(channels: int, width: int, latent: int) -> nn.Sequential:
        widths = [width, 2 * width, 4 * width, 4 * width, 4 * width]
        return nn.Sequential(
            ConvBlock(channels, width, 7, padding=3),
            *(ConvBlock(a, b, 4, 2, 1) for a, b in pairwise(widths)),
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(4 * width, latent, 1),
            nn.Flatten(),
        )

    def forward(self, image: Tensor, domain: int) -> tuple[Tensor, None]:
        return self.own[domain](image), None


class ConcatGenerator(nn.Module):
    """Content and attribute -> image of a domain; the attribute joins as constant channels before every stage.

    A residual block comes first, which the domains share.
    """

    def __init__(self, channels: int, width: int, downs: int, blocks: int, latent: int) -> None:
        super().__init__()
        self.shared = ResidualBlock(width * 2**downs)
        self.own = nn.ModuleList(self._own(channels, width, downs, blocks, latent) for _ in range(2))
        conv_normal_init(self)

    @staticmethod
    def _own(channels: int, width: int, downs: int, blocks: int, latent: int) -> nn.ModuleList:
        inner = width * 2**downs + latent
        stages: list[nn.Module] = [nn.Sequential(*(ResidualBlock(inner) for _ in range(blocks)))]
        for _ in range(downs):
            stages.append(nn.Sequential(*doubling(inner + latent, (inner + latent) // 2)))
            inner = (inner + latent) // 2
        stages.append(nn.Sequential(nn.ConvTranspose2d(inner + latent, channels, 1), nn.Tanh()))
        return nn.ModuleList(stages)

    def forward(self, content: Tensor, attribute: Tensor, domain: int) -> Tensor:
        x = self.shared(content)
        stages = self.own[domain]
        assert isinstance(stages, nn.ModuleList)
        for stage in stages:
            x = stage(join(x, attribute))
        return x


class AttributeResidualBlock(nn.Module):
    """x plus two times (conv3, IN, concatenated attribute, two conv1 with ReLU)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Sequential(reflect_conv(channels, channels, 3, padding=1), InstanceNorm2d(channels)) for _ in range(2)
        )
        self.mixers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(2 * channels, 2 * channels, 1),
                nn.ReLU(),
                nn.Conv2d(2 * channels, channels, 1),
                nn.ReLU(),
            )
            for _ in range(2)
        )

    def forward(self, x: Tensor, attribute: Tensor) -> Tensor:
        hidden = x
        for conv, mixer in zip(self.convs, self.mixers):
            hidden = mixer(join(conv(hidden), attribute))
        return x + hidden


class TransformGenerator(nn.Module):
    """Content and attribute -> image of a domain; a network makes of the attribute a vector for each residual block.

    The domains share nothing.
    """

    def __init__(self, channels: int, width: int, downs: int, blocks: int, latent: int) -> None:
        super().__init__()
        inner = width * 2**downs
        self.mlps = nn.ModuleList(
            nn.Sequential(
                *(nn.Linear(latent, inner), nn.ReLU(), nn.Linear(inner, inner), nn.ReLU()),
                nn.Linear(inner, (blocks + 1) * inner),
            )
            for _ in range(2)
        )
        self.blocks = nn.ModuleList(
            nn.ModuleList(AttributeResidualBlock(inner) for _ in range(blocks + 1)) for _ in range(2)
        )
        self.up = nn.ModuleList(self._up(channels, width, downs) for _ in range(2))
        conv_normal_init(self)

    @staticmethod
    def _up(channels: int, width: int, downs: int) -> nn.Sequential:
        widths = [width * 2**i for i in range(downs, -1, -1)]
        layers = [layer for a, b in pairwise(widths) for layer in doubling(a, b)]
        return nn.Sequential(*layers, nn.ConvTranspose2d(width, channels, 1), nn.Tanh())

    def forward(self, content: Tensor, attribute: Tensor, domain: int) -> Tensor:
        blocks = self.blocks[domain]
        assert isinstance(blocks, nn.ModuleList)
        for block, part in zip(blocks, self.mlps[domain](attribute).chunk(len(blocks), dim=1)):
            content = block(content, part)
        return self.up[domain](content)


def doubling(inputs: int, outputs: int) -> list[nn.Module]:
    """Twice the side. The norm is over an image's (C, H, W), with a scale and a shift a channel."""
    return [
        nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1),
        nn.GroupNorm(1, outputs),
        nn.ReLU(),
    ]


def join(x: Tensor, attribute: Tensor) -> Tensor:
    """The attribute (N, d) as d constant channels behind those of x."""
    return torch.cat([x, attribute[:, :, None, None].expand(-1, -1, *x.shape[2:]).to(x.dtype)], dim=1)


def discriminator(channels: int, width: int, downs: int, n_scales: int) -> Discriminator:
    return Discriminator(channels, width, downs, n_scales, SLOPE, conv_normal_init)


class ContentDiscriminator(nn.Sequential):
    """Content (N, channels, s, s) -> logits (N, 1, t, t): is it of the target? t = 1 for the paper's s = 54.

    layers  7x7 convs of stride 2 before the 4x4 conv. The code asks for instance norms in them and, by a slip, never
            makes any; so there are none here.
    """

    def __init__(self, channels: int, layers: int) -> None:
        parts: list[nn.Module] = []
        for _ in range(layers):
            parts += [reflect_conv(channels, channels, CONTENT_KERNEL, 2, 1), nn.LeakyReLU(SLOPE)]
        parts += [Conv2d(channels, channels, CONTENT_LAST), nn.LeakyReLU(SLOPE), nn.Conv2d(channels, 1, 1)]
        super().__init__(*parts)
        conv_normal_init(self)


def content_layers_that_fit(side: int) -> int:
    """The most 7x7 convs, up to the paper's three, that leave a content map of this side a 4x4 window; -1: not one."""
    if side < CONTENT_LAST:
        return -1
    halved = (side + 2 - CONTENT_KERNEL) // 2 + 1
    return min(MOST_CONTENT_LAYERS, 1 + content_layers_that_fit(halved))
