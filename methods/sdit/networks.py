"""SDIT's networks. Images are (N, C, S, S), classes one-hot (N, K), noise codes (N, latent)."""

import torch
from torch import Tensor, nn

from bench.methods.nn.kernels import InstanceNorm2d
from bench.methods.nn.layers import AdaINResidualBlock
from bench.methods.nn.stargan import AffineResidualBlock, critic_trunk, decoder, encoder, painted
from bench.methods.sdit.config import SHARED_NUMBERS, SDITConfig, Variant

MLP_WIDTH = 256
GAUSSIAN_STD = 0.02  # the paper says "Gaussian" and gives no width


class CINBranch(nn.Module):
    """T_c and M: encoding (N, channels, H, W) and code (N, latent) -> (N, channels, H, W)."""

    def __init__(self, channels: int, latent: int, variant: Variant) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(AdaINResidualBlock(channels) for _ in range(variant.cin_blocks))
        norms, per_norm = 2 * variant.cin_blocks, 2 * channels
        numbers = SHARED_NUMBERS if variant.cin_slices == "shared" else norms * per_norm
        self.per_norm = per_norm
        self.slices = [min(norm, numbers // per_norm - 1) for norm in range(norms)]  # which one each norm uses
        layers: list[nn.Module] = [nn.Linear(latent, MLP_WIDTH), nn.ReLU()]
        for _ in range(variant.mlp_layers - 2):
            layers += [nn.Linear(MLP_WIDTH, MLP_WIDTH), nn.ReLU()]
        self.mlp = nn.Sequential(*layers, nn.Linear(MLP_WIDTH, numbers))

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        numbers = self.mlp(code).split(self.per_norm, dim=1)
        for i, block in enumerate(self.blocks):
            x = block(x, torch.cat([numbers[j] for j in self.slices[2 * i : 2 * i + 2]], dim=1))
        return x


class Generator(nn.Module):
    """G(x, c, z): images (N, C, S, S), one-hot classes (N, K), codes (N, latent) -> images in [-1, 1]."""

    def __init__(self, channels: int, classes: int, config: SDITConfig) -> None:
        super().__init__()
        w, variant = config.width, config.settled
        inner = 4 * w
        self.mixing = variant.mixing
        self.encoder = nn.Sequential(*encoder(channels + classes, w, config.encoder_blocks))
        self.cin = CINBranch(inner, config.latent, variant) if config.cin else None
        self.plain = (
            None if config.cin else nn.Sequential(*(AffineResidualBlock(inner) for _ in range(variant.cin_blocks)))
        )
        self.attention = None
        if config.attention:
            self.attention = nn.Sequential(
                *(AffineResidualBlock(inner) for _ in range(variant.attention_blocks)),
                nn.Conv2d(inner, 1, 3, padding=1, bias=False),
                InstanceNorm2d(1, affine=True),
                nn.Sigmoid(),
            )
        self.decoder = nn.Sequential(*decoder(channels, w))
        if variant.init == "gaussian":
            gaussian_init(self)

    def forward(self, x: Tensor, label: Tensor, code: Tensor) -> Tensor:
        return self.render(*self.perceive(x, label), code)

    def perceive(self, x: Tensor, label: Tensor) -> tuple[Tensor, Tensor | None]:
        """What does not depend on the code: the encoding (N, 4w, S/4, S/4) and the attention (N, 1, S/4, S/4)."""
        encoding = self.encoder(painted(x, label))
        return encoding, None if self.attention is None else self.attention(encoding)

    def render(self, encoding: Tensor, attention: Tensor | None, code: Tensor) -> Tensor:
        changed = self.plain(encoding) if self.cin is None else self.cin(encoding, code)  # type: ignore[misc]
        if attention is not None:
            changed = attention * changed
            if self.mixing == "blended":
                changed = changed + (1 - attention) * encoding  # equation 6.9
        return self.decoder(changed)


class Discriminator(nn.Module):
    """D(x): images (N, C, S, S) -> realness map (N, 1, s, s), class logits (N, K), regressed code (N, latent)."""

    def __init__(self, channels: int, classes: int, config: SDITConfig) -> None:
        super().__init__()
        side, latent = config.resolution // 2**config.halvings, config.latent
        width = config.width * 2 ** (config.halvings - 1)
        self.trunk = nn.Sequential(*critic_trunk(channels, config.width, config.halvings))
        self.realness = nn.Conv2d(width, 1, 3, padding=1, bias=False)
        self.label = nn.Sequential(nn.Conv2d(width, classes, side, bias=False), nn.Flatten())
        self.code = nn.Sequential(
            nn.Conv2d(width, latent, 3, padding=1, bias=False),
            nn.Flatten(),
            nn.Linear(latent * side**2, latent),
            nn.LeakyReLU(config.lat_slope),
            nn.Linear(latent, latent),
        )
        if config.settled.init == "gaussian":
            gaussian_init(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.trunk(x)
        return self.realness(features), self.label(features), self.code(features)


def gaussian_init(network: nn.Module) -> None:
    """Weights of every conv and linear layer: N(0, 0.02^2); biases 0."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, std=GAUSSIAN_STD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
