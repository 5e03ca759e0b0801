"""UVCGANv2 (Torbunov et al., "Rethinking CycleGAN", 2023, arXiv 2303.16280; code LS4GAN/uvcgan2 at 871b2b9).

CycleGAN with newer parts: generators that are U-Nets with a transformer in the middle, which modulates the way up;
discriminators whose head sees maps of earlier images beside the ones that it judges; a gradient penalty around 0 and
spectral norm; averaged generators; and generators that start from one that has learnt to fill holes in images.

The defaults are those of the code's AFHQ script, cat to dog. Departures: the share of the penalty's mixture comes from
the run's generator, where the code has one of its own, seeded 0; the order of the colour changes of the pre-training is
fixed, and its learning rate falls with every step instead of every epoch. The code's other head, with the standard
deviation of the batch, is not here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import (
    Artifacts,
    Augment,
    Batch,
    Config,
    DiscriminatorFields,
    Method,
    Stream,
    Task,
    TaskData,
    Unfit,
    UserError,
    register,
    setting,
)
from bench.methods.nn import ema
from bench.methods.nn import losses as L
from bench.methods.nn.resnet import least_side
from bench.methods.uvcgan2.networks import Cache, Discriminator, Generator
from bench.methods.uvcgan2.pretraining import TILES, Options, learn


@dataclass(frozen=True)
class UVCGAN2Config(Config, DiscriminatorFields):
    """UVCGANv2's settings."""

    resolution: int = 256
    batch_size: int = 1
    budget_kimg: float = setting(1000.0, "thousands of source images seen in training; 500 epochs of 2,000 iterations")

    width: int = setting(48, "channels of the generator's first level, doubled with every further one", low=1)
    levels: int = setting(4, "times that the generator halves the image", low=1, high=16)
    blocks: int = setting(12, "blocks of the transformer", low=1)
    heads: int = setting(6, "heads of its attention; they share the width of the last level", low=1)
    discriminator_width: int = setting(64, "channels after the discriminator's first conv", low=1)
    discriminator_layers: int = setting(3, "stride-2 convs of a discriminator; 3: the 70 x 70 PatchGAN", low=1, high=16)
    cache_size: int = setting(3, "earlier maps that a discriminator's head sees, of real and of made images", low=1)

    cycle_weight: float = setting(5.0, "weight of the cycle loss; the code has 10 for anime and for small faces")
    identity_weight: float = setting(0.5, "weight of the identity loss, times cycle_weight")
    penalty_weight: float = setting(1.0, "weight of the discriminator's gradient penalty; the code has 0.01 for anime")

    lr_g: float = setting(1e-4, "learning rate of the generators; the code has 5e-5 for anime", above=0)
    lr_d: float = setting(1e-4, "learning rate of the discriminators", above=0)
    ema_decay: float | None = setting(
        0.9999,
        "decay of the averages of the generators, which translate; they need 10,000 iterations to forget their start, "
        "so short runs want less; none: no average",
        below=1,
    )

    pretrained: bool = setting(True, "generators start from one that fills holes; the paper names it optional")
    base_steps: int = setting(512_000, "iterations of the pre-training; 500 epochs of 1,024", low=1)
    base_batch: int = setting(32, "images of an iteration of the pre-training", low=1)
    base_lr: float = setting(5e-3 * 32 / 512, "its learning rate at the start of every cosine", above=0)
    base_restart: int = setting(102_400, "iterations of a cosine of its learning rate; 100 epochs", low=1)
    base_seed: int = setting(1234, "its seed, apart from the run's so that runs share it")

    @property
    def boundary(self) -> float:
        return 0.5  # least squares of 1 and 0

    def __post_init__(self) -> None:
        super().__post_init__()
        last = self.width * 2 ** (self.levels - 1)
        if last % self.heads:
            raise UserError(
                f"heads={self.heads} do not share {last} channels, the width of the last level; choose a divisor"
            )
        least = max(2 ** (self.levels + 1), least_side(self.discriminator_layers))
        if self.resolution % 2**self.levels or self.resolution < least:
            raise Unfit(
                f"UVCGANv2 cannot take resolution {self.resolution}; choose a multiple of {2**self.levels}, at least "
                f"{least} with levels={self.levels} and discriminator_layers={self.discriminator_layers}"
            )
        if self.pretrained and self.resolution % TILES:
            raise Unfit(
                f"UVCGANv2's pre-training hides tiles of an eighth of the side, which {self.resolution} pixels are not "
                f"a multiple of; choose a multiple of {TILES}, or pretrained=false"
            )


@register
class UVCGAN2(Method):
    """CycleGAN with a transformer in its generators and a memory in its discriminators; deterministic."""

    name = "uvcgan2"
    aliases = ("uvcganv2",)
    paper = "Torbunov et al., Rethinking CycleGAN (UVCGANv2), 2023, arXiv 2303.16280"
    year = 2023
    kind = "unpaired"
    needs = ()
    Config = UVCGAN2Config
    discriminators = ("D_A", "D_B")
    second_order = ("D_A", "D_B")
    presets = {
        "paper": {},
        "cpu": {
            "resolution": 32,
            "batch_size": 4,
            "budget_kimg": 8.0,
            "width": 16,
            "levels": 3,
            "blocks": 4,
            "heads": 4,
            "discriminator_width": 16,
            "discriminator_layers": 2,
            "lr_g": 1e-4,
            "lr_d": 1e-4,
            "ema_decay": 0.998,
            "base_steps": 300,
            "base_restart": 300,
            "base_lr": 1e-3,
        },
        "smoke": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 0.02,
            "width": 4,
            "levels": 2,
            "blocks": 1,
            "heads": 2,
            "discriminator_width": 4,
            "discriminator_layers": 2,
            "ema_decay": 0.9,
            "base_steps": 2,
            "base_batch": 2,
            "base_restart": 2,
        },
    }

    @classmethod
    def whole_batch(cls, config: UVCGAN2Config) -> str | None:
        return "the discriminators have batch norm"

    def __init__(self, task: Task, config: UVCGAN2Config) -> None:
        super().__init__(task, config)
        self.config: UVCGAN2Config = config
        c = config
        for name in ("G_AB", "G_BA"):
            self.networks[name] = Generator(task.channels, c.resolution, c.width, c.levels, c.blocks, c.heads)
        for name in ("D_A", "D_B"):
            self.networks[name] = Discriminator(task.channels, c.discriminator_width, c.discriminator_layers)
        if c.ema_decay is not None:
            self.ema = {name: ema.copy_of(self.networks[name]) for name in ("G_AB", "G_BA")}
        for name, pair, rate in (("G", ("G_AB", "G_BA"), c.lr_g), ("D", ("D_A", "D_B"), c.lr_d)):
            parameters = [p for key in pair for p in self.networks[key].parameters()]
            self.optimizers[name] = torch.optim.Adam(parameters, rate, betas=(0.5, 0.99), fused=True)
        self.caches = {f"{kind}_{domain}": Cache(c.cache_size) for domain in "AB" for kind in ("real", "fake")}
        self.memory = {**self.caches}

    def prepare(self, data: TaskData, artifacts: Artifacts) -> None:
        """Both generators, and their averages, start from the one that was trained to fill holes."""
        if not self.config.pretrained:
            return
        state = learn(self._options, data, artifacts)
        for name in ("G_AB", "G_BA"):
            self.networks[name].load_state_dict(state)
            if name in self.ema:
                self.ema[name].load_state_dict(state)

    @property
    def _options(self) -> Options:
        c = self.config
        return Options(
            self.task.channels, c.resolution, c.width, c.levels, c.blocks, c.heads, c.base_steps, c.base_batch,
            c.base_lr, c.base_restart, self.task.mirror, c.base_seed,
        )  # fmt: skip

    def streams(self, data: TaskData) -> dict[str, Stream]:
        augment, n = Augment(flip=True), self.config.batch_size
        return {"A": Stream("source", n, "shuffled", augment), "B": Stream("target", n, "uniform", augment)}

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        """A step of both generators, then one of both discriminators on the same translations."""
        a, b = batch["A"].image, batch["B"].image
        fake_a, fake_b, losses = self._generator_step(a, b)
        losses |= self._discriminator_step({"B": (b, fake_b), "A": (a, fake_a)})
        self.once(lambda: ema.follow(self.ema, self.networks, self.config.ema_decay))
        return {name: loss.detach() for name, loss in losses.items()}

    def _generator_step(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Least squares, cycle and identity. Returns the translations and the losses."""
        c, g_ab, g_ba = self.config, self.networks["G_AB"], self.networks["G_BA"]
        # a generator treats each image by itself, so its two first inputs share one pass
        identity = c.identity_weight > 0
        fake_b, same_b = g_ab(torch.cat([a, b]) if identity else a).tensor_split([len(a)])
        fake_a, same_a = g_ba(torch.cat([b, a]) if identity else b).tensor_split([len(b)])
        losses = {
            "G_AB": L.lsgan(self.judged("B", "fake", fake_b)[0], 1.0),
            "G_BA": L.lsgan(self.judged("A", "fake", fake_a)[0], 1.0),
            "cycle_A": distance(g_ba(fake_b), a),
            "cycle_B": distance(g_ab(fake_a), b),
        }
        total = losses["G_AB"] + losses["G_BA"] + c.cycle_weight * (losses["cycle_A"] + losses["cycle_B"])
        if identity:
            losses |= {"identity_A": distance(same_a, a), "identity_B": distance(same_b, b)}
            total = total + c.cycle_weight * c.identity_weight * (losses["identity_A"] + losses["identity_B"])
        self.minimise("G", total)
        return fake_a.detach(), fake_b.detach(), losses

    def _discriminator_step(self, images: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        """images: real and translated ones of each domain. The penalty looks at the caches before they move on."""
        losses: dict[str, Tensor] = {}
        total = torch.zeros((), device=self.device)
        for domain, (real, fake) in images.items():
            penalty = self.penalty(domain, real, fake)
            scores = {}
            for kind, shown in (("real", real), ("fake", fake)):
                scores[kind], maps = self.judged(domain, kind, shown)
                self.caches[f"{kind}_{domain}"].push(maps)
            self.saw_real(self.networks[f"D_{domain}"], scores["real"])
            loss = 0.5 * (L.lsgan(scores["real"], 1.0) + L.lsgan(scores["fake"], 0.0))
            total = total + loss + self.config.penalty_weight * penalty
            losses |= {f"D_{domain}": loss, f"penalty_{domain}": penalty}
        self.minimise("D", total)
        return losses

    def judged(self, domain: str, kind: str, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and maps of a domain's discriminator, which sees earlier images of this kind beside these."""
        scores, maps = self.networks[f"D_{domain}"](images, earlier=self.caches[f"{kind}_{domain}"].maps)
        return scores, maps

    def penalty(self, domain: str, real: Tensor, fake: Tensor) -> Tensor:
        """mean ||gradient of the image's mean score||^2 at one mixture of real and made images, and of their caches.

        The gradient is that by an image in [0, 1], twice as long as by one in [-1, 1].
        """
        share = torch.rand(1, generator=self.rng, device=self.device)
        mixed = L.mixture(real, fake, share.expand(len(real)))
        old_real, old_fake = (self.caches[f"{kind}_{domain}"].maps for kind in ("real", "fake"))
        earlier = None
        if old_real is not None and old_fake is not None:
            earlier = share * old_real.to(self.device) + (1 - share) * old_fake.to(self.device)
        with self.exact():
            scores, _ = self.networks[f"D_{domain}"](mixed, earlier=earlier)
            return 4 * L.r1(scores, mixed)

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        return self._translator("G_AB")(source)

    @torch.no_grad()
    def translate_back(self, images: Tensor, rng: torch.Generator) -> Tensor:
        return self._translator("G_BA")(images)

    def _translator(self, name: str) -> nn.Module:
        return self.ema.get(name, self.networks[name])


def distance(image: Tensor, wanted: Tensor) -> Tensor:
    """mean |x - y| of images in [0, 1], given in [-1, 1]."""
    return F.l1_loss(image.float(), wanted) / 2
