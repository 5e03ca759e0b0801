"""AdaILN, the norm that U-GAT-IT introduced and NICE-GAN took over: a learned mixture of instance and layer norm.

For each channel, mix = rho * IN(x) + (1 - rho) * LN(x), where IN takes its statistics over an image's (H, W) and LN
over its (C, H, W); variances are unbiased, 1e-5 is added inside the root. AdaILN scales and shifts the mix by numbers
that it is given for each image, ILN by weights of its own.

Computed in fewer passes than it is written: the statistics of LN follow from those of IN, and mix, scale and shift are
one multiplication and one addition a pixel.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-5
Mixing = Literal["clamped", "softmax"]  # U-GAT-IT: rho is a weight that `clamp_rho` keeps in [0, 1] after each step;
# NICE-GAN: the first of a softmax over two weights a channel


class _Mixture(nn.Module):
    """Holds rho; `coefficients` gives the mix as a scale and a shift of each channel of each image."""

    def __init__(self, channels: int, mixing: Mixing, start: float | tuple[float, float]) -> None:
        super().__init__()
        self.mixing = mixing
        self.rho = nn.Parameter(torch.tensor(start).repeat(channels, 1).squeeze(1))

    def coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) -> scale and shift (N, C), float32, so that mix = scale * x + shift."""
        rho = self.rho if self.mixing == "clamped" else self.rho.softmax(1)[:, 0]
        variance, mean = torch.var_mean(x.float(), (2, 3))
        pixels, values = x[0, 0].numel(), x[0].numel()
        whole_mean = mean.mean(1, keepdim=True)
        squares = (pixels - 1) * variance + pixels * (mean - whole_mean).square()
        whole_variance = squares.sum(1, keepdim=True) / (values - 1)
        of_instance, of_layer = rho * (variance + EPS).rsqrt(), (1 - rho) * (whole_variance + EPS).rsqrt()
        return of_instance + of_layer, -(of_instance * mean + of_layer * whole_mean)


class AdaILN(_Mixture):
    """gamma * mix + beta with gamma, beta (N, C) from elsewhere; rho starts near instance norm."""

    def __init__(self, channels: int, mixing: Mixing) -> None:
        super().__init__(channels, mixing, 0.9 if mixing == "clamped" else (3.2, 1.0))

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        scale, shift = self.coefficients(x)
        return _apply(x, gamma * scale, gamma * shift + beta)


class ILN(_Mixture):
    """gamma * mix + beta with own gamma, beta (C,), first 1 and 0; rho starts at or near layer norm."""

    def __init__(self, channels: int, mixing: Mixing) -> None:
        super().__init__(channels, mixing, 0.0 if mixing == "clamped" else (1.0, 3.2))
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        scale, shift = self.coefficients(x)
        return _apply(x, self.gamma * scale, self.gamma * shift + self.beta)


def _apply(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return torch.addcmul(shift[:, :, None, None].to(x.dtype), x, scale[:, :, None, None].to(x.dtype))


@torch.no_grad()
def clamp_rho(network: nn.Module) -> None:
    """Puts every rho of a network back into [0, 1], as U-GAT-IT does after each step of its generators."""
    for module in network.modules():
        if isinstance(module, _Mixture) and module.mixing == "clamped":
            module.rho.clamp_(0.0, 1.0)


class AdaILNResidualBlock(nn.Module):
    """x + AdaILN(conv3(relu(AdaILN(conv3(x))))), reflecting pads, convs without bias."""

    def __init__(self, channels: int, mixing: Mixing) -> None:
        super().__init__()
        self.first = plain_conv(channels, channels, 3)
        self.first_norm = AdaILN(channels, mixing)
        self.second = plain_conv(channels, channels, 3)
        self.second_norm = AdaILN(channels, mixing)

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        hidden = F.relu(self.first_norm(self.first(x), gamma, beta))
        return x + self.second_norm(self.second(hidden), gamma, beta)


class Modulation(nn.Module):
    """(N, C, side, side) -> gamma, beta (N, C) of all AdaILN of a generator.

    light  the map is averaged over its positions first; else every position has weights of its own: at 256 pixels one
           linear layer then holds 268 million numbers
    """

    def __init__(self, channels: int, side: int, light: bool) -> None:
        super().__init__()
        self.light = light
        inputs = channels if light else channels * side * side
        self.mlp = nn.Sequential(
            nn.Linear(inputs, channels, bias=False),
            nn.ReLU(),
            nn.Linear(channels, channels, bias=False),
            nn.ReLU(),
        )
        self.gamma = nn.Linear(channels, channels, bias=False)
        self.beta = nn.Linear(channels, channels, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.mlp(x.mean((2, 3)) if self.light else x.flatten(1))
        return self.gamma(hidden), self.beta(hidden)


def plain_conv(inputs: int, outputs: int, kernel: int, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    """A conv with a reflecting pad of (kernel - 1) // 2."""
    return nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=bias, padding_mode="reflect")
