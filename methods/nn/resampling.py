"""A conv beside a resampling by two, as one strided conv: same maths, about 4/9 of the multiplications.

Averaging 2x2 pixels after a conv, or repeating pixels before one, is itself a 2x2 conv; the product of both kernels is
larger by one. Convs here have stride 1 and keep the side. Measured (one thread, forward and backward, two images):
3x3, 256 channels at 64x64: 289 -> 145 ms beside pooling, 294 -> 144 ms beside upsampling; 5x5 from 128 to 64 channels,
upsampled to 64x64: 111 -> 49 ms. On few pixels the product of the kernels costs more than it saves,
and a traced network keeps the plain form, which other programs run.

`weight` is that of the conv, where it is not conv.weight.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEWEST_PIXELS = 512  # images times height times width, of the larger side


def conv_then_pool(conv: nn.Conv2d, x: Tensor, weight: Tensor | None = None) -> Tensor:
    """Average of 2x2 pixels of conv(x), whose padding is zeros; height and width even."""
    weight = conv.weight if weight is None else weight
    if _pixels(x) < FEWEST_PIXELS or torch.jit.is_tracing():
        return F.avg_pool2d(conv._conv_forward(x, weight, conv.bias), 2)
    return F.conv2d(x, _spread(weight, 0.25), conv.bias, stride=2, padding=conv.padding)


def upsample_then_conv(conv: nn.Conv2d, x: Tensor, weight: Tensor | None = None) -> Tensor:
    """conv of x with every pixel repeated 2x2; a 5x5 conv may have reflecting padding, for square images."""
    weight = conv.weight if weight is None else weight
    if 4 * _pixels(x) < FEWEST_PIXELS or torch.jit.is_tracing():
        return conv._conv_forward(F.interpolate(x, scale_factor=2), weight, conv.bias)
    kernel = _spread(weight.transpose(0, 1)).flip(2, 3)
    pad = weight.shape[2] // 2
    if conv.padding_mode == "zeros":
        return F.conv_transpose2d(x, kernel, conv.bias, stride=2, padding=pad)
    assert conv.padding_mode == "reflect" and pad == 2, "_reflected is worked out for 5x5 alone"
    rows = torch.cat([x[:, :, :1], x, x[:, :, -1:]], 2)
    repeated = torch.cat([rows[..., :1], rows, rows[..., -1:]], 3)
    y = F.conv_transpose2d(repeated, kernel, conv.bias, stride=2, padding=pad + 2)
    return _reflected(y, x, weight)


class UpsampledConv(nn.Conv2d):
    """nn.Conv2d of its input with every pixel repeated 2x2."""

    def forward(self, x: Tensor) -> Tensor:
        return upsample_then_conv(self, x)


def _reflected(y: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Turns a 5x5 conv of the upsampled x with repeating padding into one with reflecting padding.

    Both paddings differ in the outermost ring alone (by the difference of x's last two rows or columns), which only the
    outermost taps of the outermost outputs see.
    """
    rows = x[:, :, 1] - x[:, :, 0], x[:, :, -2] - x[:, :, -1]
    columns = x[..., 1] - x[..., 0], x[..., -2] - x[..., -1]
    across, along = (torch.cat(pair, 1).repeat_interleave(2, -1) for pair in (rows, columns))
    ring = torch.cat([F.pad(across, (2, 2), mode="reflect"), F.pad(along, (2, 2), mode="replicate")], 1)
    taps = torch.cat([weight[:, :, 0], weight[:, :, -1], weight[..., 0], weight[..., -1]])
    top, bottom, left, right = F.conv1d(ring, taps, groups=4).chunk(4, 1)
    y[:, :, 0] += top
    y[:, :, -1] += bottom
    y[..., 0] += left
    y[..., -1] += right
    return y


def _spread(kernel: Tensor, factor: float = 1.0) -> Tensor:
    """(O, I, k, k) -> (O, I, k + 1, k + 1): convolved with 2x2 ones, times a factor. As a matrix product, whose matrix
    holds what becomes of each tap: half the time of sums of padded kernels."""
    size = kernel.shape[2]
    taps = torch.eye(size**2, device=kernel.device, dtype=kernel.dtype).view(-1, 1, size, size)
    matrix = F.conv_transpose2d(taps, taps.new_full((1, 1, 2, 2), factor)).flatten(1)
    return (kernel.flatten(2) @ matrix).unflatten(2, (size + 1, size + 1))


def _pixels(x: Tensor) -> int:
    return x.shape[0] * x.shape[2] * x.shape[3]
