"""The variational autoencoder of BalaGAN's ablation ("mVE" in Table 5), Kingma and Welling 2014.

The paper says no more than "representations achieved by a variational autoencoder". Ours: four stride-2 convs each
way, 128 latent numbers, squared error with unit variance; the posterior means are clustered.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

LATENT = 128
STAGES = 4


class VAE(nn.Module):
    """Images (N, C, S, S) in [0, 1], S a multiple of 16."""

    def __init__(self, channels: int, width: int, resolution: int) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(STAGES)]
        self.shape = (widths[-1], resolution // 2**STAGES, resolution // 2**STAGES)
        flat = int(np.prod(self.shape))
        down: list[nn.Module] = []
        for a, b in zip([channels, *widths], widths):
            down += [nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        up: list[nn.Module] = []
        for a, b in zip(widths[:0:-1], widths[-2::-1]):
            up += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(flat, 2 * LATENT))
        self.decoder = nn.Sequential(
            nn.Linear(LATENT, flat), nn.Unflatten(1, self.shape), *up, nn.ConvTranspose2d(width, channels, 4, 2, 1)
        )

    def loss(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """Negative evidence lower bound of an image up to a constant, mean over the batch, one draw of the code."""
        mean, log_variance = self.encoder(images).float().chunk(2, dim=1)  # float32 under autocast too
        noise = torch.from_numpy(rng.standard_normal(tuple(mean.shape), dtype=np.float32)).to(mean)
        decoded = torch.sigmoid(self.decoder(mean + noise * (log_variance / 2).exp()).float())
        return negative_elbo(images, decoded, mean, log_variance)

    def embed(self, images: Tensor) -> Tensor:
        """The posterior means (N, 128)."""
        return self.encoder(images)[:, :LATENT]


def negative_elbo(images: Tensor, decoded: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """(1/2 |x - x'|^2 + KL(N(mean, variance) || N(0, 1))) per image, mean over the batch."""
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
    return (0.5 * F.mse_loss(decoded, images, reduction="sum") + divergence) / len(images)
