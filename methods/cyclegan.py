"""CycleGAN (Zhu et al., ICCV 2017, arXiv 1703.10593; code junyanz/pytorch-CycleGAN-and-pix2pix).

Two generators, G_A: source -> target and G_B: target -> source, each the other's approximate inverse; D_A judges target
images (it belongs to G_A), D_B judges source images.

Where paper and code differ the defaults follow the code (the identity loss is on, the learning rate never quite reaches
zero), but for the number of residual blocks. The schedule counts iterations instead of epochs, so that the size of the
target changes nothing. The averaged weights of the cpu preset are ours, and so is the global skip, which no preset has:
whoever adds the input to the output leads by copying it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from bench import Augment, Batch, Config, DiscriminatorFields, Method, Stream, Task, TaskData, Unfit, register, setting
from bench.methods.nn import ema
from bench.methods.nn.image_pool import ImagePool
from bench.methods.nn.losses import lsgan
from bench.methods.nn.resnet import PatchDiscriminator, ResNetGenerator, least_side
from bench.methods.nn.schedules import constant_then_linear


@dataclass(frozen=True)
class CycleGANConfig(Config, DiscriminatorFields):
    """CycleGAN's settings."""

    resolution: int = 128
    batch_size: int = 1
    budget_kimg: float | None = setting(  # type: ignore[assignment]
        None, "thousands of source images seen in training; none: `epochs` times the larger domain"
    )
    epochs: int = setting(
        200, "passes over the larger domain where budget_kimg is none; the rate falls in the second half", low=2
    )
    load_ratio: float = setting(286 / 256, "images are enlarged by this much, then cropped at random", low=1, high=16)

    width: int = setting(64, "channels after the first conv of every network", low=1)
    blocks: int | None = setting(
        None,
        "residual blocks of a generator; none: as in the paper 6 below 256 pixels, then 9; the code has 9 at any size",
    )
    discriminator_layers: int = setting(3, "stride-2 convs of a discriminator; 3: the 70 x 70 PatchGAN", low=1, high=16)
    skip: bool = setting(
        False, "add the input before the tanh; not in the paper: short CPU runs keep the motif this way"
    )

    cycle_weight: float = setting(10.0, "weight of the cycle loss (lambda_A and lambda_B)")
    identity_weight: float = setting(
        0.5, "weight of the identity loss, times cycle_weight; the paper has it for painting -> photograph only"
    )
    pool_size: int = setting(50, "past translations of each domain that the discriminators are shown; 0: none")

    lr: float = setting(2e-4, "learning rate of all networks", above=0)
    beta1: float = setting(0.5, "Adam's decay of the mean gradient", below=1)
    ema_decay: float | None = setting(
        None,
        "decay of an average of G_A that translates; none: no average, as in the paper; short runs are noisy",
        high=1,
    )

    @property
    def n_blocks(self) -> int:
        if self.blocks is not None:
            return self.blocks
        return 6 if self.resolution < 256 else 9

    @property
    def boundary(self) -> float:
        return 0.5  # least squares of 1 and 0

    def __post_init__(self) -> None:
        super().__post_init__()
        least = least_side(self.discriminator_layers)
        if self.resolution % 4 or self.resolution < least:
            raise Unfit(
                f"CycleGAN cannot take resolution {self.resolution}; choose a multiple of 4, at least {least} with "
                f"discriminator_layers={self.discriminator_layers}"
            )


@register
class CycleGAN(Method):
    """Two translators that undo each other; deterministic."""

    name = "cyclegan"
    aliases = ("cycle-gan",)
    paper = "Zhu et al., Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, ICCV 2017"
    year = 2017
    kind = "unpaired"
    needs = ()
    Config = CycleGANConfig
    discriminators = ("D_A", "D_B")
    presets = {
        "paper": {},
        "cpu": {
            "resolution": 32,
            "batch_size": 4,
            "budget_kimg": 16.0,
            "width": 16,
            "blocks": 3,
            "discriminator_layers": 2,
            "lr": 4e-4,
            "identity_weight": 0.0,
            "ema_decay": 0.995,
        },
        "smoke": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 0.02,
            "width": 4,
            "blocks": 1,
            "discriminator_layers": 2,
        },
    }

    @classmethod
    def whole_batch(cls, config: CycleGANConfig) -> str | None:
        return None

    def __init__(self, task: Task, config: CycleGANConfig) -> None:
        super().__init__(task, config)
        self.config: CycleGANConfig = config
        for name in ("G_A", "G_B"):
            self.networks[name] = ResNetGenerator(task.channels, config.width, config.n_blocks, config.skip)
        for name in ("D_A", "D_B"):
            self.networks[name] = PatchDiscriminator(task.channels, config.width, config.discriminator_layers)
        if config.ema_decay is not None:
            self.ema["G_A"] = ema.copy_of(self.networks["G_A"])
        for name in ("G", "D"):
            parameters = [p for key in "AB" for p in self.networks[f"{name}_{key}"].parameters()]
            self.optimizers[name] = torch.optim.Adam(parameters, config.lr, betas=(config.beta1, 0.999), fused=True)
            self.schedulers[name] = torch.optim.lr_scheduler.LambdaLR(self.optimizers[name], self.rate)
        self.memory = {"pool_A": ImagePool(config.pool_size), "pool_B": ImagePool(config.pool_size)}

    @property
    def budget_images(self) -> int:
        if self.config.budget_kimg is None:
            return self.config.epochs * max(self.task.n_source, self.task.n_target)
        return super().budget_images

    def rate(self, step: int) -> float:
        """Multiplier of the learning rate: 1, then linear over the second half of the training, in `epochs` steps."""
        half = self.config.epochs / 2
        epoch = step * self.config.epochs // self.total_steps
        return constant_then_linear(epoch, half, half)

    def streams(self, data: TaskData) -> dict[str, Stream]:
        load_size = round(self.config.load_ratio * self.config.resolution)
        augment = Augment(load_size=load_size, interpolation="bicubic", flip=True)
        n = self.config.batch_size
        return {"A": Stream("source", n, "shuffled", augment), "B": Stream("target", n, "uniform", augment)}

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        a, b = batch["A"].image, batch["B"].image
        fake_b, fake_a, losses = self._generator_step(a, b)
        losses |= self._discriminator_step(a, b, fake_a, fake_b)
        self.once(lambda: ema.follow(self.ema, self.networks, self.config.ema_decay))
        return losses

    def _generator_step(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Equation 3 of the paper and the identity loss of its section 5.2. Returns fake_B, fake_A and the losses."""
        G_A, G_B, D_A, D_B = (self.networks[name] for name in ("G_A", "G_B", "D_A", "D_B"))
        # every layer treats each image by itself, so a generator's two first inputs share one pass
        identity = self.config.identity_weight > 0
        fake_b, same_b = _split(G_A(torch.cat([a, b]) if identity else a), len(a))
        fake_a, same_a = _split(G_B(torch.cat([b, a]) if identity else b), len(b))
        losses = {
            "G_A": lsgan(D_A(fake_b), 1.0),
            "G_B": lsgan(D_B(fake_a), 1.0),
            "cycle_A": F.l1_loss(G_B(fake_b), a),
            "cycle_B": F.l1_loss(G_A(fake_a), b),
        }
        total = losses["G_A"] + losses["G_B"] + self.config.cycle_weight * (losses["cycle_A"] + losses["cycle_B"])
        if identity:
            losses |= {"idt_A": F.l1_loss(same_b, b), "idt_B": F.l1_loss(same_a, a)}
            weight = self.config.cycle_weight * self.config.identity_weight
            total = total + weight * (losses["idt_A"] + losses["idt_B"])
        self.minimise("G", total)
        return fake_b.detach(), fake_a.detach(), {name: loss.detach() for name, loss in losses.items()}

    def _discriminator_step(self, a: Tensor, b: Tensor, fake_a: Tensor, fake_b: Tensor) -> dict[str, Tensor]:
        """Trains the discriminators on the fakes made before the generators' step, mixed with older ones. The halving
        slows D down."""
        losses = {}
        for name, real, fake in (("A", b, fake_b), ("B", a, fake_a)):
            pool = self.memory[f"pool_{name}"]
            assert isinstance(pool, ImagePool)
            old = self.over_batch(partial(pool.query, rng=self.rng), fake)
            on_real, on_fake = _split(self.networks[f"D_{name}"](torch.cat([real, old])), len(real))
            self.saw_real(self.networks[f"D_{name}"], on_real)
            losses[f"D_{name}"] = 0.5 * (lsgan(on_real, 1.0) + lsgan(on_fake, 0.0))
        self.minimise("D", losses["D_A"] + losses["D_B"])
        return {name: loss.detach() for name, loss in losses.items()}

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        return self.ema.get("G_A", self.networks["G_A"])(source)

    @torch.no_grad()
    def translate_back(self, images: Tensor, rng: torch.Generator) -> Tensor:
        return self.networks["G_B"](images)


def _split(images: Tensor, first: int) -> tuple[Tensor, Tensor]:
    return images[:first], images[first:]
