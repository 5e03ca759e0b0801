"""M&MNets' networks: every encoder of one architecture meets every decoder of it in the same latent space.

code    the public code's translators of RGB domains: strided convs, residual blocks, a soft mask
thesis  7x7 convs and max pooling, whose indices the decoder takes over (thesis tables A.7-A.12)
vgg     VGG-16 and its mirror image, for cross-modal translation (tables A.3-A.6)

Images are (N, C, S, S); S divisible by 4 (code), 8 (thesis), 32 (vgg).
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import UserError, pretrained_weights
from bench.methods.nn.kernels import Conv2d, InstanceNorm2d
from bench.methods.nn.layers import SLOPE

SideInformation = Literal["pooling_indices", "skip", "none"]


@dataclass(frozen=True)
class Latent:
    """What an encoder hands to a decoder: the bottleneck (N, C, s, s), and for each pooling, outermost first, the maps
    that went into it and the indices of their maxima. No architecture without pooling fills the last two."""

    code: Tensor
    maps: tuple[Tensor, ...] = ()
    indices: tuple[Tensor, ...] = ()

    def with_code(self, code: Tensor) -> "Latent":
        return Latent(code, self.maps, self.indices)

    def split(self, sizes: list[int]) -> list["Latent"]:
        """The latents of parts of the batch."""
        columns = [part.split(sizes) for part in (self.code, *self.maps, *self.indices)]
        n = len(self.maps)
        return [
            Latent(column[0], tuple(column[1 : n + 1]), tuple(column[n + 1 :]))
            for column in ([part[i] for part in columns] for i in range(len(sizes)))
        ]


def cat(latents: list[Latent]) -> Latent:
    """One batch of several latents."""
    maps = tuple(torch.cat(level) for level in zip(*(latent.maps for latent in latents)))
    indices = tuple(torch.cat(level) for level in zip(*(latent.indices for latent in latents)))
    return Latent(torch.cat([latent.code for latent in latents]), maps, indices)


def upsample(x: Tensor, latent: Latent, level: int, side: SideInformation) -> Tensor:
    """Doubles the side of x. pooling_indices: each value goes where the maximum was, zeros elsewhere; skip: nearest
    neighbour beside the encoder's map of that size; none: nearest neighbour."""
    if side == "pooling_indices":
        maps = latent.maps[level]
        return F.max_unpool2d(x, latent.indices[level], [2, 2], output_size=list(maps.shape[-2:]))
    x = F.interpolate(x, scale_factor=2)
    return torch.cat([x, latent.maps[level].to(x.dtype)], 1) if side == "skip" else x


class CodeEncoder(nn.Module):
    """(N, C, S, S) -> (N, 4w, S/4, S/4)."""

    def __init__(self, channels: int, width: int, blocks: int, mask: bool = True) -> None:
        super().__init__()
        w = width
        self.down = nn.Sequential(
            Conv2d(channels, w, 7, padding=3, padding_mode="reflect", bias=False), *_norm_relu(w),
            nn.Conv2d(w, 2 * w, 3, 2, 1, bias=False), *_norm_relu(2 * w),
            nn.Conv2d(2 * w, 4 * w, 3, 2, 1, bias=False), *_norm_relu(4 * w),
        )  # fmt: skip
        self.blocks = nn.Sequential(*(CodeBlock(4 * w) for _ in range(blocks)))
        self.mask: nn.Module | None = None
        if mask:
            self.mask = nn.Sequential(
                nn.Conv2d(4 * w, 4 * w, 3, padding=1, padding_mode="reflect", bias=False), *_norm_relu(4 * w),
                nn.Conv2d(4 * w, 1, 3, padding=1, padding_mode="reflect", bias=False),
                InstanceNorm2d(1, affine=True), nn.Sigmoid(),
            )  # fmt: skip

    def forward(self, x: Tensor) -> Latent:
        h = self.down(x)
        r = self.blocks(h)
        return Latent(r if self.mask is None else r + self.mask(h) * r)


class CodeBlock(nn.Module):
    """x + IN(conv3(relu(IN(conv3(x))))), padding reflects."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=False), *_norm_relu(channels),
            Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=False),
            InstanceNorm2d(channels, affine=True),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class CodeDecoder(nn.Module):
    """(N, 4w, s, s) -> (N, C, 4s, 4s) in [-1, 1]."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        w = width
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(4 * w, 2 * w, 3, 2, 1, output_padding=1, bias=False), *_norm_relu(2 * w),
            nn.ConvTranspose2d(2 * w, w, 3, 2, 1, output_padding=1, bias=False), *_norm_relu(w),
            Conv2d(w, channels, 7, padding=3, padding_mode="reflect", bias=False), nn.Tanh(),
        )  # fmt: skip

    def forward(self, latent: Latent) -> Tensor:
        return self.layers(latent.code)


class CodeDiscriminator(nn.Sequential):
    """(N, C, S, S) -> scores (N, 1, S/16, S/16); the last conv pads 1 before and 2 after, as TensorFlow's "same"."""

    def __init__(self, channels: int, width: int) -> None:
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(SLOPE)]
        for factor in (1, 2, 4):
            inner, outer = factor * width, 2 * factor * width
            layers += [Conv2d(inner, outer, 4, 2, 1, bias=False), InstanceNorm2d(outer, affine=True)]
            layers.append(nn.LeakyReLU(SLOPE))
        super().__init__(*layers, nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(8 * width, 1, 4))


def _norm_relu(channels: int) -> list[nn.Module]:
    return [InstanceNorm2d(channels, affine=True), nn.ReLU()]


class ThesisEncoder(nn.Module):
    """Tables A.7 and A.11: (N, C, S, S) -> (N, 4w, S/8, S/8)."""

    def __init__(self, channels: int, width: int, blocks: int = 6) -> None:
        super().__init__()
        widths = (channels, width, 2 * width, 4 * width)
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 7, padding=3), *_norm_relu(b)) for a, b in pairwise(widths)
        )
        self.blocks = nn.Sequential(*(ThesisBlock(4 * width) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Latent:
        maps, indices = [], []
        for level in self.levels:
            maps.append(level(x))
            x, index = F.max_pool2d(maps[-1], 2, return_indices=True)
            indices.append(index)
        return Latent(self.blocks(x), tuple(maps), tuple(indices))


class ThesisBlock(nn.Module):
    """h + IN(conv7(relu(IN(conv7(h)))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3), *_norm_relu(channels),
            nn.Conv2d(channels, channels, 7, padding=3), InstanceNorm2d(channels, affine=True),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class ThesisDecoder(nn.Module):
    """Tables A.8 and A.12: (N, 4w, s, s) -> (N, C, 8s, 8s), in [-1, 1] where it ends in a tanh."""

    def __init__(self, channels: int, width: int, side: SideInformation, blocks: int = 6, tanh: bool = True) -> None:
        super().__init__()
        self.side = side
        self.blocks = nn.Sequential(*(ThesisBlock(4 * width) for _ in range(blocks)))
        twice = 2 if side == "skip" else 1
        self.levels = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(twice * 4 * width, 2 * width, 7, padding=3), *_norm_relu(2 * width)),
                nn.Sequential(nn.Conv2d(twice * 2 * width, width, 7, padding=3), *_norm_relu(width)),
                nn.Sequential(nn.Conv2d(twice * width, channels, 7, padding=3), *([nn.Tanh()] if tanh else [])),
            ]
        )

    def forward(self, latent: Latent) -> Tensor:
        x = self.blocks(latent.code)
        for level, layer in zip((2, 1, 0), self.levels):
            x = layer(upsample(x, latent, level, self.side))
        return x


class ThesisDiscriminator(nn.Sequential):
    """Table A.9: (N, C, S, S) -> scores (N, 1, S/16, S/16); no norm."""

    def __init__(self, channels: int, width: int) -> None:
        widths = (channels, width, 2 * width, 4 * width, 8 * width)
        layers: list[nn.Module] = []
        for inner, outer in pairwise(widths):
            layers += [nn.Conv2d(inner, outer, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        super().__init__(*layers, nn.Conv2d(8 * width, 1, 1))


class VggEncoder(nn.Module):
    """Table A.3: (N, C, S, S) -> (N, 8w, S/32, S/32). Batch norm everywhere but for RGB."""

    def __init__(self, channels: int, width: int, norm: bool) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        inner = channels
        for outer, convs in ((width, 2), (2 * width, 2), (4 * width, 3), (8 * width, 3), (8 * width, 3)):
            layers: list[nn.Module] = []
            for _ in range(convs):
                layers += _conv_bn_relu(inner, outer, norm)
                inner = outer
            self.levels.append(nn.Sequential(*layers))

    def forward(self, x: Tensor) -> Latent:
        maps, indices = [], []
        for level in self.levels:
            maps.append(level(x))
            x, index = F.max_pool2d(maps[-1], 2, return_indices=True)
            indices.append(index)
        return Latent(x, tuple(maps), tuple(indices))


class VggDecoder(nn.Module):
    """Table A.4: (N, 8w, s, s) -> (N, C, 32s, 32s), linear or (the code's segmentation) after batch norm and ReLU."""

    def __init__(self, channels: int, width: int, side: SideInformation, norm_head: bool = False) -> None:
        super().__init__()
        self.side = side
        w, twice = width, 2 if side == "skip" else 1
        plan = [(8 * w, 8 * w, 8 * w), (8 * w, 8 * w, 4 * w), (4 * w, 4 * w, 2 * w), (2 * w, w), (w,)]
        self.levels = nn.ModuleList()
        inner = 8 * w
        for widths in plan:
            layers: list[nn.Module] = []
            inner = twice * inner
            for outer in widths:
                layers += _conv_bn_relu(inner, outer, True)
                inner = outer
            self.levels.append(nn.Sequential(*layers))
        head: list[nn.Module] = [nn.Conv2d(w, channels, 3, padding=1)]
        self.head = nn.Sequential(*head, *([nn.BatchNorm2d(channels), nn.ReLU()] if norm_head else []))

    def forward(self, latent: Latent) -> Tensor:
        x = latent.code
        for level, layer in zip((4, 3, 2, 1, 0), self.levels):
            x = layer(upsample(x, latent, level, self.side))
        return self.head(x)


class RgbDecoder(nn.Sequential):
    """Table A.5 as the code has it: no pooling indices; five times (ReLU, transposed conv, BN), the last without BN."""

    def __init__(self, width: int, channels: int = 3) -> None:
        widths = (8 * width, 8 * width, 4 * width, 2 * width, width, channels)
        layers: list[nn.Module] = []
        for inner, outer in pairwise(widths):
            layers += [nn.ReLU(), nn.ConvTranspose2d(inner, outer, 5, 2, 2, output_padding=1), nn.BatchNorm2d(outer)]
        super().__init__(*layers[:-1], nn.Tanh())

    def forward(self, latent: Latent) -> Tensor:
        return super().forward(latent.code)


class RgbDiscriminator(nn.Sequential):
    """Table A.6: (N, 3, S, S) -> (N, 8w, S/8, S/8), all of whose channels are scores; (N, 1, S/8, S/8) with a head.

    last_stride  1 as in the code; 2 as in the thesis (S/16)
    """

    def __init__(self, width: int, last_stride: int, head: bool, channels: int = 3) -> None:
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 5, 2, 2), nn.LeakyReLU(SLOPE)]
        for factor, stride in ((1, 2), (2, 2), (4, last_stride)):
            outer = 2 * factor * width
            layers += [nn.Conv2d(factor * width, outer, 5, stride, 2), nn.BatchNorm2d(outer), nn.LeakyReLU(SLOPE)]
        super().__init__(*layers, *([nn.Conv2d(8 * width, 1, 1)] if head else []))


def _conv_bn_relu(inner: int, outer: int, norm: bool) -> list[nn.Module]:
    return [nn.Conv2d(inner, outer, 3, padding=1), *([nn.BatchNorm2d(outer)] if norm else []), nn.ReLU()]


def init(network: nn.Module, std: float = 0.02, truncated: bool = False) -> None:
    """Convs normal (0, std), of the forward convs truncated at two deviations where `truncated`; biases 0; affine
    instance norms with scales normal (1, 0.02), as in the code; batch norms as torch has them (1, 0)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and truncated:
            nn.init.trunc_normal_(module.weight, 0.0, std, -2 * std, 2 * std)
        elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, std)
        elif isinstance(module, nn.InstanceNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
            continue
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def load_vgg16(encoder: nn.Module) -> None:
    """ImageNet's VGG-16 into a VggEncoder of width 64 without norms. Raises MissingWeights, or UserError for a width
    that does not fit."""
    from safetensors.torch import load_file

    convs = [module for module in encoder.modules() if isinstance(module, nn.Conv2d)]
    stored = load_file(pretrained_weights("lpips-vgg16"))
    names = sorted({name.rsplit(".", 1)[0] for name in stored}, key=lambda name: int(name.split(".")[-1]))
    if len(names) != len(convs) or stored[f"{names[0]}.weight"].shape != convs[0].weight.shape:
        raise UserError("rgb_init=vgg16 needs width=64 and RGB images; choose rgb_init=random")
    with torch.no_grad():
        for conv, name in zip(convs, names):
            assert conv.bias is not None
            conv.weight.copy_(stored[f"{name}.weight"])
            conv.bias.copy_(stored[f"{name}.bias"])
