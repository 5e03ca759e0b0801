"""BalaGAN (Patashnik et al., arXiv 2010.02036 v2; code orpatashnik/BalaGAN at a34fba9).

The rich source domain A is split into modes A_1..A_k without supervision (methods/modes.py). One reference-guided,
class-conditional translator, FUNIT's, is trained over all ordered pairs of (A_1, ..., A_k, B); its discriminator has
a second head that classifies real images. At test time the source is from A, the reference from B.

Where paper and code differ, the defaults follow the code, which gave the published figures; each such difference is a
field of Config. Right instead of faithful: the encoder's cosine schedule (encoder_schedule), the blur's kernel size
(methods/views.py), no random flip and no per-image contrast stretch at test time. Computed once instead of twice: the
translations of a batch, which serve the steps of both networks (the generator does not change in between).

Table 5 of the paper: `classes` = modes:K (ours), labels (GT), vae-modes:K (mVE); row B d_cls=false; row C also
train_on_target=false and encoder_images=source.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import method
from bench.artifacts import Artifacts
from bench.augment import Augment
from bench.errors import UserError
from bench.method import Method, Task
from bench.registry import register
from bench.sampler import Batch, Stream
from bench.task import TaskData

from . import ema, losses, modes
from .layers import SLOPE, ActivationFirstBlock, AdaINResidualBlock, ConvBlock, ResidualBlock, kaiming_init

MAX_WIDTH = 1024  # of the discriminator
ALPHA = 0.99  # of RMSprop


@dataclass(frozen=True)
class BalaGANConfig(method.Config, modes.Fields):
    """BalaGAN's settings; those of mode finding are in modes.Fields."""

    resolution: int = 128
    batch_size: int = 3
    budget_kimg: float = 300.0  # 100,000 iterations of 3 images
    load_ratio: float = 140 / 128  # images are enlarged by this much, then cropped at random
    sampling: Literal["image_uniform", "class_uniform"] = "image_uniform"  # both batches, over A and B together.
    # image_uniform (code): every image equally often; class_uniform: every class, a reading of the paper's section 3.2

    width: int = 64  # channels after the first conv of every network
    downs: int = 3  # stride-2 convs of the source encoder
    reference_downs: int = 4  # stride-2 convs of the reference encoder
    discriminator_downs: int = 4  # pooled stages of the discriminator
    blocks: int = 2  # residual blocks of the source encoder, and of the decoder
    latent: int = 64  # length of the reference code
    mlp_width: int = 256  # hidden width of the MLP that makes AdaIN parameters

    d_cls: bool = True  # the classifier head; False: row B of Table 5
    train_on_target: bool = True  # False: row C of Table 5, the target is seen at test time only
    adv_weight: float = 1.0
    cls_weight: float = 1.0  # lambda_CE; the code gives it the weight of the adversarial loss
    reconstruction_weight: float = 0.1  # lambda_R
    feature_weight: float = 1.0  # lambda_F
    r1_weight: float = 10.0  # lambda_reg
    r1: Literal["code", "per_sample"] = (
        "code"  # code: divided by batch^2 (losses.r1); per_sample: as the paper writes it
    )
    adv_on_reconstruction: bool = True  # code: half of the adversarial loss is on G(x, x); paper: none
    features_on_reconstruction: bool = True  # code: feature matching of G(x, x) to x too; paper: translations only
    features_pooled: bool = True  # code: spatial means of the features are matched; paper: the features

    lr: float = 1e-4  # of both networks
    weight_decay: float = 1e-4
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        most = max(self.downs, self.reference_downs, self.discriminator_downs)
        if self.resolution % 2**most or self.resolution < 2 ** (most + 1):
            raise UserError(
                f"BalaGAN at resolution {self.resolution} cannot halve the image {most} times; choose a multiple of "
                f"{2**most}, at least {2 ** (most + 1)}, or lower downs, reference_downs and discriminator_downs"
            )
        if not self.train_on_target and (self.encoder_images != "source" or self.target_modes > 1):
            raise UserError("train_on_target=false leaves the target out: set encoder_images=source and target_modes=1")


class SourceEncoder(nn.Sequential):
    """E_source: (N, C, S, S) -> content code (N, width * 2^downs, S / 2^downs, S / 2^downs)."""

    def __init__(self, channels: int, width: int, downs: int, blocks: int) -> None:
        layers: list[nn.Module] = [ConvBlock(channels, width, 7, padding=3, norm="instance")]
        for _ in range(downs):
            layers.append(ConvBlock(width, 2 * width, 4, stride=2, padding=1, norm="instance"))
            width *= 2
        super().__init__(*layers, *(ResidualBlock(width) for _ in range(blocks)))


class ReferenceEncoder(nn.Sequential):
    """E_ref: (N, C, S, S) -> reference code (N, latent). No norms; the width doubles twice at most."""

    def __init__(self, channels: int, width: int, downs: int, latent: int) -> None:
        widths = [width, *(width * min(2**i, 4) for i in range(1, downs + 1))]
        layers: list[nn.Module] = [ConvBlock(channels, width, 7, padding=3)]
        layers += [ConvBlock(a, b, 4, stride=2, padding=1) for a, b in pairwise(widths)]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Conv2d(widths[-1], latent, 1), nn.Flatten())


class Decoder(nn.Module):
    """F: content code and AdaIN parameters (N, n_style), in the order of the blocks -> image in [-1, 1]."""

    def __init__(self, channels: int, width: int, downs: int, blocks: int) -> None:
        super().__init__()
        inner = width * 2**downs
        self.blocks = nn.ModuleList(AdaINResidualBlock(inner) for _ in range(blocks))
        self.n_style = 4 * inner * blocks
        layers: list[nn.Module] = []
        for _ in range(downs):
            layers += [nn.Upsample(scale_factor=2), ConvBlock(inner, inner // 2, 5, padding=2, norm="instance")]
            inner //= 2
        self.up = nn.Sequential(*layers, ConvBlock(inner, channels, 7, padding=3, activation="tanh"))

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        for block, part in zip(self.blocks, style.chunk(len(self.blocks), dim=1)):
            content = block(content, part)
        return self.up(content)


class Generator(nn.Module):
    """G(x, y) = F(E_source(x), MLP(E_ref(y))), equation 1."""

    def __init__(self, channels: int, config: BalaGANConfig) -> None:
        super().__init__()
        c = config
        self.source_encoder = SourceEncoder(channels, c.width, c.downs, c.blocks)
        self.reference_encoder = ReferenceEncoder(channels, c.width, c.reference_downs, c.latent)
        self.decoder = Decoder(channels, c.width, c.downs, c.blocks)
        self.mlp = nn.Sequential(
            nn.Linear(c.latent, c.mlp_width),
            nn.ReLU(),
            nn.Linear(c.mlp_width, c.mlp_width),
            nn.ReLU(),
            nn.Linear(c.mlp_width, self.decoder.n_style),
        )
        kaiming_init(self)

    def forward(self, source: Tensor, reference: Tensor) -> Tensor:
        return self.decode(self.source_encoder(source), self.reference_encoder(reference))

    def decode(self, content: Tensor, code: Tensor) -> Tensor:
        return self.decoder(content, self.mlp(code))


class Discriminator(nn.Module):
    """D_f and its heads: one map a class (D_adv), and one logit a class (D_cls) where `classifier`."""

    def __init__(self, channels: int, width: int, downs: int, classes: int, classifier: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = [ConvBlock(channels, width, 7, padding=3, activation="none")]
        for _ in range(downs):
            wider = min(2 * width, MAX_WIDTH)
            layers += [ActivationFirstBlock(width, width), ActivationFirstBlock(width, wider)]
            layers += [nn.ReflectionPad2d(1), nn.AvgPool2d(3, stride=2)]
            width = wider
        self.features = nn.Sequential(*layers, ActivationFirstBlock(width, width), ActivationFirstBlock(width, width))
        self.adversarial = nn.Sequential(nn.LeakyReLU(SLOPE), nn.Conv2d(width, classes, 1))
        self.classifier = nn.Sequential(nn.LeakyReLU(SLOPE), nn.Conv2d(width, classes, 1)) if classifier else None
        kaiming_init(self)

    def scores(self, features: Tensor, label: Tensor) -> Tensor:
        """D_adv(x)_m(x): (N, H, W)."""
        return losses.of_class(self.adversarial(features), label)

    def logits(self, features: Tensor) -> Tensor:
        """D_cls(x): (N, classes)."""
        assert self.classifier is not None
        return self.classifier(features).mean((2, 3))


@register
class BalaGAN(Method):
    """Translation over modes found in the richer domain, guided by a reference image."""

    name = "balagan"
    aliases = ("bala-gan",)
    paper = "Patashnik et al., BalaGAN: Cross-Modal Image Translation Between Imbalanced Domains, arXiv 2010.02036"
    Config = BalaGANConfig
    presets = {
        "paper": {},
        # Small enough for minutes of one CPU thread: narrow, shallow, fewer modes, larger steps, a shorter average.
        "cpu": {
            "resolution": 32,
            "batch_size": 8,
            "budget_kimg": 24.0,
            "sampling": "class_uniform",  # a target image in each ninth place, not in each thirteenth
            "width": 8,
            "downs": 1,
            "reference_downs": 3,
            "discriminator_downs": 2,
            "latent": 32,
            "mlp_width": 64,
            "reconstruction_weight": 1.0,  # content settles sooner
            "lr": 5e-4,
            "ema_decay": 0.99,
            "classes": "modes:8",
            "encoder_images": "source",  # one encoder for all target sizes
            "encoder_width": 16,
            "encoder_epochs": 80,
            "encoder_lr": 1e-3,
        },
    }
    guidance = "reference"

    def __init__(self, task: Task, config: BalaGANConfig) -> None:
        super().__init__(task, config)
        self.config: BalaGANConfig = config
        self.classes: modes.Classes | None = None
        n_source, n_target = modes.counts(config, task)
        n_classes = n_source + (n_target if config.train_on_target else 0)
        generator = Generator(task.channels, config)
        discriminator = Discriminator(task.channels, config.width, config.discriminator_downs, n_classes, config.d_cls)
        self.generator, self.discriminator = generator, discriminator
        self.networks = {"generator": generator, "discriminator": discriminator}
        self.ema = {"generator": ema.copy_of(generator)}
        self.optimizers = {name: self._optimizer(network) for name, network in self.networks.items()}

    def _optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        c = self.config
        return torch.optim.RMSprop(network.parameters(), lr=c.lr, alpha=ALPHA, weight_decay=c.weight_decay)

    def prepare(self, data: TaskData, artifacts: Artifacts) -> None:
        self.classes = modes.find(self.config, data, artifacts)

    def streams(self, data: TaskData) -> dict[str, Stream]:
        """Two independent draws over the union of A and B (over A alone without train_on_target)."""
        c, found = self.config, self._found()
        ids = np.concatenate([found.source, found.target]) if c.train_on_target else found.source
        stream = Stream(
            pool="all" if c.train_on_target else "source",
            size=c.batch_size,
            order="shuffled" if c.sampling == "image_uniform" else "balanced",
            augment=Augment(flip=True, load_size=round(c.resolution * c.load_ratio)),
            classes=ids,
        )
        return {"source": stream, "reference": stream}

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        source, reference = batch["source"], batch["reference"]
        xa, la, xb, lb = source.image, source.label, reference.image, reference.label
        content = self.generator.source_encoder(xa)
        codes = self.generator.reference_encoder(torch.cat([xb, xa]))
        fake = self.generator.decode(content.repeat(2, 1, 1, 1), codes)  # G(xa, xb), then G(xa, xa)

        d_loss, d_parts = self.discriminator_loss(fake[: len(xa)].detach(), xb, lb)
        self.minimise("discriminator", d_loss)
        g_loss, g_parts = self.generator_loss(fake, torch.cat([xb, xa]), torch.cat([lb, la]))
        self.minimise("generator", g_loss)
        ema.update(self.ema["generator"], self.generator, self.config.ema_decay)
        return {name: value.detach() for name, value in {**d_parts, **g_parts}.items()}

    def discriminator_loss(self, fake: Tensor, real: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Equation 6, above. Real are the references alone; fake are translations to the same classes."""
        c, d = self.config, self.discriminator
        real = real.detach().requires_grad_()
        features = d.features(real)
        scores = d.scores(features, label)
        parts = {
            "d_real": losses.hinge_real(scores),
            "d_fake": losses.hinge_fake(d.scores(d.features(fake), label)),
        }
        total = c.adv_weight * (parts["d_real"] + parts["d_fake"])
        if c.r1_weight:
            parts["r1"] = losses.r1(scores, real, c.r1)
            total = total + c.r1_weight * parts["r1"]
        if c.d_cls:
            parts["d_cls"] = F.cross_entropy(d.logits(features), label)
            total = total + c.cls_weight * parts["d_cls"]
        return total, parts

    def generator_loss(self, fake: Tensor, wanted: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Equation 6, below. All three hold translations and references in the first half, and reconstructions and
        the sources themselves in the second."""
        c, d = self.config, self.discriminator
        half = len(fake) // 2
        features = d.features(fake)
        with torch.no_grad():
            wanted_features = d.features(wanted)
        scores = d.scores(features, label)
        judged = len(fake) if c.adv_on_reconstruction else half
        matching = losses.feature_matching(features[:half], wanted_features[:half], c.features_pooled)
        if c.features_on_reconstruction:
            matching = matching + losses.feature_matching(features[half:], wanted_features[half:], c.features_pooled)
        parts = {
            "g_adv": -scores[:judged].mean(),
            "g_rec": F.l1_loss(fake[half:], wanted[half:]),
            "g_feat": matching,
        }
        total = c.adv_weight * parts["g_adv"]
        return total + c.reconstruction_weight * parts["g_rec"] + c.feature_weight * parts["g_feat"], parts

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        if reference is None:
            raise ValueError("BalaGAN translates to the look of a reference; pass reference=")
        return self.ema["generator"](source, reference)

    def target_classes(self, data: TaskData) -> Any:
        return self._found().target

    def _found(self) -> modes.Classes:
        if self.classes is None:
            raise RuntimeError("the classes are not known yet; call prepare first")
        return self.classes
