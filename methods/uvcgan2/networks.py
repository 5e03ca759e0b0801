"""UVCGANv2's networks: a U-Net whose bottleneck is a transformer that modulates the decoder, and a discriminator whose
head sees maps of earlier images.

Both take and give images in [-1, 1] and compute on [0, 1] inside, as the code does throughout.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.nn.layers import normal_init, normalised
from bench.methods.nn.resampling import UpsampledConv
from bench.methods.nn.resnet import PatchDiscriminator

SLOPE = 0.01  # of the leaky ReLUs of generator and head; those of the body have 0.2
EPS = 1e-6  # of demodulation


class Attention(nn.Module):
    """Self-attention over tokens (N, L, width), with the weights and the start of torch's MultiheadAttention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * width, width)))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        together = F.linear(x, self.in_proj_weight, self.in_proj_bias).unflatten(2, (3, self.heads, -1))
        query, key, value = together.permute(2, 0, 3, 1, 4).unbind(0)
        seen = F.scaled_dot_product_attention(query, key, value)
        return self.out_proj(seen.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """x + a attention(norm(x)), then the same with two linear layers; the number a starts at 0 (ReZero)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.share = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.share * self.attention(self.norm1(x))
        return x + self.share * self.feed_forward(self.norm2(x))


class Transformer(nn.Module):
    """A map (N, width, s, s) -> a map of the same shape, and the style (N, width): the output of one more token, whose
    input is learned."""

    position: Tensor

    def __init__(self, width: int, side: int, blocks: int, heads: int) -> None:
        super().__init__()
        line = torch.linspace(-1, 1, side)
        self.register_buffer("position", torch.cartesian_prod(line, line), persistent=False)  # rows, columns
        self.place = nn.Linear(2, width)
        self.inwards = nn.Linear(2 * width, width)
        self.extra = nn.Parameter(torch.randn(1, 1, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(blocks)))
        self.outwards = nn.Linear(width, width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        pixels = x.flatten(2).transpose(1, 2)
        place = self.place(self.position).sin().expand(len(x), -1, -1)
        tokens = self.inwards(torch.cat([place, pixels], 2))
        tokens = self.blocks(torch.cat([tokens, self.extra.expand(len(x), -1, -1)], 1))
        return self.outwards(tokens[:, :-1]).transpose(1, 2).unflatten(2, x.shape[2:]), tokens[:, -1]


class ModulatedConv(nn.Module):
    """A 3x3 conv of inputs that the style scales, whose outputs are divided by the length of the scaled weights.

    The scale of an input is 1 + b linear(style), and b starts at 0. The bias is divided, too, as in the code.
    """

    def __init__(self, inputs: int, outputs: int, style: int) -> None:
        super().__init__()
        self.scale = nn.Linear(style, inputs)
        self.share = nn.Parameter(torch.zeros(1))
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale = 1 + self.share * self.scale(style)
        length = scale.square() @ self.conv.weight.square().sum((2, 3)).T + EPS
        return self.conv(x * scale[:, :, None, None]) * length.rsqrt()[:, :, None, None]


class Level(nn.Module):
    """One side of the U-Net: down to half the side, and back up from it with what was seen on the way down."""

    def __init__(self, inputs: int, width: int, style: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(*_conv(inputs, width), *_conv(width, width))
        self.halve = nn.Conv2d(width, width, 2, 2)
        self.enlarge = UpsampledConv(width, width, 3, padding=1)
        self.first = ModulatedConv(2 * width, width, style)
        self.second = ModulatedConv(width, inputs, style)

    def down(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, inputs, s, s) -> (N, width, s/2, s/2), and what the way up wants (N, width, s, s)."""
        seen = self.convs(x)
        return self.halve(seen), seen

    def up(self, x: Tensor, seen: Tensor, style: Tensor) -> Tensor:
        """(N, width, s/2, s/2) -> (N, inputs, s, s)."""
        x = torch.cat([self.enlarge(x), seen], 1)
        x = F.leaky_relu(self.first(x, style), SLOPE)
        return F.leaky_relu(self.second(x, style), SLOPE)


class Generator(nn.Module):
    """(N, C, S, S) in [-1, 1] -> the same; S divisible by 2^levels and at least twice that.

    width, levels  channels of the first level, doubled with every further one; the tokens are as wide as the last
    """

    def __init__(self, channels: int, side: int, width: int, levels: int, blocks: int, heads: int) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(levels)]
        style = widths[-1]
        self.first = nn.Sequential(*_conv(channels, width))
        self.levels = nn.ModuleList(Level(a, b, style) for a, b in zip([width, *widths], widths))
        self.bottleneck = Transformer(style, side // 2**levels, blocks, heads)
        self.last = nn.Conv2d(width, channels, 1)
        normal_init(self)

    def forward(self, image: Tensor) -> Tensor:
        x, kept = self.first((image + 1) / 2), []
        levels: list[Any] = list(self.levels)
        for level in levels:
            x, seen = level.down(x)
            kept.append(seen)
        x, style = self.bottleneck(x)
        for level in reversed(levels):
            x = level.up(x, kept.pop(), style)
        return 2 * self.last(x).sigmoid() - 1


class Discriminator(nn.Module):
    """Images (N, C, S, S) in [-1, 1] and maps of earlier images -> scores (N, 1, s, s) and the images' own maps.

    The body is CycleGAN's PatchGAN without its last conv, under spectral norm. The head's batch norm looks at the maps
    of the batch and at those of earlier images together, so that it judges one image beside others.
    """

    def __init__(self, channels: int, width: int, layers: int) -> None:
        super().__init__()
        judged = PatchDiscriminator(channels, width, layers)
        self.body = nn.Sequential(*list(judged)[:-1])
        inner = width * 2 ** min(layers, 3)
        self.norm = nn.BatchNorm2d(inner)
        self.head = nn.Sequential(*_conv(inner, inner), nn.Conv2d(inner, 1, 3, padding=1))
        normal_init(self.norm)
        normal_init(self.head)
        normalised(self.body)

    def forward(self, image: Tensor, *, earlier: Tensor | None = None) -> tuple[Tensor, Tensor]:
        maps = self.body((image + 1) / 2)
        together = maps if earlier is None else torch.cat([maps, earlier.to(maps)])
        return self.head(self.norm(together)[: len(maps)]), maps


class Cache:
    """The last maps that a discriminator's body made of one kind of image, oldest first; part of a method's memory."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.maps: Tensor | None = None  # (up to size, C, s, s)

    def push(self, maps: Tensor) -> None:
        known = [] if self.maps is None else [self.maps.to(maps)]
        self.maps = torch.cat([*known, maps.detach()])[-self.size :]

    def state_dict(self) -> dict[str, Any]:
        return {"maps": self.maps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.maps = state["maps"]


def _conv(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.LeakyReLU(SLOPE)]
