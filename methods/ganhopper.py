"""GANHopper (Lira et al., "GANHopper: multi-hop GAN for unsupervised image-to-image translation", ECCV 2020, arXiv
2002.10102; its TensorFlow code, a fork of CycleGAN's).

A translation is several hops: one generator, applied `hops` times in a row, turns a source into a target by way of
images that lie between the domains. A hybrid classifier H, trained on real images alone (0: source, 1: target), says
how far an image has come; after hop k of h it shall say k / h. Each hop is one sub-step of an iteration, with a step of
the generators and one of the discriminators; gradients do not pass from one hop to the next.

As in the code, the images that a hop begins with have passed the pool of past translations, where images of all hops
lie together. `translate_steps` gives the image of every hop.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import Augment, Batch, Config, DiscriminatorFields, Method, Stream, Task, TaskData, Unfit, register, setting
from bench.methods.nn import ema
from bench.methods.nn.image_pool import ImagePool
from bench.methods.nn.kernels import InstanceNorm2d
from bench.methods.nn.losses import lsgan


@dataclass(frozen=True)
class GANHopperConfig(Config, DiscriminatorFields):
    """GANHopper's settings."""

    resolution: int = 128
    batch_size: int = 6
    budget_kimg: float | None = setting(  # type: ignore[assignment]
        None, "thousands of source images seen in training; none: `epochs` times the larger domain"
    )
    epochs: int = setting(100, "passes over the larger domain where budget_kimg is none", low=1)
    decay_share: float = setting(
        0.25, "last part of the training, in which the rate falls to 0; the code has 0 for human faces", high=1
    )
    load_ratio: float = setting(146 / 128, "images are enlarged by this much, then cropped at random", low=1, high=16)

    hops: int = setting(4, "times that the generator is applied to a source", low=1)
    width: int = setting(64, "channels after the first conv of every network", low=1)
    blocks: int = setting(12, "residual blocks of a generator", low=1)
    discriminator_layers: int = setting(3, "convs of a discriminator between its first and its last", low=1, high=16)

    adv_weight: float = setting(1.0, "weight of the adversarial loss")
    hybrid_weight: float = setting(1.0, "weight of the hybrid classifier's loss")
    cycle_weight: float = setting(10.0, "weight of the L1 distance of an image after a hop there and a hop back")
    smooth_weight: float = setting(2.5, "weight of the L1 distance of an image from the one before its hop")
    pool_size: int = setting(50, "past translations of each domain that are shown again; 0: none")

    lr: float = setting(2e-4, "learning rate of all networks", above=0)
    beta1: float = setting(0.5, "Adam's decay of the mean gradient", below=1)
    ema_decay: float | None = setting(
        None, "decay of an average of the generators that translates; none: no average, as in the paper", below=1
    )

    @property
    def boundary(self) -> float:
        return 0.5  # least squares of 1 and 0

    def __post_init__(self) -> None:
        super().__post_init__()
        least = 2 ** (self.discriminator_layers + 2)
        if self.resolution % 4 or self.resolution < least:
            raise Unfit(
                f"GANHopper cannot take resolution {self.resolution}; choose a multiple of 4, at least {least} with "
                f"discriminator_layers={self.discriminator_layers}"
            )


class Generator(nn.Module):
    """One hop: (N, C, S, S) in [-1, 1] -> the same. Convs have no bias, instance norms a scale and a shift."""

    def __init__(self, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_norm_relu(_reflecting(channels, width, 7)),
            *_norm_relu(nn.Conv2d(width, 2 * width, 3, 2, 1, bias=False)),
            *_norm_relu(nn.Conv2d(2 * width, 4 * width, 3, 2, 1, bias=False)),
            *(ResidualBlock(4 * width) for _ in range(blocks)),
            *_norm_relu(nn.ConvTranspose2d(4 * width, 2 * width, 3, 2, 1, output_padding=1, bias=False)),
            *_norm_relu(nn.ConvTranspose2d(2 * width, width, 3, 2, 1, output_padding=1, bias=False)),
            _reflecting(width, channels, 7),
            nn.Tanh(),
        )
        truncated_init(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class ResidualBlock(nn.Module):
    """x + IN(conv3(relu(IN(conv3(x))))), reflecting pads."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_norm_relu(_reflecting(channels, channels, 3)),
            _reflecting(channels, channels, 3),
            InstanceNorm2d(channels, affine=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Discriminator(nn.Sequential):
    """(N, C, S, S) -> a map of scores (N, 1, s, s); of the two domains' discriminators and of the hybrid classifier."""

    def __init__(self, channels: int, width: int, layers: int) -> None:
        parts: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for n in range(1, layers + 1):
            inner, outer = width * min(2 ** (n - 1), 8), width * min(2**n, 8)
            conv = nn.Conv2d(inner, outer, 4, 2 if n < layers else 1, 1, bias=False)
            parts += [conv, InstanceNorm2d(outer, affine=True), nn.LeakyReLU(0.2)]
        super().__init__(*parts, nn.Conv2d(outer, 1, 4, 1, 1, bias=False))
        truncated_init(self)


def _reflecting(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, 1, kernel // 2, bias=False, padding_mode="reflect")


def _norm_relu(conv: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    return [conv, InstanceNorm2d(conv.out_channels, affine=True), nn.ReLU()]


def truncated_init(network: nn.Module) -> None:
    """Conv weights N(0, 0.02), cut at two deviations; norms' scales N(1, 0.02), shifts 0."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.trunc_normal_(module.weight, 0.0, 0.02, -0.04, 0.04)
        elif isinstance(module, InstanceNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)


@register
class GANHopper(Method):
    """Several hops of one generator, through images between the domains; deterministic."""

    name = "ganhopper"
    aliases = ("gan-hopper",)
    paper = "Lira et al., GANHopper: Multi-Hop GAN for Unsupervised Image-to-Image Translation, ECCV 2020"
    year = 2020
    kind = "unpaired"
    needs = ()
    Config = GANHopperConfig
    discriminators = ("D_A", "D_B")
    presets = {
        "paper": {},
        "cpu": {
            "resolution": 32,
            "batch_size": 4,
            "budget_kimg": 8.0,
            "hops": 2,
            "width": 16,
            "blocks": 3,
            "discriminator_layers": 2,
            "lr": 4e-4,
            "ema_decay": 0.995,
        },
        "smoke": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 0.02,
            "hops": 2,
            "width": 4,
            "blocks": 1,
            "discriminator_layers": 2,
        },
    }

    @classmethod
    def whole_batch(cls, config: GANHopperConfig) -> str | None:
        return None

    def __init__(self, task: Task, config: GANHopperConfig) -> None:
        super().__init__(task, config)
        self.config: GANHopperConfig = config
        c = config
        for name in ("G_AB", "G_BA"):
            self.networks[name] = Generator(task.channels, c.width, c.blocks)
        for name in ("D_A", "D_B", "H"):
            self.networks[name] = Discriminator(task.channels, c.width, c.discriminator_layers)
        if c.ema_decay is not None:
            self.ema = {name: ema.copy_of(self.networks[name]) for name in ("G_AB", "G_BA")}
        for optimizer, names in (("G", ("G_AB", "G_BA")), ("D", ("D_A", "D_B", "H"))):
            parameters = [p for name in names for p in self.networks[name].parameters()]
            self.optimizers[optimizer] = torch.optim.Adam(parameters, c.lr, betas=(c.beta1, 0.999), fused=True)
            self.schedulers[optimizer] = torch.optim.lr_scheduler.LambdaLR(self.optimizers[optimizer], self.rate)
        self.pools = {domain: ImagePool(c.pool_size) for domain in "AB"}
        self.memory = {f"pool_{domain}": pool for domain, pool in self.pools.items()}

    @property
    def budget_images(self) -> int:
        if self.config.budget_kimg is None:
            return self.config.epochs * max(self.task.n_source, self.task.n_target)
        return super().budget_images

    def rate(self, step: int) -> float:
        """Multiplier of the learning rate: 1, then linear to 0 over the last `decay_share` of the training."""
        falling = self.config.decay_share * self.total_steps
        return min(1.0, max(0.0, self.total_steps - step) / falling) if falling else 1.0

    def streams(self, data: TaskData) -> dict[str, Stream]:
        augment = Augment(load_size=round(self.config.load_ratio * self.task.resolution), flip=True)
        n = self.config.batch_size
        return {"A": Stream("source", n, "shuffled", augment), "B": Stream("target", n, "uniform", augment)}

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        real_a, real_b = batch["A"].image, batch["B"].image
        a, b = real_a, real_b
        hops = []
        for k in range(1, self.config.hops + 1):
            losses, fake_a, fake_b = self._generator_step(a, b, k / self.config.hops)
            b, a = self._pooled("A", fake_a), self._pooled("B", fake_b)
            hops.append(losses | self._discriminator_step(real_a, real_b, fake_a=b, fake_b=a))
        self.once(lambda: ema.follow(self.ema, self.networks, self.config.ema_decay))
        return {name: torch.stack([losses[name] for losses in hops]).mean() for name in hops[0]}

    def _pooled(self, domain: str, fake: Tensor) -> Tensor:
        return self.over_batch(lambda fakes: self.pools[domain].query(fakes, self.rng), fake)

    def _generator_step(self, a: Tensor, b: Tensor, way: float) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        fake_b, fake_a = self.networks["G_AB"](a), self.networks["G_BA"](b)
        total, parts = self.generator_loss(a, b, fake_a, fake_b, way)
        self.minimise("G", total)
        return {name: loss.detach() for name, loss in parts.items()}, fake_a.detach(), fake_b.detach()

    def generator_loss(
        self, a: Tensor, b: Tensor, fake_a: Tensor, fake_b: Tensor, way: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The losses of one hop, both directions summed: fake_b is made of a, fake_a of b.

        way  how far from the source fake_b shall be, k / h after hop k of h; fake_a as far from the target
        """
        c, nets = self.config, self.networks
        parts = {
            "adversarial": lsgan(nets["D_B"](fake_b), 1.0) + lsgan(nets["D_A"](fake_a), 1.0),
            "hybrid": lsgan(nets["H"](fake_b), way) + lsgan(nets["H"](fake_a), 1.0 - way),
            "cycle": F.l1_loss(nets["G_BA"](fake_b), a) + F.l1_loss(nets["G_AB"](fake_a), b),
            "smooth": F.l1_loss(fake_b, a) + F.l1_loss(fake_a, b),
        }
        total = c.adv_weight * parts["adversarial"] + c.hybrid_weight * parts["hybrid"]
        return total + c.cycle_weight * parts["cycle"] + c.smooth_weight * parts["smooth"], parts

    def _discriminator_step(self, real_a: Tensor, real_b: Tensor, fake_a: Tensor, fake_b: Tensor) -> dict[str, Tensor]:
        """D_A and D_B tell the real images of the iteration from pooled translations; H tells the real ones apart."""
        losses = {
            "D_A": self._halves("D_A", true=real_a, false=fake_a),
            "D_B": self._halves("D_B", true=real_b, false=fake_b),
            "H": self._halves("H", true=real_b, false=real_a),
        }
        self.minimise("D", torch.stack(list(losses.values())).sum())
        return {name: loss.detach() for name, loss in losses.items()}

    def _halves(self, name: str, true: Tensor, false: Tensor) -> Tensor:
        """Half of (D(true) - 1)^2 + D(false)^2."""
        on_true, on_false = self.networks[name](torch.cat([true, false])).tensor_split([len(true)])
        if name != "H":  # which tells two kinds of real images apart
            self.saw_real(self.networks[name], on_true)
        return 0.5 * (lsgan(on_true, 1.0) + lsgan(on_false, 0.0))

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        return self.translate_steps(source)[-1]

    @torch.no_grad()
    def translate_steps(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> list[Tensor]:
        """The image after each hop, in order; the last one is the translation."""
        return self._hops("G_AB", source)

    @torch.no_grad()
    def translate_back(self, images: Tensor, rng: torch.Generator) -> Tensor:
        return self._hops("G_BA", images)[-1]

    def _hops(self, name: str, image: Tensor) -> list[Tensor]:
        generator = self.ema.get(name, self.networks[name])
        images = []
        for _ in range(self.config.hops):
            image = generator(image)
            images.append(image)
        return images
