"""SDIT (Wang et al., ACM MM 2019, arXiv 1908.06881; thesis of Yaxing Wang, chapter 6; code yaxingwang/SDIT at 73015f9).

One generator for all classes: the wanted class is painted over the image as extra channels, a noise code sets the norms
of a branch at the bottleneck (CIN), and an attention map says where that branch counts. The discriminator also names
the class and regresses the code.

Paper and code differ a lot: `variant` chooses all that differs at once, and each difference is a field that overrides
it. The default is the code. Weights are those of the authors' erratum and answers (public issue 2), not the misprinted
ones of the paper. Ablations of Table 6.1: cin=false; attention=false; attention=false lat_weight=0; lat_weight=0.

Right instead of faithful: norms have no running statistics (the code never uses its own), the code's unused dummy stack
is left out, the latent head takes maps of any side. Class data only, not vectors of attributes.

Computed once: the translations for the `critic_steps` steps of the discriminator are one batch (the generator does not
change in between); what the generator sees of an image before it meets the noise serves both networks.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from bench.methods import modes
from bench.methods.nn.schedules import LRDecay, stargan_share
from bench.methods.sdit.networks import SHARED_NUMBERS, Discriminator, Generator
from torch import Tensor

from bench import Artifacts, Augment, Batch, Config, Method, Stream, Task, TaskData, Unfit, UserError, register, setting

BETAS = (0.5, 0.999)  # of Adam


@dataclass(frozen=True)
class Variant:
    """Where paper and code differ (see VARIANTS)."""

    mixing: Literal["masked", "blended"]  # masked: attention * branch; blended: that + (1 - attention) * encoding
    cin_blocks: int  # residual blocks of the CIN branch
    cin_slices: Literal["shared", "own"]  # shared: the MLP gives 1024 numbers, enough for 128 / width norms; the
    # others use the last slice again (a bug of the code). own: each norm has its own numbers. The paper's 4096 are
    # those of 8 norms at width 64, but with 6 blocks it has 12 norms
    mlp_layers: int  # linear layers of the MLP
    attention_blocks: int  # residual blocks of the attention branch
    lat_in_d: bool  # the discriminator's step trains the latent head; False: it keeps its random weights
    gan: Literal["wgan-gp", "log"]  # log: equation 6.1 with the minimax game of 6.2, no penalty
    cycle_code: Literal["new", "same"]  # of the reconstruction
    init: Literal["default", "gaussian"]  # default: the framework's


VARIANTS = {
    "code": Variant("masked", 4, "shared", 3, 5, False, "wgan-gp", "new", "default"),
    "paper": Variant("blended", 6, "own", 2, 6, True, "log", "same", "gaussian"),
}


@dataclass(frozen=True)
class SDITConfig(Config, modes.Fields):
    """SDIT's settings; those of mode finding are in modes.Fields."""

    resolution: int = 128
    batch_size: int = setting(16, "images of each step of the discriminator; the paper has 4 for data other than faces")
    budget_kimg: float = setting(
        3200.0, "thousands of source images seen in training; 200,000 steps of the discriminator"
    )
    classes: str = "domain"
    balanced: bool = setting(
        False, "true: every class equally often, as source and as target; false: every image, as in the code"
    )

    variant: Literal["code", "paper"] = setting(
        "code", "all the differences of paper and code at once; each of the next nine fields overrides it"
    )
    mixing: Literal["masked", "blended"] | None = setting(
        None,
        "masked (code): attention * branch; blended (paper): that + (1 - attention) * encoding; none: as the variant",
    )
    cin_blocks: int | None = setting(
        None, "residual blocks of the CIN branch; none: as the variant, 4 (code) or 6 (paper)", low=1
    )
    cin_slices: Literal["shared", "own"] | None = setting(
        None,
        "shared (code): the MLP gives 1024 numbers, and norms that find none left share the last ones; own (paper): "
        "each norm has its own; none: as the variant",
    )
    mlp_layers: int | None = setting(
        None, "linear layers of the MLP; none: as the variant, 3 (code) or 2 (paper)", low=2
    )
    attention_blocks: int | None = setting(
        None, "residual blocks of the attention branch; none: as the variant, 5 (code) or 6 (paper)"
    )
    lat_in_d: bool | None = setting(
        None,
        "the discriminator's step trains the latent head; false (code): it keeps its random weights; none: as the "
        "variant",
    )
    gan: Literal["wgan-gp", "log"] | None = setting(
        None,
        "wgan-gp (code); log (paper): equation 6.1 with the minimax game of 6.2, no penalty; none: as the variant",
    )
    cycle_code: Literal["new", "same"] | None = setting(
        None,
        "noise of the reconstruction; new (code): drawn again; same (paper): that of the translation; none: as the "
        "variant",
    )
    init: Literal["default", "gaussian"] | None = setting(
        None, "first weights; default (code): the framework's; gaussian (paper): N(0, 0.02^2); none: as the variant"
    )

    cin: bool = setting(True, "false: the branch has plain instance norms, no noise and no latent loss")
    attention: bool = setting(True, "false: encoder, CIN branch and decoder are chained, as the paper does for scenes")
    width: int = setting(64, "channels after the first conv of both networks", low=1)
    encoder_blocks: int = setting(6, "residual blocks of the encoder")
    latent: int = setting(8, "length of the noise code", low=1)
    discriminator_layers: int | None = setting(
        None, "halvings of the discriminator; none: down to 2x2 (6 at 128 pixels)", low=1
    )

    gan_weight: float = setting(1.0, "weight of the adversarial loss; the paper prints 10, its author says 1")
    cls_weight: float = setting(1.0, "weight of the classification")
    gp_weight: float = setting(10.0, "weight of the gradient penalty")
    rec_weight: float = setting(10.0, "weight of the reconstruction; the paper prints 800, swapped with lat_weight")
    lat_weight: float = setting(
        800.0, "weight of the regression of the noise; that of the README's command, the code's own default is 10"
    )

    critic_steps: int = setting(5, "steps of the discriminator for one of the generator", low=1)
    lr: float = setting(1e-4, "learning rate of both networks", above=0)
    lr_decay: LRDecay = setting(
        "code",
        "code: the rate falls by lr / n every decay_every of the last n steps, so it stays nearly constant; linear: to "
        "0, as was meant",
    )
    decay_share: float = setting(0.5, "the last share of the training, in which the rate falls", high=1)
    decay_every: int = setting(1000, "steps of the discriminator between two changes of the rate", low=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resolution % 4 or self.resolution < 8 or self.resolution % 2**self.halvings:
            raise Unfit(
                f"SDIT at resolution {self.resolution} cannot halve the image {max(2, self.halvings)} times; choose a "
                "multiple of 8 such as 32, 64 or 128, or lower discriminator_layers"
            )
        variant = self.settled
        if self.cin and variant.cin_slices == "shared" and 8 * self.width > SHARED_NUMBERS:
            raise UserError(f"width={self.width} is too wide for cin_slices=shared; choose 128 or less, or own")

    @property
    def halvings(self) -> int:
        return self.discriminator_layers or max(1, int(math.log2(max(self.resolution, 1))) - 1)

    @property
    def settled(self) -> Variant:
        """The variant with the fields that override it."""
        chosen = {field.name: getattr(self, field.name) for field in fields(Variant)}
        return replace(VARIANTS[self.variant], **{name: value for name, value in chosen.items() if value is not None})


@register
class SDIT(modes.MultiClass, Method):
    """Scalable and diverse translation: one generator, classes as input, noise at the bottleneck."""

    name = "sdit"
    aliases = ()
    paper = "Wang et al., SDIT: Scalable and Diverse Cross-domain Image Translation, ACM MM 2019, arXiv 1908.06881"
    class_conditional = True
    Config = SDITConfig
    second_order = ("D",)
    presets = {
        "paper": {},
        "smoke": {"resolution": 32, "batch_size": 2, "width": 4, "encoder_blocks": 1, "attention_blocks": 1},
        "cpu": {
            "resolution": 32,
            "batch_size": 8,
            "budget_kimg": 20.0,
            "width": 12,
            "encoder_blocks": 2,
            "attention_blocks": 1,
            "cin_blocks": 2,
            "mixing": "blended",  # masked: unrecognisable after 40,000 images
            "balanced": True,  # else 250 of 1,776 images are seldom a target
            "lat_in_d": True,
            "lat_weight": 1.0,
            "rec_weight": 50.0,
            "critic_steps": 1,  # more steps of the generator in a short training
            "lr_decay": "linear",  # a short training has to settle
            "decay_every": 10,
            "lr": 1e-3,
        },
    }

    def __init__(self, task: Task, config: SDITConfig) -> None:
        super().__init__(task, config)
        self.config: SDITConfig = config
        self.variant = config.settled
        self.guidance = "noise" if config.cin else "none"
        self.n_classes = sum(modes.counts(config, task))
        self.generator = Generator(task.channels, self.n_classes, config)
        self.discriminator = Discriminator(task.channels, self.n_classes, config)
        self.networks = {"G": self.generator, "D": self.discriminator}
        self.lat_weight = config.lat_weight if config.cin else 0.0
        for name, network in self.networks.items():
            self.optimizers[name] = torch.optim.Adam(network.parameters(), lr=config.lr, betas=BETAS, fused=True)
            self.schedulers[name] = torch.optim.lr_scheduler.LambdaLR(self.optimizers[name], self.rate)

    @property
    def images_per_step(self) -> int:
        """One iteration is `critic_steps` steps of the discriminator, each on images of its own, and one of the
        generator, on the last of them."""
        return self.config.critic_steps * self.config.batch_size

    def rate(self, iteration: int) -> float:
        """The share of the learning rate that is left after so many iterations."""
        c = self.config
        done, total = iteration * c.critic_steps, self.total_steps * c.critic_steps
        return stargan_share(done, total, c.decay_share, c.decay_every, c.lr_decay)

    @classmethod
    def check(cls, task: Task, config: SDITConfig, data: TaskData | None = None) -> None:
        modes.check(config, task, data)

    def prepare(self, data: TaskData, artifacts: Artifacts) -> None:
        self.classes = modes.find(self.config, data, artifacts)

    def streams(self, data: TaskData) -> dict[str, Stream]:
        found = self.found
        return {
            "source": Stream(
                pool="all",
                size=self.images_per_step,
                order="balanced" if self.config.balanced else "shuffled",
                augment=Augment(flip=True),
                classes=np.concatenate([found.source, found.target]),
            )
        }

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        n = self.config.batch_size
        images, labels = batch["source"].image.split(n), batch["source"].label.split(n)
        wanted = [label[torch.randperm(n, generator=self.rng, device=self.device)] for label in labels]
        encoding, attention = self.generator.perceive(images[-1], self._one_hot(wanted[-1]))
        codes, fakes = self._translations(images[:-1], wanted[:-1], encoding, attention)

        found: dict[str, Tensor] = {}
        for x, own, code, fake in zip(images, labels, codes, fakes):
            loss, parts = self.discriminator_loss(x, own, fake, code, self._uniform(n))
            self.minimise("D", loss)
            for name, value in parts.items():
                found[name] = found.get(name, 0) + value.detach() / len(images)

        code = self._noise(n)
        fake = self.generator.render(encoding, attention, code)
        again = self._noise(n) if self.variant.cycle_code == "new" else code
        rebuilt = self.generator(fake, self._one_hot(labels[-1]), again)
        loss, parts = self.generator_loss(images[-1], fake, wanted[-1], code, rebuilt)
        self.minimise("G", loss)
        return {**found, **{name: value.detach() for name, value in parts.items()}}

    @torch.no_grad()
    def _translations(
        self, images: tuple[Tensor, ...], wanted: list[Tensor], encoding: Tensor, attention: Tensor | None
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Codes and translations for all steps of the discriminator; of the last images, encoded before, too."""
        n = len(encoding)
        codes = self._noise((len(images) + 1) * n)
        last = self.generator.render(encoding.detach(), attention, codes[-n:])
        if not images:
            return codes.split(n), (last,)
        first = self.generator(torch.cat(images), self._one_hot(torch.cat(wanted)), codes[:-n])
        return codes.split(n), (*first.split(n), last)

    def discriminator_loss(
        self, real: Tensor, label: Tensor, fake: Tensor, code: Tensor, share: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """code made `fake`; share (N,) in [0, 1] is that of the real image in the gradient penalty's mixture."""
        c, d, n = self.config, self.discriminator, len(real)
        features = d.trunk(torch.cat([real, fake]))
        scores = d.realness(features)
        parts = {"d_cls": F.cross_entropy(d.label(features[:n]), label)}
        if self.variant.gan == "wgan-gp":
            parts |= {"d_real": -scores[:n].mean(), "d_fake": scores[n:].mean()}
            parts["gp"] = self._gradient_penalty(real, fake, share)
        else:
            parts |= {"d_real": F.softplus(-scores[:n]).mean(), "d_fake": F.softplus(scores[n:]).mean()}
        total = c.gan_weight * (parts["d_real"] + parts["d_fake"]) + c.cls_weight * parts["d_cls"]
        if "gp" in parts:
            total = total + c.gp_weight * parts["gp"]
        if self.variant.lat_in_d and self.lat_weight:
            parts["d_lat"] = F.l1_loss(d.code(features[n:]), code)
            total = total + self.lat_weight * parts["d_lat"]
        return total, parts

    def _gradient_penalty(self, real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
        """Mean of (|gradient of the sum of the map| - 1)^2."""
        share = share[:, None, None, None]
        mixture = (share * real + (1 - share) * fake).requires_grad_()
        with self.exact():
            score = self.discriminator.realness(self.discriminator.trunk(mixture)).sum()
        (gradient,) = torch.autograd.grad(score, mixture, create_graph=True)
        return (torch.linalg.vector_norm(gradient.flatten(1).float(), dim=1) - 1).square().mean()

    def generator_loss(
        self, x: Tensor, fake: Tensor, label: Tensor, code: Tensor, rebuilt: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """fake = G(x, label, code); rebuilt = G(fake, label of x)."""
        c = self.config
        scores, logits, read = self.discriminator(fake)
        parts = {
            "g_adv": -scores.mean() if self.variant.gan == "wgan-gp" else -F.softplus(scores).mean(),
            "g_cls": F.cross_entropy(logits, label),
            "g_rec": F.l1_loss(rebuilt, x),
        }
        total = c.gan_weight * parts["g_adv"] + c.cls_weight * parts["g_cls"] + c.rec_weight * parts["g_rec"]
        if self.lat_weight:
            parts["g_lat"] = F.l1_loss(read, code)
            total = total + self.lat_weight * parts["g_lat"]
        return total, parts

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        if label is None:
            raise ValueError("SDIT translates to a class; pass label=")
        code = torch.randn(len(source), self.config.latent, generator=rng, device=source.device)
        return self.generator(source, self._one_hot(label), code)

    def _noise(self, n: int) -> Tensor:
        return torch.randn(n, self.config.latent, generator=self.rng, device=self.device)

    def _uniform(self, n: int) -> Tensor:
        return torch.rand(n, generator=self.rng, device=self.device)

    def _one_hot(self, label: Tensor) -> Tensor:
        return (label[:, None] == torch.arange(self.n_classes, device=label.device)).float()  # one_hot reads it back
