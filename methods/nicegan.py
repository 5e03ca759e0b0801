"""NICE-GAN (Chen et al., CVPR 2020, arXiv 2003.00273; code alpc91/NICE-GAN-pytorch).

No network of its own encodes: the first layers of a domain's discriminator are the encoder from which the other
domain's images are made. So a source is translated by the discriminator of the source, up to its latent code, and the
generator of the target. Only a discriminator's step trains the encoder; for the generators' step it is frozen.

`light` averages a map before it makes AdaILN's numbers of it (the code's `--light`). Departures from the code: images
are enlarged from the task's resolution, so that `load_extra` pixels are added at every resolution; the code's
discriminators have 6 or 7 layers, those of 5 layers for images of 32 pixels are ours. For the generators' step real
images pass the encoder alone, where the code runs the whole discriminator on them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import Batch, Config, DiscriminatorFields, Task, Unfit, register, setting
from bench.methods.nn import ema
from bench.methods.nn.adalin import ILN, AdaILNResidualBlock, Modulation, plain_conv
from bench.methods.nn.cam import OneHeadAttention
from bench.methods.nn.losses import lsgan
from bench.methods.nn.spectral import spectral_norm
from bench.methods.nn.ugatit_training import UGATITFields, UGATITTraining

SLOPE = 0.2  # of the discriminators' leaky ReLUs


@dataclass(frozen=True)
class NICEGANConfig(Config, UGATITFields, DiscriminatorFields):
    """NICE-GAN's settings."""

    resolution: int = 128
    batch_size: int = 1
    budget_kimg: float = setting(300.0, "thousands of source images seen in training; 300,000 iterations of one")
    width: int = setting(64, "channels after the first conv of a discriminator", low=1)
    blocks: int = setting(6, "AdaILN blocks of a generator", low=1)
    layers: int = setting(
        7,
        "convs of a discriminator on the way to its global scores; 7 need 96 pixels, 6 need 48, 5 need 24",
        low=5,
        high=16,
    )

    reconstruction_weight: float = setting(
        10.0, "weight of the L1 distance of an image made of its own code by the generator of its own domain"
    )

    ema_decay: float | None = setting(
        None, "decay of an average of all networks that translates; none: no average, as in the paper", below=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        least = 3 * 2 ** (self.layers - 2)
        if self.resolution % 4 or self.resolution < least:
            raise Unfit(
                f"NICE-GAN at resolution {self.resolution} cannot halve the image as often as its discriminators do; "
                f"choose a multiple of 4, at least {least}, or lower layers (5 for 32 pixels, 6 for 64)"
            )


class Discriminator(nn.Module):
    """(N, C, S, S) -> outputs to be told apart and the code z (N, 2 width, S / 4, S / 4).

    The outputs are the local scores (30x30 at S = 256, with 7 layers), the global scores (6x6) and the attention's
    logit (N, 1). Up to z it is an encoder; both heads follow.
    """

    def __init__(self, channels: int, width: int, layers: int) -> None:
        super().__init__()
        code = 2 * width
        self.stem = nn.Sequential(*_down(channels, width), *_down(width, code))
        self.attention = OneHeadAttention(code)
        self.attention_share = nn.Parameter(torch.zeros(1))  # lambda
        self.trunk = _downs(code, max(0, layers - 6))
        inner = code * 2 ** max(0, layers - 6)
        self.local_head = nn.Sequential(*_down(inner, 2 * inner, stride=1), _scores(2 * inner))
        halvings = min(2, layers - 4)
        outer = inner * 2**halvings
        self.global_head = nn.Sequential(
            *_downs(inner, halvings), *_down(outer, 2 * outer, stride=1), _scores(2 * outer)
        )

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """z, and the attention's logit."""
        x = self.stem(image)
        attended, logit = self.attention(x)
        return F.leaky_relu(self.attention_share * attended + x, SLOPE), logit

    def forward(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        z, logit = self.encode(image)
        x = self.trunk(z)
        return [self.local_head(x), self.global_head(x), logit], z


class Generator(nn.Module):
    """Code (N, 2 width, S / 4, S / 4) -> image (N, C, S, S) in [-1, 1]."""

    def __init__(self, channels: int, width: int, blocks: int, side: int, light: bool) -> None:
        super().__init__()
        inner = 4 * width
        self.stem = nn.Sequential(plain_conv(2 * width, inner, 3, bias=True), ILN(inner, "softmax"), nn.ReLU())
        self.modulation = Modulation(inner, side // 4, light)
        self.blocks = nn.ModuleList(AdaILNResidualBlock(inner, "softmax") for _ in range(blocks))
        self.up = nn.Sequential(*_doubling(inner), *_doubling(inner // 2), plain_conv(width, channels, 7), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        x = self.stem(z)
        gamma, beta = self.modulation(x)
        for block in self.blocks:
            x = block(x, gamma, beta)
        return self.up(x)


def _down(inputs: int, outputs: int, stride: int = 2) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, 4, stride, 1, padding_mode="reflect")
    return [spectral_norm(conv), nn.LeakyReLU(SLOPE)]


def _downs(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(layer for i in range(count) for layer in _down(channels * 2**i, channels * 2 ** (i + 1))))


def _scores(inputs: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(inputs, 1, 4, 1, 1, bias=False, padding_mode="reflect"))


def _doubling(channels: int) -> list[nn.Module]:
    """Twice the side, half the channels, by a shuffle of channels into pixels."""
    half = channels // 2
    return [
        *(plain_conv(channels, half, 3), ILN(half, "softmax"), nn.ReLU()),
        *(nn.Conv2d(half, 4 * half, 1), nn.PixelShuffle(2), ILN(half, "softmax"), nn.ReLU()),
    ]


@register
class NICEGAN(UGATITTraining):
    """The discriminators' first layers are the encoders of the translators; deterministic."""

    name = "nicegan"
    aliases = ("nice-gan",)
    paper = "Chen et al., Reusing Discriminators for Encoding (NICE-GAN), CVPR 2020, arXiv 2003.00273"
    year = 2020
    kind = "unpaired"
    needs = ()
    Config = NICEGANConfig
    discriminators = ("disA", "disB")
    presets = {
        "light": {},
        "paper": {"light": False},
        "cpu": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 8.0,
            "load_extra": 4,
            "width": 16,
            "blocks": 3,
            "layers": 5,
            "lr": 4e-4,
            "ema_decay": 0.998,
        },
        "smoke": {"resolution": 32, "batch_size": 2, "budget_kimg": 0.02, "width": 4, "blocks": 1, "layers": 5},
    }

    @classmethod
    def whole_batch(cls, config: NICEGANConfig) -> str | None:
        return None

    def __init__(self, task: Task, config: NICEGANConfig) -> None:
        super().__init__(task, config)
        self.config: NICEGANConfig = config
        c = config
        for name in ("gen2A", "gen2B"):
            self.networks[name] = Generator(task.channels, c.width, c.blocks, task.resolution, c.light)
        for name in ("disA", "disB"):
            self.networks[name] = Discriminator(task.channels, c.width, c.layers)
        if c.ema_decay is not None:
            self.ema = {name: ema.copy_of(network) for name, network in self.networks.items()}
        self._optimizer("G", [self.networks["gen2A"], self.networks["gen2B"]])
        self._optimizer("D", [self.networks["disA"], self.networks["disB"]])

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        a, b = batch["source"].image, batch["target"].image
        losses = self._discriminator_step(a, b)
        total, parts = self.generator_loss(a, b)
        self.minimise("G", total)
        self.once(lambda: ema.follow(self.ema, self.networks, self.config.ema_decay))
        return losses | {name: loss.detach() for name, loss in parts.items()}

    def _discriminator_step(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        """The paper's adversarial loss. Trains encoders and heads; the translations are made from the same codes."""
        nets = self.networks
        (real_a, z_a), (real_b, z_b) = self.judge_and_encode("A", a), self.judge_and_encode("B", b)
        self.saw_real(nets["disA"], real_a)
        self.saw_real(nets["disB"], real_b)
        with torch.no_grad():
            fake_b, fake_a = nets["gen2B"](z_a), nets["gen2A"](z_b)
        losses = {
            "D_A": towards(real_a, 1.0) + towards(nets["disA"](fake_a)[0], 0.0),
            "D_B": towards(real_b, 1.0) + towards(nets["disB"](fake_b)[0], 0.0),
        }
        self.minimise("D", self.config.adv_weight * (losses["D_A"] + losses["D_B"]))
        return {name: loss.detach() for name, loss in losses.items()}

    def generator_loss(self, a: Tensor, b: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The paper's adversarial, cycle-consistency and reconstruction losses.

        Gradients reach the generators through the encoders, which stay as they are; the codes of real images are
        constants.
        """
        c, nets = self.config, self.networks
        with torch.no_grad():
            z_a, z_b = self.encode("A", a), self.encode("B", b)
        fake_b, same_b = nets["gen2B"](torch.cat([z_a, z_b])).tensor_split([len(a)])
        fake_a, same_a = nets["gen2A"](torch.cat([z_b, z_a])).tensor_split([len(b)])
        (on_a, z_of_fake_a), (on_b, z_of_fake_b) = (
            self.judge_and_encode("A", fake_a),
            self.judge_and_encode("B", fake_b),
        )
        parts = {
            "G_A": towards(on_a, 1.0),
            "G_B": towards(on_b, 1.0),
            "cycle": F.l1_loss(nets["gen2A"](z_of_fake_b), a) + F.l1_loss(nets["gen2B"](z_of_fake_a), b),
            "reconstruction": F.l1_loss(same_a, a) + F.l1_loss(same_b, b),
        }
        total = c.adv_weight * (parts["G_A"] + parts["G_B"]) + c.cycle_weight * parts["cycle"]
        return total + c.reconstruction_weight * parts["reconstruction"], parts

    def judge_and_encode(self, domain: str, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """The outputs of a domain's discriminator and the code of the image, which is never augmented."""
        outputs, code = self.networks[f"dis{domain}"](image)
        return outputs, code if self.augmentation is None else self.encode(domain, image)

    def encode(self, domain: str, image: Tensor) -> Tensor:
        """The code of images of domain "A" or "B"."""
        discriminator: Any = self.networks[f"dis{domain}"]
        return discriminator.encode(image)[0]

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        return self._translated("A", "B", source)

    @torch.no_grad()
    def translate_back(self, images: Tensor, rng: torch.Generator) -> Tensor:
        return self._translated("B", "A", images)

    def _translated(self, own: str, other: str, images: Tensor) -> Tensor:
        nets: Mapping[str, Any] = self.ema or self.networks
        return nets[f"gen2{other}"](nets[f"dis{own}"].encode(images)[0])


def towards(outputs: list[Tensor], wanted: float) -> Tensor:
    """Least squares of a discriminator's outputs (local, global, attention), each a mean, summed."""
    return torch.stack([lsgan(output, wanted) for output in outputs]).sum()
