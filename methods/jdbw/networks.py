"""The networks of JD-BW. Images are (N, C, S, S) in [-1, 1], scores (N,)."""

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.nn.kernels import Conv2d
from bench.methods.nn.layers import SLOPE, kaiming_init, normal_init, normalised
from bench.methods.nn.resampling import UpsampledConv


class Block(nn.Module):
    """h + conv3(act(conv3(h))), nothing after the sum; act is a leaky ReLU of this slope."""

    def __init__(self, channels: int, slope: float = 0.0, padding_mode: Literal["zeros", "reflect"] = "zeros") -> None:
        super().__init__()
        self.slope = slope
        self.first = Conv2d(channels, channels, 3, 1, 1, padding_mode=padding_mode)
        self.second = Conv2d(channels, channels, 3, 1, 1, padding_mode=padding_mode)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.second(F.leaky_relu(self.first(h), self.slope))


class _Generator(nn.Module):
    """Encoder, noise tiled over space and concatenated, decoder, tanh.

    skip  add the image before the tanh
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, skip: bool) -> None:
        super().__init__()
        self.encoder, self.decoder, self.skip = encoder, decoder, skip
        kaiming_init(self)
        normalised(self)

    def forward(self, image: Tensor, noise: Tensor) -> Tensor:
        """(N, C, S, S) and (N, latent) -> (N, C', S, S)."""
        h = self.encoder(image)
        tiled = noise[:, :, None, None].expand(-1, -1, *h.shape[2:])
        raw = self.decoder(torch.cat([h, tiled], dim=1)).float()
        return torch.tanh(raw + torch.atanh(0.95 * image) if self.skip else raw)


class Generator(_Generator):
    """Table 2, for 32 pixels. kernel 4: a middle pair of layers of stride 2; kernel 1: of stride 1."""

    def __init__(
        self,
        channels: int,
        outputs: int,
        latent: int,
        kernel: int,
        width: int = 64,
        blocks: int = 2,
        skip: bool = False,
    ) -> None:
        middle = kernel, 2 if kernel == 4 else 1, (kernel - 1) // 2
        encoder = nn.Sequential(
            *(nn.Conv2d(channels, width, 4, 2, 1), nn.ReLU()),
            *(Block(width) for _ in range(blocks)),
            *(nn.Conv2d(width, 2 * width, *middle), nn.ReLU()),
        )
        decoder = nn.Sequential(
            *(nn.ConvTranspose2d(2 * width + latent, width, *middle), nn.ReLU()),
            *(Block(width) for _ in range(blocks)),
            nn.ConvTranspose2d(width, outputs, 4, 2, 1),
        )
        super().__init__(encoder, decoder, skip)


class LargeGenerator(_Generator):
    """The generator for 128 pixels: MUNIT's encoder and decoder of content without style, all norms spectral.

    The noise joins before the first residual block, by a 1x1 conv.
    """

    def __init__(self, channels: int, outputs: int, latent: int, width: int = 64, skip: bool = False) -> None:
        def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
            return Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, padding_mode="reflect")

        inner = 4 * width
        encoder = nn.Sequential(
            *(conv(channels, width, 7), nn.ReLU()),
            *(conv(width, 2 * width, 4, 2), nn.ReLU()),
            *(conv(2 * width, inner, 4, 2), nn.ReLU()),
        )
        decoder = nn.Sequential(
            *(nn.Conv2d(inner + latent, inner, 1), nn.ReLU()),
            *(Block(inner, padding_mode="reflect") for _ in range(8)),  # four of the encoder, four of the decoder
            # the first holds nothing: checkpoints count an upsampling as a layer of its own
            *(nn.Identity(), UpsampledConv(inner, 2 * width, 5, 1, 2, padding_mode="reflect"), nn.ReLU()),
            *(nn.Identity(), UpsampledConv(2 * width, width, 5, 1, 2, padding_mode="reflect"), nn.ReLU()),
            conv(width, outputs, 7),
        )
        super().__init__(encoder, decoder, skip)


class JointDiscriminator(nn.Module):
    """Table 1: a stream for each image of a pair and one for both, which also reads the two others at each level.

    The last conv is repeated until the map is 2x2, so that pairs larger than 32 pixels fit; S is a power of 2, at
    least 16, where the map is 1x1.
    """

    def __init__(self, channels_x: int, channels_y: int, resolution: int, width: int = 32) -> None:
        super().__init__()
        side = resolution // 16
        joint = [(channels_x + channels_y, 2), (4 * width, 4), (8 * width, 8), (16 * width, 8)]
        while side > 2:
            joint.append((8 * width, 8))
            side //= 2
        self.x = self._stream(channels_x, width)
        self.y = self._stream(channels_y, width)
        self.joint = nn.ModuleList(Conv2d(inputs, factor * width, 4, 2, 1) for inputs, factor in joint)
        self.blocks = nn.Sequential(Block(4 * width, SLOPE), Block(4 * width, SLOPE))
        self.hidden = nn.Linear(8 * width * side**2, 8 * width)
        self.score = nn.Linear(8 * width, 1)
        normal_init(self)
        normalised(self)

    def _stream(self, channels: int, width: int) -> nn.ModuleList:
        return nn.ModuleList(Conv2d(a, b, 4, 2, 1) for a, b in pairwise([channels, width, 2 * width, 4 * width]))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """An image of the source's domain and one of the target's -> how much the pair looks like one of the source."""
        h = torch.cat([x, y], dim=1)
        for level, conv in enumerate(self.joint):
            h = F.leaky_relu(conv(h), SLOPE)
            if level == 1:
                h = self.blocks(h)
            if level < len(self.x):
                x, y = (F.leaky_relu(s[level](image), SLOPE) for s, image in ((self.x, x), (self.y, y)))
                h = torch.cat([x, h, y], dim=1)
        return self.score(F.leaky_relu(self.hidden(h.flatten(1)), SLOPE))[:, 0]


def _perceptron(inputs: int, outputs: int, width: int) -> nn.Sequential:
    first, second = nn.Linear(inputs, width), nn.Linear(width, width)
    return nn.Sequential(first, nn.LeakyReLU(SLOPE), second, nn.LeakyReLU(SLOPE), nn.Linear(width, outputs))


class VectorScore(nn.Module):
    """Two hidden layers over all pixels of the images."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.layers = _perceptron(inputs, 1, width)

    def forward(self, *images: Tensor) -> Tensor:
        return self.layers(torch.cat([image.flatten(1) for image in images], dim=1))[:, 0]


class VectorGenerator(nn.Module):
    """x + MLP(x, z) with two hidden layers; it starts as the identity."""

    def __init__(self, pixels: int, latent: int, width: int) -> None:
        super().__init__()
        self.layers = _perceptron(pixels + latent, pixels, width)
        for parameter in self.layers[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, image: Tensor, noise: Tensor) -> Tensor:
        return image + self.layers(torch.cat([image.flatten(1), noise], dim=1)).view_as(image).float()
