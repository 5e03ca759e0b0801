"""pix2pix (Isola et al., CVPR 2017, arXiv 1611.07004; code junyanz/pytorch-CycleGAN-and-pix2pix).

A conditional adversarial network that learns from pairs: G translates x, D sees x beside either G(x) or the truth y,
and G also pays for every pixel's distance to the truth. Unpaired methods never see what this one is told, so its
results are an upper bound for them and stand apart in every table.

Where paper and code differ the defaults follow the code. At test the paper keeps dropout and the statistics of the
test batch (batch 1); here the statistics are those of each image and dropout is off, so that a source has one
translation; `test_mode=paper` brings dropout back. The schedule counts parts of the budget instead of epochs, so that
another budget has the same shape.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from bench import Batch, Method, Stream, Task, TaskData, Unfit, register
from bench.methods.nn import paired
from bench.methods.nn.paired import PairedConfig


@register
class Pix2Pix(Method):
    """Translation learned from pairs of images; the supervised upper bound."""

    name = "pix2pix"
    paper = "Isola et al., Image-to-Image Translation with Conditional Adversarial Networks, CVPR 2017"
    year = 2017
    kind = "paired"
    needs = ("pairs",)
    Config = PairedConfig
    discriminators = ("D",)
    presets = {
        "paper": {},
        "cpu": {
            "resolution": 32,
            "batch_size": 8,
            "budget_kimg": 16.0,
            "width": 16,
            "discriminator_layers": 2,
            "norm": "instance",
            "lr": 4e-4,
        },
        "smoke": {"resolution": 32, "batch_size": 2, "budget_kimg": 0.02, "width": 4, "discriminator_layers": 2},
    }

    @classmethod
    def whole_batch(cls, config: PairedConfig) -> str | None:
        return "batch norm and dropout look at several images"

    def __init__(self, task: Task, config: PairedConfig) -> None:
        super().__init__(task, config)
        self.config: PairedConfig = config
        self.guidance = "none" if config.deterministic else "noise"
        self.generator = paired.generator(config, task.channels, task.channels)
        self.discriminator = paired.discriminator(config, 2 * task.channels)
        self.networks = {"G": self.generator, "D": self.discriminator}
        for name, network in self.networks.items():
            self.optimizers[name] = paired.optimizer(network, config)
            self.schedulers[name] = torch.optim.lr_scheduler.LambdaLR(self.optimizers[name], self.rate)

    @classmethod
    def check(cls, task: Task, config: PairedConfig, data: TaskData | None = None) -> None:
        if data is None or (data.source_train.matches(data.target_train) >= 0).any():
            return
        raise Unfit(
            f"pix2pix learns from pairs, and {data.dataset} has none: no training image of {data.target_train.name} is "
            f"known to show the same as one of {data.source_train.name}; choose a data set whose training images are "
            "paired (the column `pairs` of `bench list datasets`) or an unpaired method"
        )

    @property
    def budget_images(self) -> int:
        if self.config.budget_kimg is None:
            return self.config.epochs * self.task.n_target
        return super().budget_images

    def rate(self, step: int) -> float:
        """Multiplier of the learning rate."""
        return paired.rate(step, self.total_steps, self.config.epochs)

    def streams(self, data: TaskData) -> dict[str, Stream]:
        domains = data.source_train, data.target_train
        return paired.paired_streams(self.config, ("source", "target"), ("source", "target"), domains)

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        """One translation, then a step of D, then a step of G against the new D."""
        x, y = batch["source"].image, batch["target"].image
        fake = self.generator(x, self.rng)
        losses = {"D": paired.discriminator_loss(self, "D", x, y, fake, self.config.gan_mode)}
        self.minimise("D", losses["D"])
        scores = self.discriminator(x, fake)
        losses |= {"G_GAN": paired.adversarial(scores, True, self.config.gan_mode), "G_L1": F.l1_loss(fake, y)}
        self.minimise("G", losses["G_GAN"] + self.config.lambda_l1 * losses["G_L1"])
        return {name: loss.detach() for name, loss in losses.items()}

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        return self.generator(source, None if self.config.deterministic else rng)
