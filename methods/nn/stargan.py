"""Parts of StarGAN's networks (Choi et al., CVPR 2018) that later methods keep: convs of 4x4 that halve and double the
side, zero padding, affine instance norms, no biases in the generator."""

import torch
from torch import Tensor, nn

from bench.methods.nn.kernels import Conv2d, InstanceNorm2d

CRITIC_SLOPE = 0.01  # of the discriminator's leaky ReLU


class AffineResidualBlock(nn.Module):
    """x + IN(conv3(relu(IN(conv3(x))))), zero padding, nothing after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            InstanceNorm2d(channels, affine=True),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            InstanceNorm2d(channels, affine=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def encoder(channels: int, width: int, blocks: int) -> list[nn.Module]:
    """(N, channels, S, S) -> (N, 4 width, S/4, S/4)."""
    return [
        *conv_norm(nn.Conv2d(channels, width, 7, padding=3, bias=False)),
        *conv_norm(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False)),
        *conv_norm(nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1, bias=False)),
        *(AffineResidualBlock(4 * width) for _ in range(blocks)),
    ]


def decoder(channels: int, width: int) -> list[nn.Module]:
    """(N, 4 width, S/4, S/4) -> (N, channels, S, S) in [-1, 1]."""
    return [
        *conv_norm(nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1, bias=False)),
        *conv_norm(nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False)),
        nn.Conv2d(width, channels, 7, padding=3, bias=False),
        nn.Tanh(),
    ]


def critic_trunk(channels: int, width: int, halvings: int) -> list[nn.Module]:
    """(N, channels, S, S) -> (N, width 2^(halvings - 1), S/2^halvings, S/2^halvings)."""
    layers: list[nn.Module] = []
    for i in range(halvings):
        layers += [Conv2d(channels, width * 2**i, 4, stride=2, padding=1), nn.LeakyReLU(CRITIC_SLOPE)]
        channels = width * 2**i
    return layers


def conv_norm(conv: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    return [conv, InstanceNorm2d(conv.out_channels, affine=True), nn.ReLU()]


def painted(x: Tensor, label: Tensor) -> Tensor:
    """(N, C, S, S) and one-hot (N, K) -> (N, C + K, S, S): each class is one more channel, constant over the image."""
    return torch.cat([x, label[:, :, None, None].expand(-1, -1, *x.shape[2:])], dim=1)


def one_hot(label: Tensor, classes: int) -> Tensor:
    """int64 (N,) -> float (N, classes). torch's one_hot reads the labels back from the device."""
    return (label[:, None] == torch.arange(classes, device=label.device)).float()
