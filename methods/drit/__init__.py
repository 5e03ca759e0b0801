"""DRIT (Lee et al., ECCV 2018, arXiv 1808.00948) and DRIT++ (IJCV 2020, arXiv 1905.01270; code HsinYingLee/DRIT).

An image is a content (a map) and an attribute (8 numbers). Both domains share one space of contents: their encoders end
and their generators begin with the same block, and a content discriminator must not be able to tell whose content it
sees. A translation is the content of a source with an attribute of the target: drawn from N(0, I) (guide=noise) or
encoded from a reference image (guide=reference). DRIT++ adds mode seeking: two attributes must give two images.

The code alternates: `content_iterations` - 1 iterations train the content discriminator alone and the next trains
everything. One iteration here is such a group, each part on images of its own. Departures from the code: the second
step of encoder and generator recomputes its images with the weights that the first step left (the code goes back
through the old graph, which PyTorch now refuses); the images that the second pair of discriminators sees come in a
shuffle of their own; the two last iterations of an epoch are like all others; the rate falls over the second half of
the training, also where `most_updates` ends it early. A reference's attribute is the mean, without noise.

The defaults are DRIT++'s. Computed once: the translations for the steps of discriminators and generators.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench import Augment, Batch, Method, Stream, Task, TaskData, Unfit, register
from bench.methods.drit.config import DRITConfig
from bench.methods.drit.losses import Attribute, cross_entropy, divergence, sameness
from bench.methods.drit.networks import (
    ConcatGenerator,
    ContentDiscriminator,
    ContentEncoder,
    GaussianAttributeEncoder,
    PlainAttributeEncoder,
    TransformGenerator,
    content_layers_that_fit,
    discriminator,
)
from bench.methods.nn import ema
from bench.methods.nn.multiscale import discriminator_loss, sum_over_scales

Pair = tuple[Tensor, Tensor]  # of the source and of the target
DOMAINS = (0, 1)  # source, target
GAN: Literal["nsgan"] = "nsgan"  # sigmoid and cross entropy, everywhere
AVERAGED = ("enc_c", "enc_a", "gen")
CONTENT_CLIP = 5.0  # norm of the content discriminator's gradient


@dataclass(frozen=True)
class Translations:
    """One pass over an image batch of each domain; every pair is (source, target)."""

    images: Pair
    contents: Pair  # noisy
    attributes: tuple[Attribute, Attribute]
    fakes: Pair  # of each domain, from the other domain's contents and own attributes
    same: Pair  # from own contents and own attributes


@register
class DRIT(Method):
    """One space of contents for both domains, and attributes; many translations of one source."""

    name = "drit"
    paper = "Lee et al., DRIT++: Diverse Image-to-Image Translation via Disentangled Representations, IJCV 2020"
    year = 2018
    kind = "unpaired"
    needs = ()
    Config = DRITConfig
    discriminators = ("dis_a", "dis_b", "dis_a2", "dis_b2")
    presets = {
        "paper": {},
        "drit++": {},
        "drit": {"mode_seeking": False},
        "cpu": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 16.0,
            "content_iterations": 2,
            "width": 16,
            "downs": 1,  # a content map of 16x16
            "blocks": 1,
            "discriminator_downs": 3,
            "n_scales": 2,  # 32 pixels are too few for three
            "lr": 4e-4,
            "content_lr": 1.6e-4,
            "ema_decay": 0.998,
        },
        "smoke": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 0.02,
            "content_iterations": 2,
            "width": 4,
            "downs": 1,
            "blocks": 1,
            "discriminator_downs": 2,
            "n_scales": 2,
        },
    }

    @classmethod
    def whole_batch(cls, config: DRITConfig) -> str | None:
        return "mode seeking divides means over its images" if config.mode_seeking else None

    def __init__(self, task: Task, config: DRITConfig) -> None:
        super().__init__(task, config)
        self.config: DRITConfig = config
        self.guidance = config.guide
        c, channels = config, task.channels
        encoder = GaussianAttributeEncoder if c.concat else PlainAttributeEncoder
        generator = ConcatGenerator if c.concat else TransformGenerator
        content_layers = content_layers_that_fit(self.content_side) if c.content_layers is None else c.content_layers
        self.networks = {
            "enc_c": ContentEncoder(channels, c.width, c.downs, c.blocks),
            "enc_a": encoder(channels, c.width, c.latent),
            "gen": generator(channels, c.width, c.downs, c.blocks, c.latent),
            "dis_content": ContentDiscriminator(c.width * 2**c.downs, content_layers),
        }
        for name in ("dis_a", "dis_b", "dis_a2", "dis_b2"):
            self.networks[name] = discriminator(channels, c.width, c.discriminator_downs, c.n_scales)
        if c.ema_decay is not None:
            self.ema = {name: ema.copy_of(self.networks[name]) for name in AVERAGED}
        for name in AVERAGED:
            self._optimizer(name, [name], c.lr)
        self._optimizer("dis", ["dis_a", "dis_b", "dis_a2", "dis_b2"], c.lr)
        self._optimizer("dis_content", ["dis_content"], c.content_lr)

    @classmethod
    def check(cls, task: Task, config: DRITConfig, data: TaskData | None = None) -> None:
        c = config
        least = max(2 ** (c.n_scales + c.discriminator_downs - 1), 2 ** (c.downs + 1), 16)
        if task.resolution % 2**c.downs or task.resolution < least:
            raise Unfit(
                f"drit at resolution {task.resolution} cannot halve the image as often as its networks do; choose a "
                f"multiple of {2**c.downs}, at least {least}, or lower n_scales, discriminator_downs"
            )
        side = task.resolution // 2**c.downs
        if content_layers_that_fit(side) < (c.content_layers or 0):
            raise Unfit(
                f"drit at resolution {task.resolution} has content maps of {side}x{side}, too small for its content "
                "discriminator; lower downs, or set content_layers=none"
            )

    def _optimizer(self, name: str, networks: list[str], lr: float) -> None:
        parameters = [p for network in networks for p in self.networks[network].parameters()]
        optimizer = torch.optim.Adam(
            parameters, lr, betas=(0.5, 0.999), weight_decay=self.config.weight_decay, fused=True
        )
        self.optimizers[name] = optimizer
        self.schedulers[name] = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate)

    @property
    def content_side(self) -> int:
        return self.task.resolution // 2**self.config.downs

    @property
    def images_per_step(self) -> int:
        """The code counts a whole batch for the iterations that train the content discriminator alone, too."""
        return self.config.batch_size * self.config.content_iterations

    @property
    def budget_images(self) -> int:
        c = self.config
        if c.budget_kimg is None:
            larger = max(self.task.n_source, self.task.n_target)
            return min(c.epochs * larger, c.most_updates * self.images_per_step)
        return super().budget_images

    def rate(self, step: int) -> float:
        """Factor of the learning rate: 1 - max(0, e - epochs / 2) / (epochs / 2 + 1) after e of `epochs` equal parts
        of the training."""
        half = self.config.epochs / 2
        epoch = step * self.config.epochs // self.total_steps
        return 1.0 - max(0.0, epoch - half) / (half + 1)

    def streams(self, data: TaskData) -> dict[str, Stream]:
        c = self.config
        augment = Augment(load_size=round(c.load_ratio * self.task.resolution), flip=True)
        half, n = c.batch_size // 2, c.content_iterations
        encoded = {name: Stream(name, half * n, augment=augment, blocks=n) for name in ("source", "target")}
        return encoded | {f"{name}_real": Stream(name, half, augment=augment) for name in ("source", "target")}

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        half = len(batch["source_real"].image)
        *content_only, images = zip(*(batch[name].image.split(half) for name in ("source", "target")))
        for pair in content_only:
            with torch.no_grad():
                contents = self.contents(pair, self._content_noise(half))
            self._content_discriminator_step(contents)

        noise = self._content_noise(half)
        drawn = [self._attributes(half) for _ in range(2 if self.config.mode_seeking else 1)]
        made = self.translations(images, noise)
        losses = self._discriminator_step(made, (batch["source_real"].image, batch["target_real"].image), drawn)
        losses |= self._content_discriminator_step(made.contents)
        total, parts = self.encoder_loss(made)
        self.minimise(AVERAGED, total)
        random_total, random_parts = self.generator_loss(self.contents(images, noise), drawn)
        self.minimise(["enc_c", "gen"], random_total)
        self.once(lambda: ema.follow(self.ema, self.networks, self.config.ema_decay))
        return losses | {name: value.detach() for name, value in {**parts, **random_parts}.items()}

    def _content_noise(self, count: int) -> Pair:
        shape = (self.config.width * 2**self.config.downs, self.content_side, self.content_side)
        first, second = (
            self.draw(lambda m: torch.randn(m, *shape, generator=self.rng, device=self.device), count) for _ in range(2)
        )
        return first, second

    def _attributes(self, count: int) -> Tensor:
        return self.draw(lambda m: torch.randn(m, self.config.latent, generator=self.rng, device=self.device), count)

    def contents(self, images: Pair, noise: Pair) -> Pair:
        """The noisy contents of images of both domains."""
        encoder = self.networks["enc_c"]
        return encoder(images[0], 0) + noise[0], encoder(images[1], 1) + noise[1]

    def attribute(self, image: Tensor, domain: int) -> Attribute:
        """What the attribute encoder says of images, and a sample of it."""
        mean, log_variance = self.networks["enc_a"](image, domain)
        if log_variance is None:
            return Attribute(mean, mean, None)
        noise = self._attributes(len(mean))
        return Attribute(mean + noise * (0.5 * log_variance).exp(), mean, log_variance)

    def translations(self, images: Pair, noise: Pair) -> Translations:
        """Each domain's images from the other domain's contents and from their own."""
        contents = self.contents(images, noise)
        attributes = self.attribute(images[0], 0), self.attribute(images[1], 1)
        made = [self._decode([contents[1 - d], contents[d]], [attributes[d].sample] * 2, d) for d in DOMAINS]
        return Translations(images, contents, attributes, (made[0][0], made[1][0]), (made[0][1], made[1][1]))

    def _decode(self, contents: list[Tensor], attributes: list[Tensor], domain: int) -> tuple[Tensor, ...]:
        """Images of a domain from several pairs of content and attribute, in one batch."""
        images = self.networks["gen"](torch.cat(contents), torch.cat(attributes), domain)
        return images.split([len(content) for content in contents])

    def _discriminator_step(self, made: Translations, real: Pair, drawn: list[Tensor]) -> dict[str, Tensor]:
        """Encoded attributes against the encoded images, drawn attributes against other real images; with mode seeking
        the second pair of discriminators has two losses, summed."""
        losses = {}
        for d, name in zip(DOMAINS, "ab"):
            first, second = self.networks[f"dis_{name}"], self.networks[f"dis_{name}2"]
            losses[f"D_{name}"] = discriminator_loss(
                GAN, first, made.fakes[d].detach(), made.images[d], saw_real=self.saw_real
            )
            with torch.no_grad():
                fakes = self._decode([made.contents[1 - d]] * len(drawn), drawn, d)
            losses[f"D_{name}2"] = len(drawn) * discriminator_loss(
                GAN, second, torch.cat(fakes), real[d], saw_real=self.saw_real
            )
        self.minimise("dis", self.config.adv_weight * torch.stack(list(losses.values())).sum())
        return {name: loss.detach() for name, loss in losses.items()}

    def _content_discriminator_step(self, contents: Pair) -> dict[str, Tensor]:
        """Contents of the source towards 0, of the target towards 1."""
        judge = self.networks["dis_content"]
        loss = cross_entropy(judge(contents[0].detach()), 0.0) + cross_entropy(judge(contents[1].detach()), 1.0)
        self.minimise("dis_content", loss, clip_norm=CONTENT_CLIP)
        return {"D_content": loss.detach()}

    def encoder_loss(self, made: Translations) -> tuple[Tensor, dict[str, Tensor]]:
        """The first step's: everything that does not need drawn attributes. Sums over both domains."""
        c, nets = self.config, self.networks
        contents = self.contents(made.fakes, self._content_noise(len(made.fakes[0])))  # of a fake a, which is b's
        again = [self.attribute(made.fakes[d], d).sample for d in DOMAINS]
        back = [self._decode([contents[1 - d]], [again[d]], d)[0] for d in DOMAINS]
        terms = {
            "g_adv": [sum_over_scales(GAN, nets[f"dis_{name}"](made.fakes[d]), 1.0) for d, name in zip(DOMAINS, "ab")],
            "g_content": [cross_entropy(nets["dis_content"](made.contents[d]), 0.5) for d in DOMAINS],
            "cross_cycle": [F.l1_loss(back[d], made.images[d]) for d in DOMAINS],
            "reconstruction": [F.l1_loss(made.same[d], made.images[d]) for d in DOMAINS],
            "kl": [divergence(made.attributes[d]) for d in DOMAINS],
            "content": [made.contents[d].square().mean() for d in DOMAINS],
        }
        parts = {name: torch.stack(values).sum() for name, values in terms.items()}
        total = c.adv_weight * parts["g_adv"] + c.content_adv_weight * parts["g_content"]
        total = total + c.cross_cycle_weight * parts["cross_cycle"] + c.reconstruction_weight * parts["reconstruction"]
        return total + c.kl_weight * parts["kl"] + c.content_weight * parts["content"], parts

    def generator_loss(self, contents: Pair, drawn: list[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The second step's: translations with one or two drawn attributes. Sums over both domains."""
        c, terms = self.config, []
        for d, name in zip(DOMAINS, "ab"):
            fakes = self._decode([contents[1 - d]] * len(drawn), drawn, d)
            maps = self.networks[f"dis_{name}2"](torch.cat(fakes))
            terms.append({"g_adv2": len(drawn) * sum_over_scales(GAN, maps, 1.0)})
            terms[-1]["latent"] = F.l1_loss(self.networks["enc_a"](fakes[0], d)[0], drawn[0])
            if c.mode_seeking:
                terms[-1]["mode_seeking"] = sameness(fakes, drawn)
        parts = {name: terms[0][name] + terms[1][name] for name in terms[0]}
        total = c.adv_weight * parts["g_adv2"] + c.latent_weight * parts["latent"]
        return total + parts.get("mode_seeking", 0.0), parts

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        nets = self.ema or self.networks
        if self.config.guide == "noise":
            attribute = torch.randn(len(source), self.config.latent, generator=rng, device=source.device)
        elif reference is None:
            raise ValueError("DRIT with guide=reference translates to the attribute of a reference; pass reference=")
        else:
            attribute = nets["enc_a"](reference, 1)[0]
        return nets["gen"](nets["enc_c"](source, 0), attribute, 1)

    @torch.no_grad()
    def translate_back(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Translates target images with a random attribute of the source."""
        nets = self.ema or self.networks
        attribute = torch.randn(len(images), self.config.latent, generator=rng, device=images.device)
        return nets["gen"](nets["enc_c"](images, 1), attribute, 0)

    @torch.no_grad()
    def bottleneck(self, images: Tensor, domain: str) -> Tensor | None:
        """The content, without noise."""
        own = self.task.names[:2]
        return (self.ema or self.networks)["enc_c"](images, own.index(domain)) if domain in own else None
