"""IcGAN (Perarnau et al., "Invertible conditional GANs for image editing", 2016, arXiv 1611.06355; code Guim3/IcGAN at
0c73cf8).

A conditional GAN makes images of noise z and attributes y, each -1 or +1. Two encoders invert it: Z finds the noise of
an image, Y its attributes. An image is edited by encoding it, changing y and decoding. Here the first two attributes
are the domain, one of them +1; with keep_labels=true the data set's classes follow, which Y reads and a translation
keeps.

Three trainings in one run: the GAN in the first part of the iterations, both encoders in the rest, with the finished
generator. Departures from the code: Z sees new samples in every iteration, where the code draws 182,600 once; of these
and of the real images none are held back for validation; the wrong attributes of a real image always name the other
domain, where the code takes those of a random other image.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
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
    register,
    setting,
)
from bench.methods.nn.kernels import Conv2d

DOMAINS = 2  # attributes that name the domain


@dataclass(frozen=True)
class IcGANConfig(Config, DiscriminatorFields):
    """IcGAN's settings."""

    resolution: int = 64
    batch_size: int = setting(64, "images of both domains", low=2)
    budget_kimg: float | None = setting(  # type: ignore[assignment]
        None, "thousands of images seen in training; none: all epochs below of both domains together"
    )
    gan_epochs: int = setting(
        25, "epochs of the GAN, and its share of the iterations where budget_kimg is given", low=1
    )
    encoder_epochs: int = setting(15, "epochs of the encoders, and their share of the iterations", low=1)
    balanced: bool = setting(False, "both domains equally often; false: every image, as in the code")
    keep_labels: bool = setting(False, "the data set's classes are attributes, too, and a translation keeps them")

    width: int = setting(64, "channels before the generator's last conv, and after the discriminator's first", low=1)
    encoder_width: int = setting(32, "channels after the encoders' first conv", low=1)
    latent: int = setting(100, "length of the noise", low=1)
    z_hidden: int = setting(4096, "inner width of the encoder of noise", low=1)
    y_hidden: int = setting(512, "inner width of the encoder of attributes", low=1)

    wrong_weight: float = setting(0.5, "weight of real images with wrong attributes")
    fake_weight: float = setting(0.5, "weight of generated images")

    lr: float = setting(2e-4, "learning rate of the GAN", above=0)
    encoder_lr: float = setting(1e-4, "learning rate of the encoders", above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resolution < 16 or self.resolution & (self.resolution - 1):
            raise Unfit(
                f"IcGAN at resolution {self.resolution} cannot double 4x4 maps up to the image; choose 16, 32, 64, 128 "
                "or another power of two"
            )


class Generator(nn.Module):
    """Noise (N, latent) and attributes (N, A) -> images (N, C, S, S) in [-1, 1]."""

    def __init__(self, channels: int, width: int, resolution: int, inputs: int) -> None:
        super().__init__()
        inner = doublings(resolution)
        outputs = width * 2**inner
        layers: list[nn.Module] = [nn.ConvTranspose2d(inputs, outputs, 4), nn.BatchNorm2d(outputs), nn.ReLU()]
        for _ in range(inner):
            half = outputs // 2
            layers += [nn.ConvTranspose2d(outputs, half, 4, 2, 1), nn.BatchNorm2d(half), nn.ReLU()]
            outputs = half
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh())
        dcgan_init(self)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return self.layers(torch.cat([z, y], dim=1)[:, :, None, None])


class Discriminator(nn.Module):
    """Images and attributes -> logits (N,): is the image real, and are these its attributes?"""

    def __init__(self, channels: int, width: int, resolution: int, attributes: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 4, 2, 1)
        inputs, outputs = width + attributes, 2 * width
        layers: list[nn.Module] = []
        for _ in range(doublings(resolution)):
            layers += [Conv2d(inputs, outputs, 4, 2, 1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
            inputs, outputs = outputs, 2 * outputs
        self.rest = nn.Sequential(*layers, nn.Conv2d(inputs, 1, 4))
        dcgan_init(self)

    def forward(self, image: Tensor, y: Tensor) -> Tensor:
        x = F.leaky_relu(self.first(image), 0.2)
        tiled = y[:, :, None, None].expand(-1, -1, *x.shape[2:]).to(x.dtype)
        return self.rest(torch.cat([x, tiled], dim=1)).flatten()


class Encoder(nn.Sequential):
    """Images (N, C, S, S) -> (N, outputs)."""

    def __init__(self, channels: int, width: int, resolution: int, hidden: int, outputs: int) -> None:
        layers: list[nn.Module] = []
        widths = [channels, *(width * 2**i for i in range(4))]
        for a, b in pairwise(widths):
            layers += [nn.Conv2d(a, b, 5, 2, 2), nn.BatchNorm2d(b), nn.ReLU()]
        flat = widths[-1] * (resolution // 16) ** 2
        layers += [nn.Flatten(), nn.Linear(flat, hidden), nn.BatchNorm1d(hidden), nn.ReLU()]
        super().__init__(*layers, nn.Linear(hidden, outputs))


class Progress:
    """Finished iterations."""

    def __init__(self) -> None:
        self.step = 0

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = state["step"]


@register
class IcGAN(Method):
    """A conditional GAN and its inverse; the domain is an attribute; deterministic."""

    name = "icgan"
    paper = "Perarnau et al., Invertible Conditional GANs for Image Editing, 2016, arXiv 1611.06355"
    year = 2016
    kind = "unpaired"
    needs = ()
    Config = IcGANConfig
    discriminators = ("D",)
    presets = {
        "paper": {},
        "cpu": {
            "resolution": 32,
            "batch_size": 16,
            "budget_kimg": 60.0,
            "balanced": True,
            "width": 16,
            "encoder_width": 16,
            "latent": 32,
            "z_hidden": 512,
            "y_hidden": 64,
            "encoder_lr": 1e-3,
        },
        "smoke": {
            "resolution": 32,
            "batch_size": 4,
            "budget_kimg": 0.016,  # two iterations of the GAN, then two of the encoders
            "gan_epochs": 1,
            "encoder_epochs": 1,
            "width": 4,
            "encoder_width": 4,
            "latent": 8,
            "z_hidden": 16,
            "y_hidden": 8,
        },
    }

    @classmethod
    def whole_batch(cls, config: IcGANConfig) -> str | None:
        return "its networks have batch norm"

    def __init__(self, task: Task, config: IcGANConfig) -> None:
        super().__init__(task, config)
        self.config: IcGANConfig = config
        c, channels, side = config, task.channels, task.resolution
        self.n_attributes = DOMAINS + (task.n_labels if c.keep_labels else 0)
        self.networks = {
            "G": Generator(channels, c.width, side, c.latent + self.n_attributes),
            "D": Discriminator(channels, c.width, side, self.n_attributes),
            "Z": Encoder(channels, c.encoder_width, side, c.z_hidden, c.latent),
            "Y": Encoder(channels, c.encoder_width, side, c.y_hidden, self.n_attributes),
        }
        for name, network in self.networks.items():
            lr, beta1 = (c.lr, 0.5) if name in "GD" else (c.encoder_lr, 0.1)
            self.optimizers[name] = torch.optim.Adam(network.parameters(), lr, betas=(beta1, 0.999), fused=True)
        self.progress = Progress()
        self.memory = {"progress": self.progress}
        self.labels = np.empty(0, np.int64)

    @property
    def budget_images(self) -> int:
        if self.config.budget_kimg is None:
            epochs = self.config.gan_epochs + self.config.encoder_epochs
            return epochs * (self.task.n_source + self.task.n_target)
        return super().budget_images

    @property
    def gan_steps(self) -> int:
        """Iterations that train the GAN; the rest train the encoders."""
        c = self.config
        return math.ceil(self.total_steps * c.gan_epochs / (c.gan_epochs + c.encoder_epochs))

    def prepare(self, data: TaskData, artifacts: Artifacts) -> None:
        self.labels = np.concatenate([data.source_train.labels, data.target_train.labels])

    def streams(self, data: TaskData) -> dict[str, Stream]:
        domain = np.repeat([0, 1], [len(data.source_train), len(data.target_train)])
        order = "balanced" if self.config.balanced else "shuffled"
        return {"images": Stream("all", self.config.batch_size, order, Augment(), classes=domain)}

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        real, y = batch["images"].image, self.attributes(batch["images"])
        in_gan = self.progress.step < self.gan_steps
        losses = self._gan_step(real, y) if in_gan else self._encoder_step(real, y)
        self.progress.step += 1
        return losses

    def attributes(self, batch: Batch) -> Tensor:
        """(N, A) of -1 and +1: two for the domain, then one a class; all of these are -1 where it is not known."""
        y = one_hot(batch.label, DOMAINS)
        if not self.config.keep_labels:
            return y
        label = torch.from_numpy(self.labels).to(batch.index.device)[batch.index]
        return torch.cat([y, one_hot(label, self.task.n_labels)], dim=1)

    def _gan_step(self, real: Tensor, y: Tensor) -> dict[str, Tensor]:
        z = torch.randn(len(real), self.config.latent, generator=self.rng, device=self.device)
        order = torch.randperm(len(y), generator=self.rng, device=self.device)
        wrong = torch.cat([-y[:, :DOMAINS], y[order, DOMAINS:]], dim=1)
        fake = self.networks["G"](z, y)
        d_loss = self.discriminator_loss(real, fake.detach(), y, wrong)
        self.minimise("D", d_loss)
        g_loss = says(self.networks["D"](fake, y), True)
        self.minimise("G", g_loss)
        return {"D": d_loss.detach(), "G": g_loss.detach()}

    def discriminator_loss(self, real: Tensor, fake: Tensor, y: Tensor, wrong: Tensor) -> Tensor:
        """Real images with their attributes are true; with wrong ones, and generated images, they are not. Batch norm
        sees each kind by itself, as in the code."""
        D, c = self.networks["D"], self.config
        true, mistaken, made = D(real, y), D(real, wrong), D(fake, y)
        self.saw_real(D, true)
        return says(true, True) + c.wrong_weight * says(mistaken, False) + c.fake_weight * says(made, False)

    def _encoder_step(self, real: Tensor, y: Tensor) -> dict[str, Tensor]:
        z = torch.randn(len(real), self.config.latent, generator=self.rng, device=self.device)
        losses = {
            "Z": F.mse_loss(self.networks["Z"](self._sample(z, y)).float(), z),
            "Y": F.mse_loss(self.networks["Y"](real).float(), y),
        }
        for name, loss in losses.items():
            self.minimise(name, loss)
        return {name: loss.detach() for name, loss in losses.items()}

    @torch.no_grad()
    def _sample(self, z: Tensor, y: Tensor) -> Tensor:
        """The finished generator's images: with the averages of its batch norms, which stay as they are."""
        generator = self.networks["G"].eval()
        images = generator(z, y)
        generator.train()
        return images

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        return self._edited(source, domain=1)

    @torch.no_grad()
    def translate_back(self, images: Tensor, rng: torch.Generator) -> Tensor:
        return self._edited(images, domain=0)

    def _edited(self, images: Tensor, domain: int) -> Tensor:
        """Decoded with the attributes that Y finds, cut to -1 and +1, but those of the domain."""
        y = torch.where(self.networks["Y"](images) > 0, 1.0, -1.0)
        y[:, :DOMAINS] = -1.0
        y[:, domain] = 1.0
        return self.networks["G"](self.networks["Z"](images), y)


def doublings(resolution: int) -> int:
    """Convs between the 4x4 map and half of the image's side: log2(S) - 3."""
    return int(math.log2(resolution)) - 3


def dcgan_init(network: nn.Module) -> None:
    """Conv weights N(0, 0.02), batch norms' weights N(1, 0.02), biases 0."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)):
            mean = 1.0 if isinstance(module, nn.BatchNorm2d) else 0.0
            nn.init.normal_(module.weight, mean, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def one_hot(label: Tensor, classes: int) -> Tensor:
    """int64 (N,) -> (N, classes): +1 in the place of the label, -1 elsewhere; a label of -1 has no place."""
    hits = label[:, None] == torch.arange(classes, device=label.device)
    return hits.float() * 2 - 1


def says(logits: Tensor, true: bool) -> Tensor:
    """Cross entropy of the discriminator's answers."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(true)))
