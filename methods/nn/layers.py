"""Blocks that FUNIT and the methods built on it share. Padding reflects unless said otherwise."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.nn.kernels import Conv2d, InstanceNorm2d, adain
from bench.methods.nn.resampling import UpsampledConv
from bench.methods.nn.spectral import spectral_norm

SLOPE = 0.2  # of every leaky ReLU here
Norm = Literal["instance", "layer", "none"]
Shortcut = Literal["identity", "preact"]


class ConvBlock(nn.Sequential):
    """Reflecting pad -> conv with bias -> norm -> activation; before all that, `upsample` repeats each pixel 2x2.

    norm        "instance": InstanceNorm2d without affine parameters or running statistics, eps 1e-5;
                "layer": LayerNorm below
    activation  of the output; "leaky" is a leaky ReLU of this `slope`
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        norm: Norm = "none",
        activation: Literal["relu", "leaky", "tanh", "none"] = "relu",
        upsample: bool = False,
        slope: float = SLOPE,
    ) -> None:
        layers: list[nn.Module] = [reflect_conv(inputs, outputs, kernel, stride, padding, upsample)]
        if norm == "instance":
            layers.append(InstanceNorm2d(outputs))
        elif norm == "layer":
            layers.append(LayerNorm(outputs))
        if activation != "none":
            layers.append({"relu": nn.ReLU(), "leaky": nn.LeakyReLU(slope), "tanh": nn.Tanh()}[activation])
        super().__init__(*layers)


def reflect_conv(
    inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0, upsample: bool = False
) -> nn.Conv2d:
    kind = UpsampledConv if upsample else Conv2d
    return kind(inputs, outputs, kernel, stride, padding, padding_mode="reflect" if padding else "zeros")


class LayerNorm(nn.Module):
    """MUNIT's layer norm: (x - mean) / (std + 1e-5) over all of an image's (C, H, W), then a scale and a shift a
    channel. The deviation is the unbiased one, epsilon is added outside the root, and the scale starts uniform in
    [0, 1], so that torch's GroupNorm(1, C) is close but not the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean((1, 2, 3), keepdim=True)
        # Twice as fast as torch.std, forth and back on a CPU.
        std = (
            torch.linalg.vector_norm(centred, dim=(1, 2, 3), keepdim=True, dtype=torch.float32)
            / (x[0].numel() - 1) ** 0.5
        )
        return torch.addcmul(self.beta[:, None, None], centred, self.gamma[:, None, None] / (std + 1e-5))


class ResidualBlock(nn.Module):
    """x + conv3-IN(relu(conv3-IN(x))), nothing after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvBlock(channels, channels, 3, padding=1, norm="instance")
        self.second = ConvBlock(channels, channels, 3, padding=1, norm="instance", activation="none")

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x))


class AdaINResidualBlock(nn.Module):
    """A residual block whose two norms are AdaIN; it holds no style, `forward` gets it.

    style  (N, 4C): shift and scale of the first conv, then of the second
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.n_style = 4 * channels
        self.first = reflect_conv(channels, channels, 3, padding=1)
        self.second = reflect_conv(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        shift1, scale1, shift2, scale2 = style.chunk(4, dim=1)
        hidden = F.relu(adain(self.first(x), shift1, scale1))
        return x + adain(self.second(hidden), shift2, scale2)


class ActivationFirstBlock(nn.Module):
    """FUNIT's pre-activation residual block ("ARB"): two times (leaky ReLU, conv3), plus a shortcut from the input: a
    1x1 conv without bias where the width changes, else the input itself. The hidden width is the smaller of the two.

    shortcut  "preact": leaky ReLU of the input where the width stays, as in FUNIT's code, whose in-place activations
              overwrite it
    """

    def __init__(self, inputs: int, outputs: int, shortcut: Shortcut = "identity") -> None:
        super().__init__()
        hidden = min(inputs, outputs)
        self.first = reflect_conv(inputs, hidden, 3, padding=1)
        self.second = reflect_conv(hidden, outputs, 3, padding=1)
        same: nn.Module = nn.Identity() if shortcut == "identity" else nn.LeakyReLU(SLOPE)
        self.shortcut = same if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(F.leaky_relu(x, SLOPE))
        return self.shortcut(x) + self.second(F.leaky_relu(hidden, SLOPE))


def kaiming_init(network: nn.Module) -> None:
    """Every conv, transposed conv and linear weight: Kaiming normal (fan in, gain sqrt 2); biases 0."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, a=0, mode="fan_in")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def normal_init(network: nn.Module, std: float = 0.02) -> None:
    """Every conv and linear weight: normal with mean 0 and this deviation; of batch norm the scale: the same with mean
    1; biases and shifts 0."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, std)
            nn.init.zeros_(module.bias)
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, 0.0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def normalised(network: nn.Module) -> None:
    """Spectral norm on every layer that has weights, after its initialisation."""
    for module in list(network.modules()):
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            spectral_norm(module)


def xavier_init(network: nn.Module, gain: float = 0.02) -> None:
    """Every conv, transposed conv and linear weight: Xavier normal with this gain; biases 0."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.xavier_normal_(module.weight, gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
