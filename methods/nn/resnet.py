"""The ResNet generator and the PatchGAN discriminator of CycleGAN's code, plain or with blurred resampling (CUT)."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.nn.batch_norm import MakeNorm
from bench.methods.nn.blur import BlurDown, BlurUp
from bench.methods.nn.kernels import InstanceNorm2d
from bench.methods.nn.layers import ConvBlock, ResidualBlock, normal_init

Init = Callable[[nn.Module], None]


class ResNetGenerator(nn.Module):
    """(N, C, S, S) in [-1, 1] -> the same; S divisible by 4.

    skip       add the input before the tanh
    antialias  convs keep the side, and a blur halves or doubles it; else convs with stride 2 do
    """

    def __init__(
        self,
        channels: int,
        width: int,
        blocks: int,
        skip: bool = False,
        antialias: bool = False,
        init: Init = normal_init,
    ) -> None:
        super().__init__()
        self.skip = skip
        self.blocks = blocks
        down, up = (blurred_down, _blurred_up) if antialias else (_strided_down, _strided_up)
        layers: list[nn.Module] = [ConvBlock(channels, width, 7, padding=3, norm="instance")]
        for factor in (1, 2):
            layers += down(factor * width)
        layers += [ResidualBlock(4 * width) for _ in range(blocks)]
        for factor in (4, 2):
            layers += up(factor * width)
        layers.append(ConvBlock(width, channels, 7, padding=3, activation="none"))
        self.layers = nn.Sequential(*layers)
        init(self)

    def forward(self, x: Tensor) -> Tensor:
        return self._image(x, self.layers(x))

    def features(self, x: Tensor, taps: Sequence[int]) -> list[Tensor]:
        """What the layers `taps` give, in ascending order; the pass ends at the last of them.

        Layers are numbered as in CUT's code, where 0 is the reflecting pad of the input, 1 to 3 the first conv, norm
        and ReLU, 4 the next conv, and so on up to the residual blocks, which count as one each.
        """
        return self._walk(x, taps, stop=max(taps))[0]

    def image_and_features(self, x: Tensor, taps: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        """The generator's output and `features` of its input, from one pass."""
        features, last = self._walk(x, taps)
        return self._image(x, last), features

    def feature_channels(self, taps: Sequence[int]) -> list[int]:
        """Channels of each of the `features`."""
        first = self.layers[0][0]  # type: ignore[index]
        channels, width = [first.in_channels] if 0 in taps else [], first.out_channels
        for number, layer in enumerate(self.layers, start=3):
            width = layer.out_channels if isinstance(layer, nn.Conv2d) else width
            channels += [width] if number in taps else []
        return channels

    def _walk(self, x: Tensor, taps: Sequence[int], stop: int | None = None) -> tuple[list[Tensor], Tensor]:
        features = [F.pad(x, (3, 3, 3, 3), mode="reflect")] if 0 in taps else []
        for number, layer in enumerate(self.layers, start=3):
            if stop is not None and number > stop:
                break
            x = layer(x)
            features += [x] if number in taps else []
        return features, x

    def _image(self, x: Tensor, raw: Tensor) -> Tensor:
        return torch.tanh(raw + torch.atanh(0.95 * x) if self.skip else raw)


class PatchDiscriminator(nn.Sequential):
    """PatchGAN: (N, C, S, S) -> a map of scores (N, 1, s, s); s = 30 at S = 256, 14 at 128 with three layers.

    antialias  convs have stride 1 and a blur halves the side after the activation
    norm       after all convs but the first and the last
    bias       of the convs that a norm follows: False with batch norm, whose shift replaces it
    """

    def __init__(
        self,
        channels: int,
        width: int,
        layers: int,
        antialias: bool = False,
        init: Init = normal_init,
        norm: MakeNorm = InstanceNorm2d,
        bias: bool = True,
    ) -> None:
        half = 1 if antialias else 2
        parts: list[nn.Module] = [nn.Conv2d(channels, width, 4, half, 1), nn.LeakyReLU(0.2)]
        for n in range(1, layers + 1):
            parts += [BlurDown()] if antialias else []
            inner, outer = width * min(2 ** (n - 1), 8), width * min(2**n, 8)
            stride = half if n < layers else 1
            parts += [nn.Conv2d(inner, outer, 4, stride, 1, bias=bias), norm(outer), nn.LeakyReLU(0.2)]
        super().__init__(*parts, nn.Conv2d(outer, 1, 4, 1, 1))
        init(self)


def least_side(discriminator_layers: int) -> int:
    """The smallest image side for which a PatchDiscriminator has a map of scores."""
    return int(2 ** (discriminator_layers + 2))


def _strided_down(width: int) -> list[nn.Module]:
    return [nn.Conv2d(width, 2 * width, 3, 2, 1), *_norm_relu(2 * width)]


def _strided_up(width: int) -> list[nn.Module]:
    return [nn.ConvTranspose2d(width, width // 2, 3, 2, 1, output_padding=1), *_norm_relu(width // 2)]


def blurred_down(width: int) -> list[nn.Module]:
    """Twice the channels at half the side: conv, norm, ReLU, blur."""
    return [nn.Conv2d(width, 2 * width, 3, padding=1), *_norm_relu(2 * width), BlurDown()]


def _blurred_up(width: int) -> list[nn.Module]:
    return [BlurUp(), nn.Conv2d(width, width // 2, 3, padding=1), *_norm_relu(width // 2)]


def _norm_relu(channels: int) -> list[nn.Module]:
    return [InstanceNorm2d(channels), nn.ReLU()]
