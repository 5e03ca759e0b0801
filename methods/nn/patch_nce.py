"""PatchNCE (Park et al., ECCV 2020, section 3.2): what stands at one place of input and output shall be the same.

Features are lists of maps (N, C, H, W), one map a layer; samples of them are (N, n, C) at n positions an image.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.nn.layers import xavier_init

EPS = 1e-7  # beside the length of a projection


class PatchProjection(nn.ModuleList):
    """F: a multilayer perceptron of two layers for the features of each layer; its outputs have length 1."""

    def __init__(self, channels: Sequence[int], width: int = 256) -> None:
        super().__init__(nn.Sequential(nn.Linear(c, width), nn.ReLU(), nn.Linear(width, width)) for c in channels)
        xavier_init(self)

    def forward(self, samples: Sequence[Tensor]) -> list[Tensor]:
        """(N, n, C) a layer -> (N, n, width)."""
        # in float32: where a projection is almost nothing, its normalisation has a gradient that float16 cannot hold
        with torch.autocast(samples[0].device.type, enabled=False):
            projected = [perceptron(sample.float()) for perceptron, sample in zip(self, samples)]
        return [x / (torch.linalg.vector_norm(x, dim=-1, keepdim=True) + EPS) for x in projected]


def draw_positions(features: Sequence[Tensor], sets: int, count: int, rng: torch.Generator) -> list[Tensor]:
    """int64 (sets, n) a layer: `sets` times n = min(count, H * W) different positions of its map."""
    positions = []
    for feature in features:
        pixels = feature.shape[2] * feature.shape[3]
        drawn = [torch.randperm(pixels, generator=rng, device=rng.device)[:count] for _ in range(sets)]
        positions.append(torch.stack(drawn))
    return positions


def sample(features: Sequence[Tensor], positions: Sequence[Tensor]) -> list[Tensor]:
    """(N, n, C) a layer. Of `positions` (sets, n) a layer each set serves N / sets images in a row."""
    vectors = []
    for feature, chosen in zip(features, positions):
        rows = chosen.repeat_interleave(len(feature) // len(chosen), dim=0)
        index = rows[:, None].expand(-1, feature.shape[1], -1)
        vectors.append(feature.flatten(2).gather(2, index).transpose(1, 2))
    return vectors


def patch_nce(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """(N,): cross entropy of finding each query's own key among all keys of the same image, mean over its positions.

    query, key  (N, n, width), of length 1; the key is meant to be detached
    """
    with torch.autocast(query.device.type, enabled=False):
        logits = query @ key.transpose(1, 2) / temperature
    wanted = torch.arange(query.shape[1], device=query.device).expand(len(query), -1)
    return F.cross_entropy(logits.transpose(1, 2), wanted, reduction="none").mean(1)
