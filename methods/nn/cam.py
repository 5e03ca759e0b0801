"""Class activation maps as attention (U-GAT-IT, NICE-GAN): a linear classifier of pooled features, whose weights then
weigh the features themselves.

The features are multiplied by the raw weights of the classifiers, also where these are spectrally normalised, as in the
official codes. The codes weigh the features twice, concatenate both and put a 1x1 conv behind; here the weights go into
that conv's kernel, which is the same sum with half of the multiplications.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.nn.spectral import spectral_norm


class TwoHeadAttention(nn.Module):
    """U-GAT-IT's: one classifier of the averaged features, one of their maxima.

    spectral    normalise both classifiers
    activation  of the output
    """

    def __init__(self, channels: int, spectral: bool, activation: nn.Module) -> None:
        super().__init__()
        self.of_average = _classifier(channels, spectral)
        self.of_maximum = _classifier(channels, spectral)
        self.conv = nn.Conv2d(2 * channels, channels, 1)
        self.activation = activation

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) -> attended features of the same shape, and both logits (N, 2)."""
        average, maximum = _pooled(x)
        logits = torch.cat([self.of_average(average), self.of_maximum(maximum)], dim=1)
        weights = torch.cat([_raw_weight(self.of_average), _raw_weight(self.of_maximum)], dim=1)
        return self.activation(_weighed(x, weights, self.conv)), logits


class OneHeadAttention(nn.Module):
    """NICE-GAN's: one spectrally normalised classifier of both poolings together."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.classifier = _classifier(2 * channels, spectral=True)
        self.conv = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) -> attended features of the same shape, and the logit (N, 1)."""
        logit = self.classifier(torch.cat(_pooled(x), dim=1))
        return _weighed(x, _raw_weight(self.classifier), self.conv), logit


def _classifier(channels: int, spectral: bool) -> nn.Module:
    linear = nn.Linear(channels, 1, bias=False)
    return spectral_norm(linear) if spectral else linear


def _pooled(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.mean((2, 3)), F.adaptive_max_pool2d(x, 1).flatten(1)


def _raw_weight(classifier: nn.Module) -> Tensor:
    (weight,) = classifier.parameters()
    return weight


def _weighed(x: Tensor, weights: Tensor, conv: nn.Conv2d) -> Tensor:
    """conv of the two copies of x that the halves of weights (1, 2C) weigh."""
    first, second = (conv.weight * weights[:, :, None, None]).chunk(2, dim=1)
    return F.conv2d(x, first + second, conv.bias)
