"""BigGAN's networks (Brock et al., ICLR 2019, arXiv 1809.11096; code ajbrock/BigGAN-PyTorch at 9845943).

Parameters and buffers have the names of that code, so that its weights load. At 128 pixels the networks are its own; at
64 its table of widths; at 32 those layers of the 128-pixel networks that stand at the same side.

What the maths allows is cheaper here: 1x1 convs of shortcuts run before enlarging and after pooling, and a 3x3 conv
beside one of the two is one conv with it.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import Unfit, UserError
from bench.methods.nn.kernels import Conv2d
from bench.methods.nn.resampling import conv_then_pool, upsample_then_conv
from bench.methods.nn.spectral import normalised, normalised_pass

SIDE = 4  # of the smallest maps
BN_EPS, BN_MOMENTUM = 1e-5, 0.1
GENERATOR_WIDTHS = {32: (16, 16, 8, 4), 64: (16, 16, 8, 4, 2), 128: (16, 16, 8, 4, 2, 1)}  # at side 4, 8, 16, ...
DISCRIMINATOR_WIDTHS = {32: (4, 8, 16, 16), 64: (1, 2, 4, 8, 16), 128: (1, 2, 4, 8, 16, 16)}  # after each block


def check(resolution: int, latent: int) -> None:
    """Unfit or UserError where there is no such network."""
    if resolution not in GENERATOR_WIDTHS:
        raise Unfit(f"BigGAN at resolution {resolution} is not defined; choose 32, 64 or 128")
    chunks = len(GENERATOR_WIDTHS[resolution])
    if latent < chunks:
        raise UserError(f"latent={latent} cannot be cut into {chunks} equal chunks; choose {chunks} or more")


class SNConv(Conv2d):
    """Conv2d under spectral norm, stride 1, same side."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
        self.register_buffer("u0", torch.randn(1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(*normalised_pass(self, x), self.bias)


class SNLinear(nn.Linear):
    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, bias)
        self.register_buffer("u0", torch.randn(1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        x, weight = normalised_pass(self, x)
        return F.linear(x, weight, self.bias)


class SNEmbedding(nn.Embedding):
    def __init__(self, rows: int, width: int) -> None:
        super().__init__(rows, width)
        self.register_buffer("u0", torch.randn(1, rows))

    def forward(self, label: Tensor) -> Tensor:
        return F.embedding(label, normalised(self))


class Attention(nn.Module):
    """x + gamma * o(g beta^T), beta the softmax over keys of theta^T phi, without scaling; gamma starts at 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, half = max(1, channels // 8), max(1, channels // 2)
        self.theta = SNConv(channels, narrow, 1, bias=False)
        self.phi = SNConv(channels, narrow, 1, bias=False)
        self.g = SNConv(channels, half, 1, bias=False)
        self.o = SNConv(half, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        theta = self.theta(x).flatten(2)
        phi, g = (F.max_pool2d(conv(x), 2).flatten(2) for conv in (self.phi, self.g))
        beta = torch.softmax(theta.transpose(1, 2) @ phi, dim=-1)  # (N, queries, keys)
        attended = (g @ beta.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.gamma * self.o(attended)


class BatchNorm(nn.Module):
    """Statistics of the batch, or the stored ones in eval mode; no affine part."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("stored_mean", torch.zeros(channels))
        self.register_buffer("stored_var", torch.ones(channels))

    def normed(self, x: Tensor) -> Tensor:
        mean, var = self.stored_mean, self.stored_var
        assert isinstance(mean, Tensor) and isinstance(var, Tensor)
        return F.batch_norm(x, mean, var, training=self.training, momentum=BN_MOMENTUM, eps=BN_EPS)


class AffineBatchNorm(BatchNorm):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.gain = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.normed(x) * self.gain[:, None, None] + self.bias[:, None, None]


class ConditionalBatchNorm(BatchNorm):
    """BN(x) * (1 + gain(e)) + bias(e), e (N, condition)."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__(channels)
        self.gain = SNLinear(condition, channels, bias=False)
        self.bias = SNLinear(condition, channels, bias=False)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        gain, bias = self.gain(e)[:, :, None, None], self.bias(e)[:, :, None, None]
        return self.normed(x) * (1 + gain) + bias


class UpBlock(nn.Module):
    """BN - ReLU - enlarge - conv - BN - ReLU - conv, plus the enlarged input through a 1x1 conv."""

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__()
        self.bn1 = ConditionalBatchNorm(inputs, condition)
        self.conv1 = SNConv(inputs, outputs)
        self.bn2 = ConditionalBatchNorm(outputs, condition)
        self.conv2 = SNConv(outputs, outputs)
        self.conv_sc = SNConv(inputs, outputs, 1)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        h = upsample_then_conv(self.conv1, *normalised_pass(self.conv1, F.relu(self.bn1(x, e))))
        h = self.conv2(F.relu(self.bn2(h, e)))
        return h + F.interpolate(self.conv_sc(x), scale_factor=2)


class DownBlock(nn.Module):
    """[ReLU] - conv - ReLU - conv - [pool], plus the [pooled] input, through a 1x1 conv where width or side change."""

    def __init__(self, inputs: int, outputs: int, preactivate: bool = True, down: bool = True) -> None:
        super().__init__()
        self.preactivate, self.down = preactivate, down
        self.conv1 = SNConv(inputs, outputs)
        self.conv2 = SNConv(outputs, outputs)
        self.conv_sc = SNConv(inputs, outputs, 1) if down or inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.conv1(F.relu(x) if self.preactivate else x))
        h = conv_then_pool(self.conv2, *normalised_pass(self.conv2, h)) if self.down else self.conv2(h)
        x = F.avg_pool2d(x, 2) if self.down else x
        return h + (x if self.conv_sc is None else self.conv_sc(x))


class Generator(nn.Module):
    """G(z, c): codes (N, latent) and classes (N,) -> images (N, channels, S, S) in [-1, 1].

    widths  channels at each side, the first at 4
    latent  length of the codes: that asked for, less what does not go into equal chunks
    """

    def __init__(
        self, channels: int, rows: int, width: int, resolution: int, latent: int = 120, shared: int = 128
    ) -> None:
        super().__init__()
        check(resolution, latent)
        table = [m * width for m in GENERATOR_WIDTHS[resolution]]
        self.widths = {SIDE * 2**i: w for i, w in enumerate(table)}
        self.chunk = latent // len(table)
        self.latent = self.chunk * len(table)
        self.shared = nn.Embedding(rows, shared)
        self.linear = SNLinear(self.chunk, SIDE**2 * table[0])
        self.blocks = nn.ModuleList()
        for inputs, (side, outputs) in zip(table, list(self.widths.items())[1:]):
            parts: list[nn.Module] = [UpBlock(inputs, outputs, shared + self.chunk)]
            self.blocks.append(nn.ModuleList([*parts, Attention(outputs)] if side == resolution // 2 else parts))
        self.output_layer = nn.Sequential(AffineBatchNorm(table[-1]), nn.ReLU(), SNConv(table[-1], channels))

    def forward(self, z: Tensor, label: Tensor, sums: Mapping[int, Tensor] | None = None) -> Tensor:
        """sums  added to the maps of that side, after the block that makes them"""
        sums = sums or {}
        chunks, shared = z.split(self.chunk, dim=1), self.shared(label)
        h = self.linear(chunks[0]).unflatten(1, (-1, SIDE, SIDE))
        h = h + sums[SIDE] if SIDE in sums else h
        for parts, chunk in zip(self.blocks, chunks[1:]):
            assert isinstance(parts, nn.ModuleList)
            h = parts[0](h, torch.cat([shared, chunk], dim=1))
            for attention in parts[1:]:
                h = attention(h)
            side = h.shape[-1]
            h = h + sums[side] if side in sums else h
        return torch.tanh(self.output_layer(h))


class Encoder(nn.Module):
    """E(x), the discriminator without its head: images (N, channels, S, S) -> the last map of every side.

    The 4x4 map is rectified: the code's in-place ReLU of the head overwrites it. `widths` are the maps' channels.
    """

    def __init__(self, channels: int, width: int, resolution: int) -> None:
        super().__init__()
        self.widths: dict[int, int] = {}
        self.blocks = nn.ModuleList()
        inputs, side = channels, resolution
        for i, multiple in enumerate(DISCRIMINATOR_WIDTHS[resolution]):
            down, outputs = side > SIDE, multiple * width
            side = side // 2 if down else side
            parts: list[nn.Module] = [DownBlock(inputs, outputs, preactivate=i > 0, down=down)]
            self.blocks.append(nn.ModuleList([*parts, Attention(outputs)] if side == resolution // 2 else parts))
            self.widths[side] = inputs = outputs

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        maps = {}
        for parts in self.blocks:
            assert isinstance(parts, nn.ModuleList)
            for part in parts:
                x = part(x)
            maps[x.shape[-1]] = x
        return {**maps, SIDE: F.relu(x)}


class Discriminator(Encoder):
    """D(x, c) with projection: the logits (N,) and the maps of the encoder."""

    def __init__(self, channels: int, rows: int, width: int, resolution: int) -> None:
        super().__init__(channels, width, resolution)
        self.linear = SNLinear(self.widths[SIDE], 1)
        self.embed = SNEmbedding(rows, self.widths[SIDE])

    def judge(self, x: Tensor, label: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        maps = self(x)
        h = maps[SIDE].sum((2, 3))
        return self.linear(h).squeeze(1) + (self.embed(label) * h).sum(1), maps


def orthogonal_init(network: nn.Module) -> None:
    """Every conv, linear and embedding weight; biases keep the framework's default."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.Embedding)):
            nn.init.orthogonal_(module.weight)
