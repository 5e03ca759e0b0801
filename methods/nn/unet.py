"""The U-Net generator of pix2pix (Isola et al., CVPR 2017, section 6.1.1; junyanz/pytorch-CycleGAN-and-pix2pix)."""

import torch
from torch import Tensor, nn

from bench.methods.nn.batch_norm import MakeNorm
from bench.methods.nn.dropout import Dropout

SLOPE = 0.2  # of the leaky ReLU in the encoder
WIDEST = 8  # channels grow up to this many times the first width
FIRST_DROPOUT = 4  # the outermost level, counted from 0, whose decoder has dropout


class UNet(nn.Module):
    """Halves the image `downs` times and doubles it again; each level of the decoder sees the encoder's map beside it.

    inputs, outputs  channels of the images
    width            channels after the first conv; doubled at each level up to eight times as many
    downs            number of halvings; the side of the image is a multiple of 2 ** downs
    norm             the norm after all convs but the outermost ones and the innermost of the encoder: there a map of
                     one pixel would be normalised to zero
    bias             of the convs that a norm follows: False with batch norm, whose shift replaces it
    dropout          probability after the decoder's levels from the fifth to the last but one; with five halvings or
                     fewer there is none, as in the code
    tanh             the output is in [-1, 1]; without it the output is unbounded
    """

    def __init__(
        self, inputs: int, outputs: int, width: int, downs: int, norm: MakeNorm, bias: bool, dropout: float, tanh: bool
    ) -> None:
        super().__init__()
        widths = [width * min(2**level, WIDEST) for level in range(downs)]
        innermost = downs - 1
        self.encoder = nn.ModuleList()
        self.decoder = nn.ModuleList()
        self.dropouts = nn.ModuleList()
        for level, inner in enumerate(widths):
            outer, normed = widths[level - 1] if level else inputs, 0 < level < innermost
            conv = nn.Conv2d(outer, inner, 4, 2, 1, bias=bias)
            before, after = [nn.LeakyReLU(SLOPE)] if level else [], [norm(inner)] if normed else []
            self.encoder.append(nn.Sequential(*before, conv, *after))
            joined = inner if level == innermost else 2 * inner
            self.decoder.append(self._up(joined, widths[level - 1] if level else outputs, norm, bias, level, tanh))
            self.dropouts.append(Dropout(dropout if FIRST_DROPOUT <= level < innermost else 0.0))

    @staticmethod
    def _up(inputs: int, outputs: int, norm: MakeNorm, bias: bool, level: int, tanh: bool) -> nn.Sequential:
        conv = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=bias or level == 0)
        last: list[nn.Module] = [norm(outputs)] if level else [nn.Tanh()] if tanh else []
        return nn.Sequential(nn.ReLU(), conv, *last)

    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Images (N, inputs, S, S) -> (N, outputs, S, S); rng: draws the masks of dropout, None: no dropout."""
        maps = []
        for down in self.encoder:
            x = down(x)
            maps.append(x)
        x = self.decoder[-1](maps.pop())
        for skip, up, dropout in zip(maps[::-1], list(self.decoder)[-2::-1], list(self.dropouts)[-2::-1]):
            x = dropout(up(torch.cat([skip, x], 1)), rng)
        return x
