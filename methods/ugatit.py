"""U-GAT-IT (Kim et al., ICLR 2020, arXiv 1907.10830; code znxlwm/UGATIT-pytorch).

Two translators that undo each other, as in CycleGAN, with attention from a classifier inside every network (CAM) and
AdaILN, a norm that learns how much of the instance's and how much of the layer's statistics it removes. Each domain has
two discriminators: a global one that sees nearly the whole image and a local one.

`light` averages a map before it makes AdaILN's numbers of it (the code's `--light`): 10.6 million weights a generator
instead of 279 million at 256 pixels. Departures from the code: images are enlarged from the task's resolution, so that
`load_extra` pixels are added at every resolution; the rate's last values are 0 where the code's would turn negative.
Computed once: the translations for the steps of both networks (the generators do not change in between), and a
generator's two inputs, source and target, share one pass, as do real and generated images in a discriminator, whose
spectral norms therefore make one power iteration where the code makes two.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import (
    Batch,
    Config,
    DiscriminatorFields,
    Task,
    Unfit,
    UserError,
    register,
    setting,
)
from bench.methods.nn import ema
from bench.methods.nn.adalin import ILN, AdaILNResidualBlock, Modulation, clamp_rho, plain_conv
from bench.methods.nn.cam import TwoHeadAttention
from bench.methods.nn.kernels import InstanceNorm2d
from bench.methods.nn.losses import lsgan
from bench.methods.nn.spectral import spectral_norm
from bench.methods.nn.ugatit_training import UGATITFields, UGATITTraining

SLOPE = 0.2  # of the discriminators' leaky ReLUs


@dataclass(frozen=True)
class UGATITConfig(Config, UGATITFields, DiscriminatorFields):
    """U-GAT-IT's settings."""

    resolution: int = 128
    batch_size: int = 1
    budget_kimg: float = setting(1000.0, "thousands of source images seen in training; 1,000,000 iterations of one")
    width: int = setting(64, "channels after the first conv of every network", low=1)
    blocks: int = setting(4, "residual blocks before the attention, and AdaILN blocks behind it", low=1)
    global_layers: int = setting(
        7, "convs of the global discriminator, 3 or more; 7 need 96 pixels; 0: none, for smaller images", high=16
    )
    local_layers: int = setting(5, "convs of the local discriminator", low=3, high=16)

    identity_weight: float = setting(10.0, "weight of the identity loss")
    cam_weight: float = setting(1000.0, "weight of the generators' classifiers: does the input need translation?")

    ema_decay: float | None = setting(
        None, "decay of an average of the generators that translates; none: no average, as in the paper", below=1
    )

    @property
    def discriminators(self) -> dict[str, int]:
        """The convs of each discriminator of a domain."""
        return {name: n for name, n in (("global", self.global_layers), ("local", self.local_layers)) if n}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.global_layers in (1, 2):
            raise UserError(
                f"global_layers={self.global_layers} leaves no discriminator; choose 3 or more, or 0 for none"
            )
        least = 3 * 2 ** (max(self.discriminators.values()) - 2)
        if self.resolution % 4 or self.resolution < max(8, least):
            raise Unfit(
                f"U-GAT-IT at resolution {self.resolution} cannot halve the image as often as its discriminators do; "
                f"choose a multiple of 4, at least {max(8, least)}, or lower global_layers (0: none) or local_layers"
            )


class Generator(nn.Module):
    """(N, C, S, S) in [-1, 1] -> translations of the same shape, and logits (N, 2): does the input need translation?"""

    def __init__(self, channels: int, width: int, blocks: int, side: int, light: bool) -> None:
        super().__init__()
        inner = 4 * width
        self.encoder = nn.Sequential(
            *_conv_in_relu(channels, width, 7),
            *_conv_in_relu(width, 2 * width, 3, stride=2),
            *_conv_in_relu(2 * width, inner, 3, stride=2),
            *(ResidualBlock(inner) for _ in range(blocks)),
        )
        self.attention = TwoHeadAttention(inner, spectral=False, activation=nn.ReLU())
        self.modulation = Modulation(inner, side // 4, light)
        self.blocks = nn.ModuleList(AdaILNResidualBlock(inner, "clamped") for _ in range(blocks))
        up: list[nn.Module] = []
        for factor in (4, 2):
            outputs = factor * width // 2
            up += [nn.Upsample(scale_factor=2), plain_conv(factor * width, outputs, 3), ILN(outputs, "clamped")]
            up.append(nn.ReLU())
        self.up = nn.Sequential(*up, plain_conv(width, channels, 7), nn.Tanh())

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x, logits = self.attention(self.encoder(image))
        gamma, beta = self.modulation(x)
        for block in self.blocks:
            x = block(x, gamma, beta)
        return self.up(x), logits


class ResidualBlock(nn.Module):
    """x + IN(conv3(relu(IN(conv3(x))))), convs without bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv_in_relu(channels, channels, 3), plain_conv(channels, channels, 3), InstanceNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Discriminator(nn.Module):
    """(N, C, S, S) -> a map of scores (N, 1, s, s), and the attention's logits (N, 2). `layers` convs, of which all but
    the last two halve the image: 7 give s = 6 at S = 256, 5 give s = 30."""

    def __init__(self, channels: int, width: int, layers: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        inputs, outputs = channels, width
        for i in range(layers - 1):
            conv = nn.Conv2d(inputs, outputs, 4, 2 if i < layers - 2 else 1, 1, padding_mode="reflect")
            parts += [spectral_norm(conv), nn.LeakyReLU(SLOPE)]
            inputs, outputs = outputs, 2 * outputs
        self.features = nn.Sequential(*parts)
        self.attention = TwoHeadAttention(inputs, spectral=True, activation=nn.LeakyReLU(SLOPE))
        self.scores = spectral_norm(nn.Conv2d(inputs, 1, 4, 1, 1, bias=False, padding_mode="reflect"))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x, logits = self.attention(self.features(image))
        return self.scores(x), logits


def _conv_in_relu(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [plain_conv(inputs, outputs, kernel, stride), InstanceNorm2d(outputs), nn.ReLU()]


@register
class UGATIT(UGATITTraining):
    """Two translators that undo each other, with attention and AdaILN; deterministic."""

    name = "ugatit"
    aliases = ("u-gat-it",)
    paper = "Kim et al., U-GAT-IT: Unsupervised Generative Attentional Networks, ICLR 2020, arXiv 1907.10830"
    year = 2020
    kind = "unpaired"
    needs = ()
    Config = UGATITConfig
    discriminators = ("D_*",)
    presets = {
        "light": {},
        "paper": {"light": False},
        "cpu": {
            "resolution": 32,
            "batch_size": 1,
            "budget_kimg": 8.0,
            "load_extra": 4,
            "width": 16,
            "blocks": 2,
            "global_layers": 5,
            "local_layers": 4,
            "lr": 4e-4,
            "ema_decay": 0.998,
        },
        "smoke": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 0.02,
            "width": 4,
            "blocks": 1,
            "global_layers": 5,
            "local_layers": 4,
        },
    }

    @classmethod
    def whole_batch(cls, config: UGATITConfig) -> str | None:
        return None

    def __init__(self, task: Task, config: UGATITConfig) -> None:
        super().__init__(task, config)
        self.config: UGATITConfig = config
        c = config
        for name in ("G_A2B", "G_B2A"):
            self.networks[name] = Generator(task.channels, c.width, c.blocks, task.resolution, c.light)
        for domain in "AB":
            for name, layers in c.discriminators.items():
                self.networks[f"D_{domain}_{name}"] = Discriminator(task.channels, c.width, layers)
        if c.ema_decay is not None:
            self.ema = {name: ema.copy_of(self.networks[name]) for name in ("G_A2B", "G_B2A")}
        for kind in "GD":
            self._optimizer(kind, [network for name, network in self.networks.items() if name.startswith(kind)])

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        a, b = batch["source"].image, batch["target"].image
        to_b, cam_b = self.networks["G_A2B"](torch.cat([a, b]))
        to_a, cam_a = self.networks["G_B2A"](torch.cat([b, a]))
        fake_b, fake_a = to_b[: len(a)].detach(), to_a[: len(b)].detach()
        d_losses = {"D_A": self.discriminator_loss("A", a, fake_a), "D_B": self.discriminator_loss("B", b, fake_b)}
        self.minimise("D", self.config.adv_weight * (d_losses["D_A"] + d_losses["D_B"]))
        total, g_losses = self.generator_loss(a, b, (to_b, cam_b), (to_a, cam_a))
        self.minimise("G", total)
        for name in ("G_A2B", "G_B2A"):
            clamp_rho(self.networks[name])
        self.once(lambda: ema.follow(self.ema, self.networks, self.config.ema_decay))
        return {name: loss.detach() for name, loss in {**d_losses, **g_losses}.items()}

    def discriminator_loss(self, domain: str, real: Tensor, fake: Tensor) -> Tensor:
        """The paper's adversarial loss: least squares on the scores and on the attention's logits of each
        discriminator of a domain, real towards 1 and generated towards 0, summed."""
        terms = []
        for name in self.config.discriminators:
            network = self.networks[f"D_{domain}_{name}"]
            for scores in network(torch.cat([real, fake])):
                on_real, on_fake = scores.tensor_split([len(real)])
                self.saw_real(network, on_real)
                terms += [lsgan(on_real, 1.0), lsgan(on_fake, 0.0)]
        return torch.stack(terms).sum()

    def generator_loss(
        self, a: Tensor, b: Tensor, into_b: tuple[Tensor, Tensor], into_a: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The paper's adversarial, cycle, identity and CAM losses, both directions summed.

        into_b  of G_A2B: its images for a and then for b, and their logits
        into_a  of G_B2A: its images for b and then for a, and their logits
        """
        c = self.config
        fake_b, same_b = into_b[0].tensor_split([len(a)])
        fake_a, same_a = into_a[0].tensor_split([len(b)])
        parts = {
            "G_A": self._fooled("A", fake_a),
            "G_B": self._fooled("B", fake_b),
            "cycle": F.l1_loss(self.networks["G_B2A"](fake_b)[0], a) + F.l1_loss(self.networks["G_A2B"](fake_a)[0], b),
            "identity": F.l1_loss(same_a, a) + F.l1_loss(same_b, b),
            "cam": needs_translation(into_b[1], len(a)) + needs_translation(into_a[1], len(b)),
        }
        total = c.adv_weight * (parts["G_A"] + parts["G_B"]) + c.cycle_weight * parts["cycle"]
        return total + c.identity_weight * parts["identity"] + c.cam_weight * parts["cam"], parts

    def _fooled(self, domain: str, fake: Tensor) -> Tensor:
        outputs = (self.networks[f"D_{domain}_{name}"](fake) for name in self.config.discriminators)
        return torch.stack([lsgan(scores, 1.0) for pair in outputs for scores in pair]).sum()

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        return self.ema.get("G_A2B", self.networks["G_A2B"])(source)[0]

    @torch.no_grad()
    def translate_back(self, images: Tensor, rng: torch.Generator) -> Tensor:
        return self.ema.get("G_B2A", self.networks["G_B2A"])(images)[0]


def needs_translation(logits: Tensor, first: int) -> Tensor:
    """Cross entropy of a generator's logits (N, 2): yes for the first images, which are of the other domain, no for the
    rest, which are of its own."""
    foreign, own = logits.float().tensor_split([first])
    return F.softplus(-foreign).mean() + F.softplus(own).mean()
