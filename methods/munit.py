"""MUNIT (Huang et al., ECCV 2018, arXiv 1804.04732; code NVlabs/MUNIT at a82e222).

An image is a content code (a map) and a style code (8 numbers). Each domain has a generator of its own (two encoders, a
decoder) and a multi-scale discriminator; nothing is shared. A source is translated by decoding its content with the
target's generator and a style of the target: drawn from N(0, I) (guide=noise, "MUNIT^n" in the BalaGAN paper) or
encoded from a reference image (guide=reference, "MUNIT^r"). Training is the same for both.

Domain a is the source, b the target. Departures from the code: each domain's shuffle runs through that whole domain,
where the code draws a new one as soon as the smaller domain is used up. Not here: the VGG loss, which the code sets for
images of 512 pixels and more only. `batch_weight` is the ablation "MUNIT with batch weight" of the JD-BW paper: the
adversarial terms weigh each image of a batch (methods/nn/batch_weight.py); the authors' code mixes up whose weight is
whose and trains the weights on D's least squares, which is not copied. Computed once instead of twice: the codes of the
real images, which serve the steps of both networks (the generators do not change in between); the styles are drawn anew
for each, as in the code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import (
    Batch,
    Config,
    DiscriminatorFields,
    Task,
    TaskData,
    Unfit,
    UserError,
    register,
    setting,
)
from bench.methods.nn import ema
from bench.methods.nn.batch_weight import Progress, ScoreNetwork, clip_bound, composite, with_uniform
from bench.methods.nn.funit_networks import Generator
from bench.methods.nn.multiscale import Discriminator, discriminator_loss, mean_score, sum_over_scales
from bench.methods.nn.munit_training import MUNITFields, MUNITTraining


@dataclass(frozen=True)
class MUNITConfig(Config, MUNITFields, DiscriminatorFields):
    """MUNIT's settings."""

    resolution: int = 128
    batch_size: int = 1
    budget_kimg: float = setting(1000.0, "thousands of source images seen in training; 1,000,000 iterations of one")
    guide: Literal["noise", "reference"] = setting("noise", "where the style of a translation comes from")

    downs: int = setting(2, "stride-2 convs of the content encoder", high=16)
    style_downs: int = setting(4, "stride-2 convs of the style encoder", high=16)
    blocks: int = setting(4, "residual blocks of the content encoder, and of the decoder", low=1)
    latent: int = setting(8, "length of the style code", low=1)
    mlp_width: int = setting(256, "hidden width of the MLP that makes AdaIN parameters", low=1)

    style_weight: float = setting(1.0, "weight of the L1 distance of the style found in a translation")
    content_weight: float = setting(1.0, "weight of the L1 distance of the content found in a translation")
    cycle_weight: float = setting(
        0.0,
        "weight of the L1 distance of the image translated there and back; the paper has none, the code's configs for "
        "photographs set 10",
    )

    batch_weight: bool = setting(
        False, "weigh each image of a batch in the adversarial terms, so that class frequencies meet"
    )
    weight_width: int = setting(64, "first channels of the two weighting networks", low=1)
    clip_start: int = setting(0, "iteration before which all weights are equal")
    clip_full: int = setting(
        1000, "iteration at which the bound of the scores, first 0.25, has grown by 1; it grows on", low=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clip_full <= self.clip_start:
            raise UserError(f"clip_full={self.clip_full} must be larger than clip_start={self.clip_start}")


@register
class MUNIT(MUNITTraining):
    """Two domains, a content and a style code each; many translations of one source."""

    name = "munit"
    paper = "Huang et al., Multimodal Unsupervised Image-to-Image Translation, ECCV 2018, arXiv 1804.04732"
    year = 2018
    kind = "unpaired"
    needs = ()
    Config = MUNITConfig
    discriminators = ("dis_a", "dis_b")
    presets = {
        "paper": {},
        "cpu": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 8.0,
            "width": 16,
            "downs": 1,  # a content map of 16x16
            "style_downs": 3,
            "blocks": 2,
            "mlp_width": 64,
            "discriminator_downs": 3,
            "n_scales": 2,  # 32 pixels are too few for three
            "cycle_weight": 10.0,
            "lr": 4e-4,
            "ema_decay": 0.998,
        },
        "smoke": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 0.02,
            "width": 4,
            "downs": 1,
            "style_downs": 2,
            "blocks": 1,
            "mlp_width": 8,
            "discriminator_downs": 2,
            "n_scales": 2,
        },
    }

    @classmethod
    def whole_batch(cls, config: MUNITConfig) -> str | None:
        return "the batch weights are a softmax over its images" if config.batch_weight else None

    def __init__(self, task: Task, config: MUNITConfig) -> None:
        super().__init__(task, config)
        self.config: MUNITConfig = config
        self.guidance = config.guide
        self.gen_a, self.gen_b = self._generator(), self._generator()
        self.dis_a, self.dis_b = self._discriminator(), self._discriminator()
        self.networks = {"gen_a": self.gen_a, "gen_b": self.gen_b, "dis_a": self.dis_a, "dis_b": self.dis_b}
        if config.ema_decay is not None:
            self.ema = {name: ema.copy_of(self.networks[name]) for name in ("gen_a", "gen_b")}
        self._optimizer("gen", [self.gen_a, self.gen_b])
        self._optimizer("dis", [self.dis_a, self.dis_b])
        if config.batch_weight:
            for name in ("Wx", "Wy"):
                self.networks[name] = ScoreNetwork(task.channels, task.resolution, config.weight_width)
            self._optimizer("W", [self.networks["Wx"], self.networks["Wy"]])
            self.progress = Progress(task.classes)
            self.memory = {"progress": self.progress}

    @classmethod
    def check(cls, task: Task, config: MUNITConfig, data: TaskData | None = None) -> None:
        c = config
        least = 2 ** max(c.n_scales + c.discriminator_downs - 1, c.style_downs, c.downs + 1)
        if task.resolution % 2**c.downs or task.resolution < least:
            raise Unfit(
                f"munit at resolution {task.resolution} cannot halve the image as often as its networks do; choose a "
                f"multiple of {2**c.downs}, at least {least}, or lower n_scales, discriminator_downs, style_downs"
            )
        if c.batch_weight and (task.resolution < 16 or task.resolution & (task.resolution - 1)):
            raise Unfit(
                f"munit with batch_weight cannot halve images of {task.resolution} pixels down to one pixel; choose a "
                "power of 2, at least 16"
            )

    def _generator(self) -> Generator:
        c = self.config
        return Generator(
            self.task.channels, c.width, c.downs, c.style_downs, c.blocks, c.latent, c.mlp_width, up_norm="layer"
        )

    def _discriminator(self) -> Discriminator:
        c = self.config
        return Discriminator(self.task.channels, c.width, c.discriminator_downs, c.n_scales)

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        xa, xb = batch["source"].image, batch["target"].image
        codes_a, codes_b = self.gen_a.encode(xa), self.gen_b.encode(xb)

        with torch.no_grad():
            x_ba = self.gen_a.decode(codes_b[0], self._styles(len(xb)))
            x_ab = self.gen_b.decode(codes_a[0], self._styles(len(xa)))
        of_a, of_b = self.weights(xa, x_ab, x_ba, xb)
        d_parts = {"d_a": self.discriminator_loss(self.dis_a, x_ba, xa, of_b, of_a)}
        d_parts["d_b"] = self.discriminator_loss(self.dis_b, x_ab, xb, of_a, of_b)
        self.minimise("dis", self.config.adv_weight * (d_parts["d_a"] + d_parts["d_b"]))

        styles = self._styles(len(xb)), self._styles(len(xa))
        g_loss, g_parts = self.generator_loss(xa, xb, codes_a, codes_b, styles, (of_a, of_b))
        self.minimise("gen", g_loss)
        self.once(lambda: ema.follow(self.ema, self.networks, self.config.ema_decay))
        losses = {name: value.detach() for name, value in {**d_parts, **g_parts}.items()}
        if not self.config.batch_weight:
            return losses
        return losses | self._weight_step(xa, x_ab, x_ba, xb, (batch["source"].label, batch["target"].label))

    def weights(self, xa: Tensor, x_ab: Tensor, x_ba: Tensor, xb: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """(m,) of the source images and what is made of them, and of the target's; None: all equal. Detached."""
        if not self.config.batch_weight:
            return None, None
        with torch.no_grad():
            return self._batch_weights(xa, x_ab, x_ba, xb)

    def _batch_weights(self, xa: Tensor, x_ab: Tensor, x_ba: Tensor, xb: Tensor) -> tuple[Tensor, Tensor]:
        bound = clip_bound(self.progress.step, self.config.clip_start, self.config.clip_full)
        w, v = composite(self.networks, xa, x_ab, x_ba, xb, len(xa), bound)
        return with_uniform(w)[0], with_uniform(v)[0]

    def _weight_step(
        self, xa: Tensor, x_ab: Tensor, x_ba: Tensor, xb: Tensor, labels: tuple[Tensor, Tensor]
    ) -> dict[str, Tensor]:
        """The weighting networks minimise (sum omega D_b(x_ab) - sum nu D_b(x_b))^2 and the same in domain a.

        D is the mean of an image's scores.
        """
        with torch.no_grad():
            in_a = mean_score(self.dis_a(torch.cat([x_ba, xa]))).split(len(xa))
            in_b = mean_score(self.dis_b(torch.cat([x_ab, xb]))).split(len(xa))
        omega, nu = self._batch_weights(xa, x_ab, x_ba, xb)
        loss = ((omega * in_b[0]).sum() - (nu * in_b[1]).sum()).square()
        loss = loss + ((nu * in_a[0]).sum() - (omega * in_a[1]).sum()).square()
        self.minimise("W", loss)
        self.progress.add((omega.detach(), labels[0]), (nu.detach(), labels[1]))
        return {"W": loss.detach()} | self.progress.figures(every_class=True)

    def _styles(self, count: int) -> Tensor:
        return self.draw(lambda m: torch.randn(m, self.config.latent, generator=self.rng, device=self.device), count)

    def discriminator_loss(
        self,
        discriminator: nn.Module,
        fake: Tensor,
        real: Tensor,
        of_fake: Tensor | None = None,
        of_real: Tensor | None = None,
    ) -> Tensor:
        """Summed over scales, neither halved nor averaged; of_fake, of_real (m,) weigh the images."""
        return discriminator_loss(self.config.gan, discriminator, fake, real, of_fake, of_real, self.saw_real)

    def generator_loss(
        self,
        xa: Tensor,
        xb: Tensor,
        codes_a: tuple[Tensor, Tensor],
        codes_b: tuple[Tensor, Tensor],
        styles: tuple[Tensor, Tensor],
        weights: tuple[Tensor | None, Tensor | None] = (None, None),
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Section 3.1 of the paper, and its loss in section 3.2 in the form of the code.

        codes_a, codes_b  content and style code of xa by generator a, of xb by generator b
        styles            drawn: of x_ba (domain a), and of x_ab (domain b)
        weights           (m,) of xa and what is made of it, and of xb; None: all equal
        The wanted content of a translation is not detached: its loss also reaches the encoder of the source.
        """
        c = self.config
        (content_a, own_a), (content_b, own_b) = codes_a, codes_b
        style_a, style_b = styles
        rec_a, x_ba = self._decode(self.gen_a, (content_a, own_a), (content_b, style_a))
        rec_b, x_ab = self._decode(self.gen_b, (content_b, own_b), (content_a, style_b))
        content_b_again, style_a_again = self.gen_a.encode(x_ba)
        content_a_again, style_b_again = self.gen_b.encode(x_ab)
        parts = {
            "g_adv": sum_over_scales(c.gan, self.dis_a(x_ba), 1.0, weights[1])
            + sum_over_scales(c.gan, self.dis_b(x_ab), 1.0, weights[0]),
            "image": F.l1_loss(rec_a, xa) + F.l1_loss(rec_b, xb),
            "style": F.l1_loss(style_a_again, style_a) + F.l1_loss(style_b_again, style_b),
            "content": F.l1_loss(content_a_again, content_a) + F.l1_loss(content_b_again, content_b),
        }
        total = c.adv_weight * parts["g_adv"] + c.image_weight * parts["image"]
        total = total + c.style_weight * parts["style"] + c.content_weight * parts["content"]
        if c.cycle_weight > 0:
            x_aba = self.gen_a.decode(content_a_again, own_a)
            x_bab = self.gen_b.decode(content_b_again, own_b)
            parts["cycle"] = F.l1_loss(x_aba, xa) + F.l1_loss(x_bab, xb)
            total = total + c.cycle_weight * parts["cycle"]
        for name, (weight, term) in self.further_terms((xa, xb), (x_ab, x_ba)).items():
            parts[name] = term
            total = total + weight * term
        return total, parts

    def further_terms(
        self, sources: tuple[Tensor, Tensor], translations: tuple[Tensor, Tensor]
    ) -> Mapping[str, tuple[float, Tensor]]:
        """Named terms of the generators' loss with their weights, for methods built on MUNIT; MUNIT has none.

        sources       images of both domains, source first
        translations  what is made of each
        """
        return {}

    def _decode(self, generator: Generator, *codes: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        """The images of several (content, style), in one batch."""
        contents, styles = zip(*codes)
        return generator.decode(torch.cat(contents), torch.cat(styles)).split([len(x) for x in contents])

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        gen_a, gen_b = (self.ema or self.networks)["gen_a"], (self.ema or self.networks)["gen_b"]
        assert isinstance(gen_a, Generator) and isinstance(gen_b, Generator)
        if self.config.guide == "noise":
            style = torch.randn(len(source), self.config.latent, generator=rng, device=source.device)
        elif reference is None:
            raise ValueError("MUNIT with guide=reference translates to the style of a reference; pass reference=")
        else:
            style = gen_b.style_encoder(reference)
        return gen_b.decode(gen_a.content_encoder(source), style)

    @torch.no_grad()
    def translate_back(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Translates to a random style of the source."""
        gen_a, gen_b = (self.ema or self.networks)["gen_a"], (self.ema or self.networks)["gen_b"]
        assert isinstance(gen_a, Generator) and isinstance(gen_b, Generator)
        style = torch.randn(len(images), self.config.latent, generator=rng, device=images.device)
        return gen_a.decode(gen_b.content_encoder(images), style)
