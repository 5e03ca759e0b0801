"""StarGAN (Choi et al., CVPR 2018, arXiv 1711.09020; code yunjey/stargan at 94dd002).

One generator for all classes: the wanted class is painted over the image as extra channels. The discriminator, a critic
with a gradient penalty (WGAN-GP), also names the class. An image that is sent to another class and back must be what it
was. Target classes are those of the batch, shuffled, so that frequent classes are also frequent targets.

Defaults follow the code, whose learning rate hardly falls (lr_decay). Class data only: vectors of attributes and the
training on two data sets at once are left out. Norms have no running statistics, which the code keeps and never uses.

Computed once: the translations for the `critic_steps` steps of the discriminator are one batch (the generator does not
change in between); those of the last images serve the generator's step, too.
"""

import math
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
    register,
    setting,
)
from bench.methods import modes
from bench.methods.nn import losses
from bench.methods.nn.stargan import critic_trunk, decoder, encoder, painted
from bench.methods.nn.stargan_training import StarGANFields, StarGANTraining


@dataclass(frozen=True)
class StarGANConfig(Config, StarGANFields, DiscriminatorFields, modes.Fields):
    """StarGAN's settings; those of mode finding are in modes.Fields."""

    resolution: int = 128
    batch_size: int = setting(
        16, "images of each step of the discriminator; wanted classes are those of the others in it", low=2
    )
    budget_kimg: float = setting(
        3200.0, "thousands of source images seen in training; 200,000 steps of the discriminator"
    )
    classes: str = "domain"
    width: int = setting(64, "channels after the first conv of both networks", low=1)
    blocks: int = setting(6, "residual blocks of the generator")
    discriminator_layers: int | None = setting(
        None, "halvings of the discriminator; none: down to 2x2, at most 6", low=1
    )

    cls_weight: float = setting(1.0, "weight of the classification")
    gp_weight: float = setting(10.0, "weight of the gradient penalty")
    rec_weight: float = setting(10.0, "weight of the L1 of the image translated there and back")

    @property
    def boundary(self) -> None:
        """A Wasserstein critic has none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resolution % 4 or self.resolution < 8 or self.resolution % 2**self.halvings:
            raise Unfit(
                f"StarGAN at resolution {self.resolution} cannot halve the image {max(2, self.halvings)} times; choose "
                "a multiple of 8 such as 32, 64 or 128, or lower discriminator_layers"
            )

    @property
    def halvings(self) -> int:
        return self.discriminator_layers or max(1, min(6, int(math.log2(max(self.resolution, 1))) - 1))


class Generator(nn.Module):
    """G(x, c): images (N, C, S, S), one-hot classes (N, K) -> images in [-1, 1].

    Padding is with zeros: behind reflected borders a constant channel would vanish in the instance norm.
    """

    def __init__(self, channels: int, classes: int, width: int, blocks: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*encoder(channels + classes, width, blocks), *decoder(channels, width))

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        return self.layers(painted(x, label))


class Discriminator(nn.Module):
    """D(x): images (N, C, S, S) -> realness map (N, 1, s, s) and class logits (N, K), s = S / 2^halvings."""

    def __init__(self, channels: int, classes: int, width: int, halvings: int, side: int) -> None:
        super().__init__()
        last = width * 2 ** (halvings - 1)
        self.trunk = nn.Sequential(*critic_trunk(channels, width, halvings))
        self.realness = nn.Conv2d(last, 1, 3, padding=1, bias=False)
        self.label = nn.Sequential(nn.Conv2d(last, classes, side // 2**halvings, bias=False), nn.Flatten())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(x)
        return self.realness(features), self.label(features)


@register
class StarGAN(StarGANTraining):
    """One generator for all classes, the wanted one as input; deterministic."""

    name = "stargan"
    aliases = ("star-gan",)
    paper = "Choi et al., StarGAN: Unified Generative Adversarial Networks for Multi-Domain Translation, CVPR 2018"
    class_conditional = True
    year = 2018
    kind = "unpaired"
    needs = ()
    Config = StarGANConfig
    discriminators = ("D.trunk",)
    second_order = ("D",)
    presets = {
        "paper": {},
        "smoke": {"resolution": 32, "batch_size": 2, "budget_kimg": 0.02, "width": 4, "blocks": 1},
        "cpu": {
            "resolution": 32,
            "batch_size": 8,
            "budget_kimg": 20.0,
            "width": 12,
            "blocks": 2,
            "balanced": True,  # else a small target is seldom wanted
            "critic_steps": 1,  # more steps of the generator in a short training
            "rec_weight": 50.0,  # with 10 and lr=1e-3 sources were hard to recognise after 6,000 images of emoji
            "lr_decay": "linear",
            "decay_every": 10,
            "lr": 8e-4,
        },
    }

    @classmethod
    def whole_batch(cls, config: StarGANConfig) -> str | None:
        return None

    def __init__(self, task: Task, config: StarGANConfig) -> None:
        super().__init__(task, config)
        self.config: StarGANConfig = config
        self.n_classes = sum(modes.counts(config, task))
        self.generator = Generator(task.channels, self.n_classes, config.width, config.blocks)
        self.discriminator = Discriminator(
            task.channels, self.n_classes, config.width, config.halvings, task.resolution
        )
        self.networks = {"G": self.generator, "D": self.discriminator}
        self.make_optimizers()

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        images, labels = (x.chunk(self.config.critic_steps) for x in (batch["source"].image, batch["source"].label))
        n, wanted = len(images[0]), [self.over_batch(self._shuffled, label) for label in labels]
        fake = self.generator(images[-1], self._one_hot(wanted[-1]))
        fakes = [*self._translations(images[:-1], wanted[:-1]), fake.detach()]

        logged: dict[str, Tensor] = {}
        for x, own, made in zip(images, labels, fakes):
            share = self.draw(lambda m: torch.rand(m, generator=self.rng, device=self.device), n)
            loss, parts = self.discriminator_loss(x, own, made, share)
            self.minimise("D", loss)
            for name, value in parts.items():
                logged[name] = logged.get(name, 0) + value.detach() / len(images)

        rebuilt = self.generator(fake, self._one_hot(labels[-1]))
        loss, parts = self.generator_loss(images[-1], fake, wanted[-1], rebuilt)
        self.minimise("G", loss)
        return {**logged, **{name: value.detach() for name, value in parts.items()}}

    @torch.no_grad()
    def _translations(self, images: tuple[Tensor, ...], wanted: list[Tensor]) -> tuple[Tensor, ...]:
        if not images:
            return ()
        return self.generator(torch.cat(images), self._one_hot(torch.cat(wanted))).split(len(images[0]))

    def discriminator_loss(
        self, real: Tensor, label: Tensor, fake: Tensor, share: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """label (N,): the classes of `real`; share (N,): of the real image in the gradient penalty's mixture.

        Only real images train the class head."""
        c, d, n = self.config, self.discriminator, len(real)
        features = d.trunk(torch.cat([real, fake]))
        scores = d.realness(features)
        mixture = losses.mixture(real, fake, share)
        with self.exact():
            judged = d.realness(d.trunk(mixture))
        parts = {
            "d_real": -scores[:n].mean(),
            "d_fake": scores[n:].mean(),
            "d_cls": F.cross_entropy(d.label(features[:n]), label),
            "gp": losses.wgan_gp(judged, mixture),
        }
        total = parts["d_real"] + parts["d_fake"] + c.cls_weight * parts["d_cls"] + c.gp_weight * parts["gp"]
        return total, parts

    def generator_loss(
        self, x: Tensor, fake: Tensor, label: Tensor, rebuilt: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """fake = G(x, label); rebuilt = G(fake, label of x)."""
        c = self.config
        scores, logits = self.discriminator(fake)
        parts = {
            "g_adv": -scores.mean(),
            "g_cls": F.cross_entropy(logits, label),
            "g_rec": F.l1_loss(rebuilt, x),
        }
        return parts["g_adv"] + c.cls_weight * parts["g_cls"] + c.rec_weight * parts["g_rec"], parts

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        if label is None:
            raise ValueError("StarGAN translates to a class; pass label=")
        return self.generator(source, self._one_hot(label))

    @torch.no_grad()
    def translate_back(self, images: Tensor, rng: torch.Generator) -> Tensor | None:
        """Translates to the source where it is one class; else no class of the source is the right one."""
        if self.config.classes != "domain":
            return None
        return self.generator(images, self._one_hot(torch.zeros(len(images), dtype=torch.long, device=images.device)))
