"""DMIT (Yu et al., "Multi-mapping image-to-image translation via learning disentanglement", NeurIPS 2019, arXiv
1909.07877; code Xiaoming-Yu/DMIT at 311cb43).

One content encoder, one style encoder and one decoder for all domains. A label says which domain to decode to, a style
(8 numbers) which of its images; both shift the decoder's norms. A content discriminator asks that contents of all
domains look alike; one image discriminator judges translations with encoded styles, another those with drawn ones. A
source is translated with the label of the target and a style drawn from N(0, I) (guide=noise) or encoded from a
reference image (guide=reference).

This file follows the released code, configuration for seasons. With two domains the labels are source and target;
`classes` makes several of the source (methods/modes), each of which is then a label. Departures: the second and third
step of an iteration recompute their images with the weights that the step before left (the code goes back through the
old graph, which PyTorch now refuses); the rate falls with every iteration instead of every epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench import (
    Augment,
    Batch,
    Config,
    DiscriminatorFields,
    Method,
    Stream,
    Task,
    TaskData,
    Unfit,
    register,
    setting,
)
from bench.methods import modes
from bench.methods.dmit.networks import (
    MOST_CONTENT,
    ContentEncoder,
    Decoder,
    Discriminator,
    ImageDiscriminator,
    StyleEncoder,
)
from bench.methods.nn import ema
from bench.methods.nn.losses import hinge_fake, hinge_real, lsgan
from bench.methods.nn.schedules import falling_in_second_half

AVERAGED = ("enc_content", "enc_style", "decoder")


@dataclass(frozen=True)
class DMITConfig(Config, DiscriminatorFields, modes.Fields):
    """DMIT's settings; those of mode finding are in modes.Fields."""

    resolution: int = 128
    batch_size: int = setting(1, "images of each side, source and target", low=1)
    budget_kimg: float | None = setting(  # type: ignore[assignment]
        None, "thousands of source images seen in training; none: `epochs` times the larger domain"
    )
    epochs: int = setting(200, "passes over the larger domain where budget_kimg is none", low=1)
    load_ratio: float = setting(286 / 256, "images are enlarged by this much, then cropped at random", low=1, high=16)
    classes: str = setting("domain", "what a label is: domain, labels or modes:K of the source; the target is one more")
    guide: Literal["noise", "reference"] = setting("noise", "where the style of a translation comes from")

    width: int = setting(64, "channels after the first conv of encoders and image discriminators", low=2)
    downs: int = setting(2, "stride-2 convs of the content encoder", high=8)
    encoder_blocks: int = setting(4, "residual blocks of the content encoder", low=1)
    decoder_blocks: int = setting(6, "conditional residual blocks of the decoder", low=1)
    latent: int = setting(8, "length of the style", low=1)
    dropout: float = setting(0.5, "dropout in the decoder's blocks, in training; the code has 0 for birds", below=1)
    image_blocks: int = setting(2, "pooled blocks of each image discriminator; the code has 3 for birds", high=8)
    content_blocks: int | None = setting(
        None,
        "pooled blocks of the content discriminator; none: the code's 4, fewer where the content map is too small for "
        "them (below 128 pixels with downs=2)",
        high=8,
    )
    shared_discriminator: bool = setting(False, "one image discriminator for encoded and for drawn styles")

    gan_weight: float = setting(1.0, "weight of each of the three adversarial terms")
    rec_weight: float = setting(10.0, "weight of the L1 distance of an image from its own content, label and style")
    cycle_weight: float = setting(10.0, "weight of the L1 distance of the image translated there and back")
    kl_weight: float = setting(0.01, "weight of the divergence of encoded styles, summed over numbers and images")
    style_weight: float = setting(1.0, "weight of the L1 distance of the style found in a translation")
    content_weight: float = setting(1.0, "weight of the L1 distance of the content found in a translation")
    diversity_weight: float = setting(0.05, "weight of the distance of two styles over that of their translations")

    lr: float = setting(1e-4, "learning rate of all networks; it falls to 0 in the second half", above=0)
    ema_decay: float | None = setting(
        None, "decay of an average of encoders and decoder that translates; none: no average, as in the code", below=1
    )

    def content_blocks_at(self, resolution: int) -> int:
        """Pooled blocks of the content discriminator: each needs a map of 2x2 and more, after a first halving."""
        if self.content_blocks is not None:
            return self.content_blocks
        return max(0, min(4, (resolution // 2**self.downs).bit_length() - 2))


@register
class DMIT(modes.MultiClass, Method):
    """Labels and styles shift the norms of one decoder; many translations of one source."""

    name = "dmit"
    paper = "Yu et al., Multi-mapping Image-to-Image Translation via Learning Disentanglement, NeurIPS 2019"
    year = 2019
    kind = "unpaired"
    needs = ()
    class_conditional = True
    Config = DMITConfig
    discriminators = ("D_image", "D_encoded", "D_drawn")
    presets = {
        "paper": {},
        "cpu": {
            "resolution": 32,
            "batch_size": 1,
            "budget_kimg": 8.0,
            "load_ratio": 1.125,
            "width": 16,
            "downs": 1,  # a content map of 16x16
            "encoder_blocks": 2,
            "decoder_blocks": 2,
            "dropout": 0.0,  # too few iterations to average over it
            "lr": 4e-4,
            "ema_decay": 0.998,
        },
        "smoke": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 0.02,
            "width": 4,
            "downs": 1,
            "encoder_blocks": 1,
            "decoder_blocks": 1,
        },
    }

    @classmethod
    def whole_batch(cls, config: DMITConfig) -> str | None:
        return "the diversity loss divides means over its images"

    def __init__(self, task: Task, config: DMITConfig) -> None:
        super().__init__(task, config)
        self.config: DMITConfig = config
        self.guidance = config.guide
        self.n_labels = sum(modes.counts(config, task))
        c, channels, k = config, task.channels, self.n_labels
        inner = c.width * 2**c.downs
        self.networks = {
            "enc_content": ContentEncoder(channels, c.width, c.downs, c.encoder_blocks),
            "enc_style": StyleEncoder(channels, c.width, c.latent),
            "decoder": Decoder(channels, c.width, c.downs, c.decoder_blocks, k, c.latent, c.dropout),
            "D_content": Discriminator(inner, inner, c.content_blocks_at(task.resolution), k, MOST_CONTENT),
        }
        names = ("D_image", "D_image") if c.shared_discriminator else ("D_encoded", "D_drawn")
        self.judges = dict(zip(("encoded", "drawn"), names))  # of translations with either kind of style
        for name in dict.fromkeys(names):
            self.networks[name] = ImageDiscriminator(channels, c.width, c.image_blocks, k)
        if c.ema_decay is not None:
            self.ema = {name: ema.copy_of(self.networks[name]) for name in AVERAGED}
        for name in (*AVERAGED, "D_content"):
            self._optimizer(name, [name])
        self._optimizer("D_images", list(dict.fromkeys(names)))

    def _optimizer(self, name: str, networks: list[str]) -> None:
        parameters = [p for network in networks for p in self.networks[network].parameters()]
        self.optimizers[name] = torch.optim.Adam(parameters, self.config.lr, betas=(0.5, 0.999), fused=True)
        self.schedulers[name] = torch.optim.lr_scheduler.LambdaLR(self.optimizers[name], self.rate)

    def rate(self, step: int) -> float:
        return falling_in_second_half(step, self.total_steps)

    @classmethod
    def check(cls, task: Task, config: DMITConfig, data: TaskData | None = None) -> None:
        super().check(task, config, data)
        c = config
        side = task.resolution // 2**c.downs
        least = max(16, 2 ** (c.image_blocks + 2), 2 ** (c.downs + 1))
        if task.resolution % 2**c.downs or task.resolution < least:
            raise Unfit(
                f"dmit at resolution {task.resolution} cannot halve the image as often as its networks do; choose a "
                f"multiple of {2**c.downs}, at least {least}, or lower image_blocks or downs"
            )
        if side < 2 ** (c.content_blocks_at(task.resolution) + 1):
            raise Unfit(
                f"dmit at resolution {task.resolution} has content maps of {side}x{side}, too small for its content "
                "discriminator; set content_blocks=none"
            )

    @property
    def budget_images(self) -> int:
        if self.config.budget_kimg is None:
            return self.config.epochs * max(self.task.n_source, self.task.n_target)
        return super().budget_images

    def streams(self, data: TaskData) -> dict[str, Stream]:
        """Takes as many targets as sources: the code draws again and again from the smaller domain."""
        size = self.config.batch_size
        augment = Augment(load_size=round(self.config.load_ratio * self.task.resolution), flip=True)
        return {
            "source": Stream("source", size, "shuffled", augment, classes=self.class_ids.source),
            "target": Stream("target", size, "uniform", augment, classes=self.class_ids.target),
        }

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        """Every image is translated to the label of an image of the other side, and back."""
        pair = batch["source"], batch["target"]
        x, own = torch.cat([b.image for b in pair]), self._one_hot(torch.cat([b.label for b in pair]))
        wanted = own.roll(len(own) // 2, 0)
        drawn = [self._noise(len(x)) for _ in range(2)]

        content, style = self.networks["enc_content"](x), self._encoded_style(x)
        rebuilt, encoded, prior = self._decode(
            content, [(own, style[0]), (wanted, style[0].roll(len(x) // 2, 0)), (wanted, drawn[0])]
        )
        fakes = {"encoded": encoded, "drawn": prior}
        losses = self._discriminator_step(x, content, own, wanted, fakes)
        total, parts = self.main_loss(x, content, style, own, wanted, rebuilt, fakes)
        self.minimise(AVERAGED, total)
        losses |= parts | self._decoder_step(x, wanted, drawn) | self._content_step(x, wanted, drawn[0])
        self.once(lambda: ema.follow(self.ema, self.networks, self.config.ema_decay))
        return {name: value.detach() for name, value in losses.items()}

    def _encoded_style(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A sample, the mean and the log variance of each image's style."""
        mean, log_variance = self.networks["enc_style"](x)
        return mean + self._noise(len(x)) * (0.5 * log_variance).exp(), mean, log_variance

    def _decode(self, content: Tensor, codes: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, ...]:
        """Images of the same contents with several (label, style), in one batch."""
        labels, styles = zip(*codes)
        contents = content.repeat(len(codes), 1, 1, 1)
        images = self.networks["decoder"](contents, torch.cat(labels), torch.cat(styles), self.rng)
        return images.split(len(content))

    def _discriminator_step(
        self, x: Tensor, content: Tensor, own: Tensor, wanted: Tensor, fakes: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """The content's discriminator: contents under their own label towards 1, under the other towards 0."""
        on_own, on_wanted = self.networks["D_content"](
            content.detach().repeat(2, 1, 1, 1), torch.cat([own, wanted])
        ).chunk(2)
        losses = {"D_content": lsgan(on_own, 1.0) + lsgan(on_wanted, 0.0)}
        self.minimise("D_content", self.config.gan_weight * losses["D_content"])
        for kind, fake in fakes.items():
            losses[f"D_{kind}"] = self.image_discriminator_loss(kind, x, own, wanted, fake.detach())
        self.minimise("D_images", self.config.gan_weight * (losses["D_encoded"] + losses["D_drawn"]))
        return losses

    def image_discriminator_loss(self, kind: str, x: Tensor, own: Tensor, wanted: Tensor, fake: Tensor) -> Tensor:
        """Hinge, summed over scales: real images under their own label are real; real images under the other label and
        translations are fake, one half each."""
        judge = self.networks[self.judges[kind]]
        maps = judge(torch.cat([x, x, fake]), torch.cat([own, wanted, wanted]))
        self.saw_real(judge, [scores[: len(x)] for scores in maps])
        terms = [
            hinge_real(right) + (hinge_fake(wrong) + hinge_fake(made)) / 2
            for right, wrong, made in (scores.chunk(3) for scores in maps)
        ]
        return torch.stack(terms).sum()

    def main_loss(
        self,
        x: Tensor,
        content: Tensor,
        style: tuple[Tensor, Tensor, Tensor],
        own: Tensor,
        wanted: Tensor,
        rebuilt: Tensor,
        fakes: Mapping[str, Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The losses of encoders and decoder: adversarial terms, reconstruction, divergence of styles, cycle."""
        c, nets = self.config, self.networks
        adversarial = [
            -scores.mean() for kind, fake in fakes.items() for scores in nets[self.judges[kind]](fake, wanted)
        ]
        (back,) = self._decode(nets["enc_content"](fakes["encoded"]), [(own, style[0])])
        parts = {
            "g_adv": torch.stack(adversarial).sum(),
            "g_content": lsgan(nets["D_content"](content, wanted), 1.0),
            "rec": F.l1_loss(rebuilt, x),
            "cycle": F.l1_loss(back, x),
            "kl": divergence(style[1], style[2]),
        }
        total = c.gan_weight * (parts["g_adv"] + parts["g_content"]) + c.rec_weight * parts["rec"]
        return total + c.cycle_weight * parts["cycle"] + c.kl_weight * parts["kl"], parts

    def _decoder_step(self, x: Tensor, wanted: Tensor, drawn: list[Tensor]) -> dict[str, Tensor]:
        """The decoder alone: the drawn style can be read from a translation, and two styles give two translations."""
        with torch.no_grad():
            content = self.networks["enc_content"](x)
        first, second = self._decode(content, [(wanted, style) for style in drawn])
        parts = {
            "style": F.l1_loss(self.networks["enc_style"](first)[0], drawn[0]),
            "diversity": F.l1_loss(drawn[0], drawn[1]) / (F.l1_loss(first, second) + 1e-5),
        }
        c = self.config
        self.minimise("decoder", c.style_weight * parts["style"] + c.diversity_weight * parts["diversity"])
        return parts

    def _content_step(self, x: Tensor, wanted: Tensor, drawn: Tensor) -> dict[str, Tensor]:
        """The content encoder alone: a translation has the content of its source."""
        content = self.networks["enc_content"](x)
        (fake,) = self._decode(content, [(wanted, drawn)])
        loss = F.l1_loss(self.networks["enc_content"](fake), content)
        self.minimise("enc_content", self.config.content_weight * loss)
        return {"content": loss}

    def _noise(self, count: int) -> Tensor:
        return torch.randn(count, self.config.latent, generator=self.rng, device=self.device)

    def _one_hot(self, label: Tensor) -> Tensor:
        return (label[:, None] == torch.arange(self.n_labels, device=label.device)).float()

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        if label is None:
            raise ValueError("DMIT translates to a class; pass label=")
        nets = self.ema or self.networks
        if self.config.guide == "noise":
            style = torch.randn(len(source), self.config.latent, generator=rng, device=source.device)
        elif reference is None:
            raise ValueError("DMIT with guide=reference translates to the style of a reference; pass reference=")
        else:
            style = nets["enc_style"](reference)[0]
        return nets["decoder"](nets["enc_content"](source), self._one_hot(label), style)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Divergence of N(mean, variance) from N(0, I), summed over numbers and images."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
