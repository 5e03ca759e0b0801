"""SDIT (Wang et al., ACM MM 2019, arXiv 1908.06881; thesis of Yaxing Wang, chapter 6; code yaxingwang/SDIT at 73015f9).

One generator for all classes: the wanted class is painted over the image as extra channels, a noise code sets the norms
of a branch at the bottleneck (CIN), and an attention map says where that branch counts. The discriminator also names
the class and regresses the code.

Paper and code differ a lot: `variant` chooses all that differs at once (config.py), and each difference is a field that
overrides it. The default is the code. Weights are those of the authors' erratum and answers (public issue 2), not the
misprinted ones of the paper. Ablations of Table 6.1: cin=false; attention=false; attention=false lat_weight=0;
lat_weight=0.

Right instead of faithful: norms have no running statistics (the code never uses its own), the code's unused dummy stack
is left out, the latent head takes maps of any side. Class data only, not vectors of attributes.

Diversity: the noise reaches the output through norms whose scales start near 0, so that at first it hardly shows, while
the reconstruction, whose noise is another one, rewards hiding it. What holds against that is the latent head alone, two
linear layers around as many ReLUs as the code has numbers. That is the method's own; docs/methods/sdit.md has figures.

Computed once: the translations for the `critic_steps` steps of the discriminator are one batch (the generator does not
change in between); what the generator sees of an image before it meets the noise serves both networks.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from bench import Batch, Task, register
from bench.methods import modes
from bench.methods.nn import losses
from bench.methods.nn.stargan_training import StarGANTraining
from bench.methods.sdit.config import SDITConfig
from bench.methods.sdit.networks import Discriminator, Generator


@register
class SDIT(StarGANTraining):
    """Scalable and diverse translation: one generator, classes as input, noise at the bottleneck."""

    name = "sdit"
    aliases = ()
    paper = "Wang et al., SDIT: Scalable and Diverse Cross-domain Image Translation, ACM MM 2019, arXiv 1908.06881"
    year = 2019
    kind = "unpaired"
    needs = ()
    class_conditional = True
    Config = SDITConfig
    discriminators = ("D.trunk",)
    second_order = ("D",)
    presets = {
        "paper": {},
        "smoke": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 0.02,
            "width": 4,
            "encoder_blocks": 1,
            "attention_blocks": 1,
        },
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
            "lat_weight": 50.0,  # with 1 the outputs did not depend on the noise
            "lat_slope": 0.2,  # at this learning rate all units of a latent head with ReLUs died
            "rec_weight": 50.0,
            "critic_steps": 1,  # more steps of the generator in a short training
            "lr_decay": "linear",  # a short training has to settle
            "decay_every": 10,
            "lr": 2e-3,
        },
    }

    @classmethod
    def whole_batch(cls, config: SDITConfig) -> str | None:
        return None

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
        self.make_optimizers()

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        images, labels = (x.chunk(self.config.critic_steps) for x in (batch["source"].image, batch["source"].label))
        n, wanted = len(images[0]), [self.over_batch(self._shuffled, label) for label in labels]
        encoding, attention = self.generator.perceive(images[-1], self._one_hot(wanted[-1]))
        codes, fakes = self._translations(images[:-1], wanted[:-1], encoding, attention)

        logged: dict[str, Tensor] = {}
        for x, own, code, fake in zip(images, labels, codes, fakes):
            loss, parts = self.discriminator_loss(x, own, fake, code, self._uniform(n))
            self.minimise("D", loss)
            for name, value in parts.items():
                logged[name] = logged.get(name, 0) + value.detach() / len(images)

        code = self._noise(n)
        fake = self.generator.render(encoding, attention, code)
        again = self._noise(n) if self.variant.cycle_code == "new" else code
        rebuilt = self.generator(fake, self._one_hot(labels[-1]), again)
        loss, parts = self.generator_loss(images[-1], fake, wanted[-1], code, rebuilt)
        self.minimise("G", loss)
        return {**logged, **{name: value.detach() for name, value in parts.items()}}

    @torch.no_grad()
    def _translations(
        self, images: tuple[Tensor, ...], wanted: list[Tensor], encoding: Tensor, attention: Tensor | None
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Codes and translations for all steps of the discriminator; of the last images, encoded before, too."""
        n = len(encoding)
        codes = self._noise((len(images) + 1) * n, len(images) + 1)
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
        self.saw_real(d, scores[:n])
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
        mixture = losses.mixture(real, fake, share)
        with self.exact():
            scores = self.discriminator.realness(self.discriminator.trunk(mixture))
        return losses.wgan_gp(scores, mixture)

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

    def _noise(self, rows: int, blocks: int = 1) -> Tensor:
        return self.draw(
            lambda m: torch.randn(m, self.config.latent, generator=self.rng, device=self.device), rows, blocks
        )

    def _uniform(self, n: int) -> Tensor:
        return self.draw(lambda m: torch.rand(m, generator=self.rng, device=self.device), n)
