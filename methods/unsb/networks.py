"""UNSB's networks: CUT's, with a step number and a random code as further inputs.

Steps are int64 (N,), from 0; codes are (N, 4 * width), drawn from a normal distribution.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.nn.blur import BlurDown
from bench.methods.nn.kernels import InstanceNorm2d, adain, instance_norm
from bench.methods.nn.layers import SLOPE, reflect_conv, xavier_init
from bench.methods.nn.resnet import ResNetGenerator
from bench.methods.nn.time_embedding import time_embedding

Variant = Literal["code", "intended"]
CODE_LAYERS = 4  # linear layers that map the code
FIRST_LAYER = 3  # number of the first layer after the padded image, as CUT's code counts


class BridgeBlock(nn.Module):
    """A residual block whose first norm is scaled and shifted by the code.

    intended  x + IN(conv(relu(AdaIN(conv(x + time)))))
    code      what the public code computes: x + IN(conv(relu(AdaIN(x)))). It overwrites the first conv and the time by
              the norm of the block's input, so neither is ever trained; they are kept so that the network has the
              public code's parameters. A second linear layer for the code is used by nobody, in both variants.
    """

    def __init__(self, channels: int, n_code: int, variant: Variant) -> None:
        super().__init__()
        self.variant = variant
        self.first = reflect_conv(channels, channels, 3, padding=1)
        self.style = nn.Linear(n_code, 2 * channels)
        self.second = reflect_conv(channels, channels, 3, padding=1)
        self.time = nn.Linear(n_code, channels)
        self.unused_style = nn.Linear(n_code, 2 * channels)

    def forward(self, x: Tensor, time: Tensor, code: Tensor) -> Tensor:
        hidden = x if self.variant == "code" else self.first(x + self.time(time)[:, :, None, None])
        scale, shift = self.style(code).chunk(2, dim=1)
        hidden = F.relu(adain(hidden, shift, scale))
        return x + instance_norm(self.second(hidden))


class BridgeGenerator(nn.Module):
    """G: a point of the bridge (N, C, S, S), its step and a code -> the guess of the target image, same shape.

    style_bias_one  the scale of the first norms starts at 1; otherwise, as in the code, at almost 0, so that all blocks
                    start as the identity
    """

    def __init__(self, channels: int, width: int, blocks: int, variant: Variant, style_bias_one: bool) -> None:
        super().__init__()
        self.width, self.n_code = width, 4 * width
        around = ResNetGenerator(channels, width, 0, antialias=True)
        half = len(around.layers) // 2
        self.encoder, self.decoder = around.layers[:half], around.layers[half:]
        residual = [BridgeBlock(4 * width, self.n_code, variant) for _ in range(blocks)]
        self.blocks = nn.ModuleList(residual)
        mapping = [layer for _ in range(CODE_LAYERS) for layer in (nn.Linear(self.n_code, self.n_code), leaky())]
        self.code = nn.Sequential(*mapping)
        self.time = time_map(width, self.n_code)
        xavier_init(self)
        if style_bias_one:
            for block in residual:
                nn.init.ones_(block.style.bias[: 4 * width])

    def forward(self, x: Tensor, step: Tensor, code: Tensor) -> Tensor:
        hidden, _ = self._walk(x, step, code, ())
        return torch.tanh(self.decoder(hidden))

    def features(self, x: Tensor, step: Tensor, code: Tensor, taps: Sequence[int]) -> list[Tensor]:
        """What the layers `taps` of encoder and blocks give, numbered as in ResNetGenerator.features."""
        return self._walk(x, step, code, taps)[1]

    def feature_channels(self, taps: Sequence[int]) -> list[int]:
        """Channels of each of the `features`."""
        first = self.encoder[0][0]
        channels, width = {0: first.in_channels}, first.out_channels
        for number, layer in enumerate([*self.encoder, *self.blocks], start=FIRST_LAYER):
            width = layer.out_channels if isinstance(layer, nn.Conv2d) else width
            channels[number] = width
        return [channels[tap] for tap in taps]

    def _walk(self, x: Tensor, step: Tensor, code: Tensor, taps: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        features = [F.pad(x, (3, 3, 3, 3), mode="reflect")] if 0 in taps else []
        mapped = self.code(code * torch.rsqrt(code.square().mean(1, keepdim=True) + 1e-8))
        time = self.time(time_embedding(step, self.width))
        for number, layer in enumerate([*self.encoder, *self.blocks], start=FIRST_LAYER):
            x = layer(x, time, mapped) if isinstance(layer, BridgeBlock) else layer(x)
            features += [x] if number in taps else []
        return x, features


class TimedConv(nn.Module):
    """conv4 -> + linear(time) -> IN -> leaky ReLU -> blur that halves the side."""

    def __init__(self, inputs: int, outputs: int, n_time: int, norm: bool, blur: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 4, 1, 1)
        self.time = nn.Linear(n_time, outputs)
        self.norm = InstanceNorm2d(outputs) if norm else nn.Identity()
        self.blur = BlurDown() if blur else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        hidden = self.conv(x) + self.time(time)[:, :, None, None]
        return self.blur(F.leaky_relu(self.norm(hidden), SLOPE))


class TimedPatchDiscriminator(nn.Module):
    """D and E: images (N, C, S, S) and their step -> a map of scores (N, 1, s, s); s = 30 at S = 256 with three layers.

    The norms take the time away again everywhere but in the first conv, which has none.
    """

    def __init__(self, channels: int, width: int, layers: int) -> None:
        super().__init__()
        self.n_time = 4 * width
        widths = [channels, *(width * min(2**n, 8) for n in range(layers + 1))]
        self.convs = nn.ModuleList(
            TimedConv(inputs, outputs, self.n_time, norm=n > 0, blur=n < layers)
            for n, (inputs, outputs) in enumerate(pairwise(widths))
        )
        self.time = time_map(self.n_time, self.n_time)
        self.last = nn.Conv2d(widths[-1], 1, 4, 1, 1)
        xavier_init(self)

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        time = self.time(time_embedding(step, self.n_time))
        for conv in self.convs:
            x = conv(x, time)
        return self.last(x)


def leaky() -> nn.Module:
    return nn.LeakyReLU(SLOPE)


def time_map(inputs: int, outputs: int) -> nn.Sequential:
    """Two linear layers over the sines and cosines of a step."""
    return nn.Sequential(nn.Linear(inputs, outputs), leaky(), nn.Linear(outputs, outputs), leaky())
