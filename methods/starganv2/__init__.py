"""StarGAN v2 (Choi et al., CVPR 2020; code clovaai/stargan-v2 at 875b70a).

One generator for all domains. A style vector chooses the look; it comes from noise (mapping network) or from an image
of the target (style encoder). Both image batches are drawn from source and target together, every domain equally
often: that is the method's own way of balancing.

The defaults are the code's for AFHQ. Two domains: classes=domain. Modalities of the source as domains (BalaGAN's
StarGAN2^30): classes=modes:30, and target_modes=30 for those of the target.

Right instead of faithful: the averaged networks start from the initialised weights (in the code from weights that were
thrown away); the decay of the diversity weight survives a resumed run. Left out: the high-pass path, which needs the
masks of a face-landmark network; w_hpf > 0 gives the architecture that goes with it.

Computed once: the encoding of an image for all its translations; the translations from noise, which serve the steps
of both networks (the generator does not change in between); shortcuts' 1x1 convs on the smaller side of a resampling.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench import Augment, Batch, Method, Stream, Task, TaskData, register
from bench.methods import modes
from bench.methods.nn import ema, losses
from bench.methods.starganv2.config import StarGANv2Config
from bench.methods.starganv2.networks import Discriminator, Generator, MappingNetwork, StyleEncoder

BETAS = (0.0, 0.99)  # of Adam
AUGMENT = Augment(crop_scale=(0.8, 1.0), crop_ratio=(0.9, 1.1), flip=True)


class Countdown:
    """A weight that falls linearly from `start` to 0 over `steps` calls of `advance`."""

    def __init__(self, start: float, steps: int) -> None:
        self.start, self.steps, self.done = start, steps, 0

    @property
    def value(self) -> float:
        return self.start * max(0.0, 1 - self.done / self.steps)

    def advance(self) -> None:
        self.done += 1

    def state_dict(self) -> dict[str, Any]:
        return {"done": self.done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.done = state["done"]


@register
class StarGANv2(modes.MultiClass, Method):
    """Translation among domains with a style from noise or from a reference image."""

    name = "starganv2"
    aliases = ("stargan2", "stargan-v2", "star-gan-v2")
    paper = "Choi et al., StarGAN v2: Diverse Image Synthesis for Multiple Domains, CVPR 2020, arXiv 1912.01865"
    year = 2020
    kind = "unpaired"
    needs = ()
    class_conditional = True
    Config = StarGANv2Config
    discriminators = ("D",)
    second_order = ("D",)
    presets = {
        "paper": {},
        "smoke": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 0.02,
            "width": 4,
            "max_width": 8,
            "mapping_width": 8,
        },
        "cpu": {
            "resolution": 32,
            "width": 8,
            "max_width": 64,
            "mapping_width": 64,
            "batch_size": 8,
            "budget_kimg": 16.0,
            "diversity_weight": 0.2,  # with 1 sources were hard to recognise after so few steps
            "cycle_weight": 5.0,
            "diversity_steps": None,
            "lr": 1e-3,  # a short training
            "mapping_lr": 1e-4,
            "ema_decay": 0.99,
        },
    }

    @classmethod
    def whole_batch(cls, config: StarGANv2Config) -> str | None:
        return None

    def __init__(self, task: Task, config: StarGANv2Config) -> None:
        super().__init__(task, config)
        self.config: StarGANv2Config = config
        self.guidance = config.guide
        n_source, n_target = modes.counts(config, task)
        classes = n_source + n_target
        self.generator = Generator(task.channels, config)
        self.mapping = MappingNetwork(config, classes)
        self.style_encoder = StyleEncoder(task.channels, config, classes)
        self.discriminator = Discriminator(task.channels, config, classes)
        averaged = {"G": self.generator, "F": self.mapping, "E": self.style_encoder}
        self.networks = {**averaged, "D": self.discriminator}
        self.ema = {name: ema.copy_of(network) for name, network in averaged.items()}
        self.optimizers = {name: self._optimizer(name) for name in self.networks}
        self.diversity = Countdown(config.diversity_weight, config.diversity_steps or self.total_steps)
        self.memory = {"diversity_weight": self.diversity}

    def _optimizer(self, name: str) -> torch.optim.Optimizer:
        c = self.config
        rate = c.mapping_lr if name == "F" else c.lr
        parameters = self.networks[name].parameters()
        return torch.optim.Adam(parameters, lr=rate, betas=BETAS, weight_decay=c.weight_decay, fused=True)

    def streams(self, data: TaskData) -> dict[str, Stream]:
        """Sources, references, and for each reference always the same partner of its class."""
        class_ids = self.class_ids
        ids = np.concatenate([class_ids.source, class_ids.target])
        order = "balanced" if self.config.balanced else "shuffled"
        stream = Stream(pool="all", size=self.config.batch_size, order=order, augment=AUGMENT, classes=ids)
        pairs = partners(ids, np.random.default_rng(self.rng.initial_seed()))
        partner = replace(stream, follows="reference", partners=pairs)
        return {"source": stream, "reference": stream, "partner": partner}

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        x, own = batch["source"].image, batch["source"].label
        reference, label, partner = batch["reference"].image, batch["reference"].label, batch["partner"].image
        noise = self.draw(
            lambda m: torch.randn(m, self.config.latent, generator=self.rng, device=self.device), 2 * len(x), blocks=2
        )

        content = self.generator.encode(x)
        style, style2 = self.mapping(noise, label.repeat(2)).chunk(2)
        fake = self.generator.decode(content, style)
        with torch.no_grad():
            styles = torch.cat([style2, self.style_encoder(reference, label)])
            fake2, referred = self.generator.decode(content.detach().repeat(2, 1, 1, 1), styles).chunk(2)

        logged: dict[str, Tensor] = {}
        for turn, translated in (("latent", fake.detach()), ("ref", referred)):
            loss, parts = self.discriminator_loss(x, own, translated, label)
            self.minimise("D", loss)
            logged.update({f"d_{name}_{turn}": value for name, value in parts.items()})

        judged, wanted = self.style_encoder(torch.cat([fake, x]), torch.cat([label, own])).chunk(2)
        rebuilt = self.generator(fake, wanted)
        loss, parts = self.generator_loss(fake, label, style, judged, fake2, rebuilt, x)
        self.minimise(("G", "F", "E"), loss)
        logged.update({f"g_{name}_latent": value for name, value in parts.items()})

        loss, parts = self._reference_loss(x, own, reference, partner, label)
        self.minimise("G", loss)
        logged.update({f"g_{name}_ref": value for name, value in parts.items()})

        self.once(lambda: ema.follow(self.ema, self.networks, self.config.ema_decay))
        self.once(self.diversity.advance)
        return {name: value.detach() for name, value in logged.items()}

    def _reference_loss(
        self, x: Tensor, own: Tensor, reference: Tensor, partner: Tensor, label: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The generator's second loss. It alone is trained by it, so the styles are constants."""
        with torch.no_grad():
            images, classes = torch.cat([reference, partner, x]), torch.cat([label, label, own])
            style, style2, wanted = self.style_encoder(images, classes).chunk(3)
        content = self.generator.encode(x)
        fake = self.generator.decode(content, style)
        with torch.no_grad():
            fake2 = self.generator.decode(content.detach(), style2)
        rebuilt = self.generator(fake, wanted)
        return self.generator_loss(fake, label, style, self.style_encoder(fake, label), fake2, rebuilt, x)

    def discriminator_loss(
        self, real: Tensor, own: Tensor, fake: Tensor, label: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """BCE of the logits of the images' own classes, and R1 of the real images."""
        real = real.detach().requires_grad_()
        with self.exact():
            scores = self.discriminator(real, own)
            r1 = 0.5 * losses.r1(scores[:, None], real)
        self.saw_real(self.discriminator, scores)
        parts = {
            "real": F.softplus(-scores).mean(),
            "fake": F.softplus(self.discriminator(fake, label)).mean(),
            "r1": r1,
        }
        return parts["real"] + parts["fake"] + self.config.r1_weight * parts["r1"], parts

    def generator_loss(
        self, fake: Tensor, label: Tensor, style: Tensor, judged: Tensor, fake2: Tensor, rebuilt: Tensor, x: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """fake = G(x, style) of class label; judged = E(fake); fake2 = G(x, another style); rebuilt = G(fake, E(x))."""
        c = self.config
        parts = {
            "adv": F.softplus(-self.discriminator(fake, label)).mean(),
            "sty": F.l1_loss(judged, style),
            "ds": F.l1_loss(fake, fake2.detach()),
            "cyc": F.l1_loss(rebuilt, x),
        }
        total = parts["adv"] + c.style_weight * parts["sty"] - self.diversity.value * parts["ds"]
        return total + c.cycle_weight * parts["cyc"], parts

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        if label is None:
            raise ValueError("StarGAN v2 translates to a class; pass label=")
        if self.config.guide == "noise":
            noise = torch.randn(len(source), self.config.latent, generator=rng, device=source.device)
            style = self.ema["F"](noise, label)
        elif reference is None:
            raise ValueError("guide=reference translates to the look of a reference; pass reference=")
        else:
            style = self.ema["E"](reference, label)
        return self.ema["G"](source, style)


def partners(classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """int64: a random permutation of the positions that stays inside each class."""
    partner = np.empty(len(classes), np.int64)
    for one in np.unique(classes):
        members = np.flatnonzero(classes == one)
        partner[members] = rng.permutation(members)
    return partner
