"""What pix2pix and the cascade of two pix2pix share: settings, networks, adversarial loss, and pairs as streams."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import Augment, Config, DiscriminatorFields, Domain, Method, Stream, Unfit, setting
from bench.methods.nn.batch_norm import norm_factory
from bench.methods.nn.layers import normal_init
from bench.methods.nn.losses import lsgan
from bench.methods.nn.resnet import PatchDiscriminator, least_side
from bench.methods.nn.schedules import constant_then_linear
from bench.methods.nn.unet import UNet


@dataclass(frozen=True)
class PairedConfig(Config, DiscriminatorFields):
    """The settings of a conditional adversarial network that learns from pairs of images."""

    resolution: int = 256
    batch_size: int = setting(1, "pairs of one iteration")
    budget_kimg: float | None = setting(  # type: ignore[assignment]
        None, "thousands of pairs seen in training; none: `epochs` passes over the training images"
    )
    epochs: int = setting(200, "parts of the training; the learning rate falls linearly in the second half", low=2)
    load_ratio: float = setting(
        286 / 256, "both images of a pair are enlarged by this much, then cropped at the same place", low=1, high=16
    )

    width: int = setting(64, "channels after the first conv of the generator and of the discriminator", low=1)
    downs: int | None = setting(
        None, "halvings of the U-Net; none: down to one pixel, at most 8 as in the code", low=2, high=16
    )
    discriminator_layers: int = setting(
        3,
        "convs of the discriminator between the first and the last; 3: it judges patches of 70 x 70 pixels",
        low=1,
        high=16,
    )
    norm: Literal["batch", "instance"] = setting(
        "batch", "norm of both networks; instance: for batches of more than one image, see test_mode"
    )
    dropout: float = setting(0.5, "probability in the generator's decoder; it is the only source of noise", below=1)
    test_mode: Literal["train_bn_batch1", "paper", "eval"] = setting(
        "train_bn_batch1",
        "how the generator translates; train_bn_batch1: batch norm with the statistics of each image, no dropout; "
        "paper: the same with dropout, so that outputs are random; eval: batch norm with the averages of the training, "
        "no dropout",
    )

    gan_mode: Literal["vanilla", "lsgan"] = setting(
        "vanilla", "adversarial loss; vanilla: cross entropy of logits; lsgan: least squares"
    )
    lambda_l1: float = setting(100.0, "weight of the mean absolute difference to the truth")

    lr: float = setting(2e-4, "learning rate of both networks", above=0)
    beta1: float = setting(0.5, "Adam's decay of the mean gradient", below=1)

    @property
    def boundary(self) -> float:
        return 0.5 if self.gan_mode == "lsgan" else 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        least = max(2**self.n_downs, least_side(self.discriminator_layers))
        if self.resolution < least or self.resolution % 2**self.n_downs or self.n_downs < 2:
            raise Unfit(
                f"the U-Net cannot take resolution {self.resolution}: it has to be a multiple of 2^downs = "
                f"{2**self.n_downs} and at least {least}; choose a power of two, or set downs"
            )

    @property
    def n_downs(self) -> int:
        """Halvings of the U-Net: as many as the side can be halved, at most 8."""
        if self.downs is not None:
            return self.downs
        factors_of_two = (self.resolution & -self.resolution).bit_length() - 1
        return min(8, factors_of_two)

    @property
    def deterministic(self) -> bool:
        """A source has one translation."""
        return self.test_mode != "paper" or self.dropout == 0


def generator(config: PairedConfig, inputs: int, outputs: int, tanh: bool = True) -> UNet:
    """An initialised U-Net from images with `inputs` channels to images with `outputs` channels."""
    norm = norm_factory(config.norm, running_statistics=config.test_mode == "eval")
    bias = config.norm == "instance"
    network = UNet(inputs, outputs, config.width, config.n_downs, norm, bias, config.dropout, tanh)
    normal_init(network)
    return network


class PairDiscriminator(PatchDiscriminator):
    """D(x, y): scores of pairs, whose images lie behind each other in the channels. It gets them as two inputs."""

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        return super().forward(torch.cat([source, target], 1))


def discriminator(config: PairedConfig, inputs: int) -> PairDiscriminator:
    """An initialised PatchGAN for pairs whose two images have `inputs` channels together."""
    norm, bias = norm_factory(config.norm, running_statistics=True), config.norm == "instance"
    return PairDiscriminator(inputs, config.width, config.discriminator_layers, norm=norm, bias=bias)


def adversarial(scores: Tensor, real: bool, mode: str) -> Tensor:
    """How far the scores are from "real" or "generated": cross entropy of logits (vanilla) or square error (lsgan)."""
    if mode == "lsgan":
        return lsgan(scores, float(real))
    return F.softplus(-scores.float() if real else scores.float()).mean()


def discriminator_loss(method: Method, name: str, source: Tensor, target: Tensor, fake: Tensor, mode: str) -> Tensor:
    """(D(x, G(x)) against "generated" + D(x, y) against "real") / 2; two passes, as batch norm sees two batches."""
    network = method.networks[name]
    on_fake, on_real = network(source, fake.detach()), network(source, target)
    method.saw_real(network, on_real)
    return 0.5 * (adversarial(on_fake, False, mode) + adversarial(on_real, True, mode))


def paired_streams(
    config: PairedConfig, names: tuple[str, str], pools: tuple[str, str], domains: tuple[Domain, Domain]
) -> dict[str, Stream]:
    """Two streams of images that show the same thing, in the order (source, target).

    names    of the two streams
    pools    of the two domains, as a Stream calls them
    domains  their training images; target images without a source image are left out
    """
    source, target = domains
    partners = source.matches(target)
    return {
        names[0]: Stream(
            pools[0], config.batch_size, augment=_augment(config, source.kind),
            follows=names[1], partners=partners, same_view=True,
        ),
        names[1]: Stream(
            pools[1], config.batch_size, augment=_augment(config, target.kind), rows=np.flatnonzero(partners >= 0)
        ),
    }  # fmt: skip


def _augment(config: PairedConfig, kind: str) -> Augment:
    """Label maps and depth are enlarged without new values; the place of the crop does not depend on the kind."""
    interpolation = "nearest" if kind in ("labels", "depth") else "bicubic"
    return Augment(load_size=round(config.load_ratio * config.resolution), interpolation=interpolation, flip=True)


def optimizer(network: nn.Module, config: PairedConfig) -> torch.optim.Optimizer:
    """Adam with the paper's rate and betas."""
    return torch.optim.Adam(network.parameters(), config.lr, betas=(config.beta1, 0.999), fused=True)


def rate(step: int, total_steps: int, epochs: int) -> float:
    """Multiplier of the learning rate: 1, then linear over the second half of the training, in `epochs` steps."""
    return constant_then_linear(step * epochs // total_steps, epochs / 2, epochs / 2)
