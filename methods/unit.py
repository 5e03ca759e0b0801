"""UNIT (Liu et al., NeurIPS 2017, arXiv 1703.00848; trainer of NVlabs/MUNIT at a82e222, weights of mingyuliutw/UNIT at
28d5982).

Both domains are variational autoencoders over one latent space: an image's code is the encoder's map plus noise of unit
variance. A source is translated by decoding its code with the target's decoder. Discriminators, optimizers and data
are MUNIT's; there is no style, so a source has one translation.

The paper lets both domains share the last block of their encoders and the first block of their decoders; the code
shares nothing. `shared_blocks` chooses. Departures from the code: each domain's shuffle runs through that whole domain,
where the code draws a new one as soon as the smaller domain is used up. Not here: the VGG loss, which is off but for
the two configurations for street scenes. Computed once instead of twice: the codes of the real images, which serve the
steps of both networks (the generators do not change in between); the noise is drawn anew for each, as in the code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
from bench.methods.nn.funit_networks import ContentEncoder, enlarging
from bench.methods.nn.layers import ResidualBlock, kaiming_init
from bench.methods.nn.multiscale import Discriminator, discriminator_loss, sum_over_scales
from bench.methods.nn.munit_training import MUNITFields, MUNITTraining


@dataclass(frozen=True)
class UNITConfig(Config, MUNITFields, DiscriminatorFields):
    """UNIT's settings."""

    resolution: int = 128
    batch_size: int = 1
    budget_kimg: float = setting(1000.0, "thousands of source images seen in training; 1,000,000 iterations of one")

    downs: int = setting(2, "stride-2 convs of the encoder", high=16)
    blocks: int = setting(4, "residual blocks of the encoder, and of the decoder", low=1)
    shared_blocks: int = setting(
        0,
        "of these, the encoder's last and the decoder's first that both domains share: the code shares none, the "
        "paper's weight sharing (its section 3) is 1",
    )

    cycle_weight: float = setting(10.0, "weight of the L1 distance of the image translated there and back")
    kl_weight: float = setting(0.01, "weight of the mean square of the code of a real image")
    kl_cycle_weight: float = setting(0.01, "weight of the mean square of the code of a translation")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shared_blocks > self.blocks:
            raise UserError(f"shared_blocks={self.shared_blocks} is more than blocks={self.blocks}; choose fewer")


class Generator(nn.Module):
    """One domain's own encoder (N, C, S, S) -> (N, width * 2^downs, S / 2^downs, S / 2^downs), and its decoder back."""

    def __init__(self, channels: int, width: int, downs: int, blocks: int) -> None:
        super().__init__()
        inner = width * 2**downs
        self.encoder = ContentEncoder(channels, width, downs, blocks)
        self.decoder = nn.Sequential(
            *(ResidualBlock(inner) for _ in range(blocks)), *enlarging(channels, width, downs, "layer")
        )
        kaiming_init(self)


class SharedBlocks(nn.Module):
    """The encoders' last blocks and the decoders' first, the same for both domains; code -> code."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        self.decoder = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        kaiming_init(self)


@register
class UNIT(MUNITTraining):
    """Two variational autoencoders over one latent space; deterministic."""

    name = "unit"
    paper = "Liu et al., Unsupervised Image-to-Image Translation Networks, NeurIPS 2017, arXiv 1703.00848"
    year = 2017
    kind = "unpaired"
    needs = ()
    Config = UNITConfig
    discriminators = ("dis_a", "dis_b")
    presets = {
        "paper": {},
        "cpu": {
            "resolution": 32,
            "batch_size": 1,
            "budget_kimg": 8.0,
            "width": 16,
            "downs": 1,  # a code of 16x16
            "blocks": 2,
            "discriminator_downs": 3,
            "n_scales": 2,  # 32 pixels are too few for three
            "lr": 4e-4,
            "ema_decay": 0.998,
        },
        "smoke": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 0.02,
            "width": 4,
            "downs": 1,
            "blocks": 2,
            "shared_blocks": 1,
            "discriminator_downs": 2,
            "n_scales": 2,
        },
    }

    @classmethod
    def whole_batch(cls, config: UNITConfig) -> str | None:
        return None

    def __init__(self, task: Task, config: UNITConfig) -> None:
        super().__init__(task, config)
        self.config: UNITConfig = config
        c = config
        for name in ("gen_a", "gen_b"):
            self.networks[name] = Generator(task.channels, c.width, c.downs, c.blocks - c.shared_blocks)
        for name in ("dis_a", "dis_b"):
            self.networks[name] = Discriminator(task.channels, c.width, c.discriminator_downs, c.n_scales)
        generators = ["gen_a", "gen_b"]
        if c.shared_blocks:
            self.networks["shared"] = SharedBlocks(c.width * 2**c.downs, c.shared_blocks)
            generators.append("shared")
        if c.ema_decay is not None:
            self.ema = {name: ema.copy_of(self.networks[name]) for name in generators}
        self._optimizer("gen", [self.networks[name] for name in generators])
        self._optimizer("dis", [self.networks["dis_a"], self.networks["dis_b"]])

    @classmethod
    def check(cls, task: Task, config: UNITConfig, data: TaskData | None = None) -> None:
        c = config
        least = 2 ** max(c.n_scales + c.discriminator_downs - 1, c.downs + 1)
        if task.resolution % 2**c.downs or task.resolution < least:
            raise Unfit(
                f"unit at resolution {task.resolution} cannot halve the image as often as its networks do; choose a "
                f"multiple of {2**c.downs}, at least {least}, or lower n_scales, discriminator_downs"
            )

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        xa, xb = batch["source"].image, batch["target"].image
        h_a, h_b = self.encode("a", xa), self.encode("b", xb)
        with torch.no_grad():
            x_ba, x_ab = self.decode("a", self.noisy(h_b)), self.decode("b", self.noisy(h_a))
        gan, dis_a, dis_b = self.config.gan, self.networks["dis_a"], self.networks["dis_b"]
        d_parts = {
            "d_a": discriminator_loss(gan, dis_a, x_ba, xa, saw_real=self.saw_real),
            "d_b": discriminator_loss(gan, dis_b, x_ab, xb, saw_real=self.saw_real),
        }
        self.minimise("dis", self.config.adv_weight * (d_parts["d_a"] + d_parts["d_b"]))
        g_loss, g_parts = self.generator_loss(xa, xb, h_a, h_b)
        self.minimise("gen", g_loss)
        self.once(lambda: ema.follow(self.ema, self.networks, self.config.ema_decay))
        return {name: value.detach() for name, value in {**d_parts, **g_parts}.items()}

    def generator_loss(self, xa: Tensor, xb: Tensor, h_a: Tensor, h_b: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The paper's VAE, GAN and cycle-consistency losses in the form of the code; h_a, h_b are codes without noise.

        One draw of noise serves both decodings of a code; the code of a translation gets its own.
        """
        c, n = self.config, len(xa)
        z_a, z_b = self.noisy(h_a), self.noisy(h_b)
        rec_a, x_ba = self.decode("a", torch.cat([z_a, z_b])).tensor_split([n])
        x_ab, rec_b = self.decode("b", torch.cat([z_a, z_b])).tensor_split([n])
        h_b_again, h_a_again = self.encode("a", x_ba), self.encode("b", x_ab)
        x_aba, x_bab = self.decode("a", self.noisy(h_a_again)), self.decode("b", self.noisy(h_b_again))
        parts = {
            "g_adv": sum_over_scales(c.gan, self.networks["dis_a"](x_ba), 1.0)
            + sum_over_scales(c.gan, self.networks["dis_b"](x_ab), 1.0),
            "image": F.l1_loss(rec_a, xa) + F.l1_loss(rec_b, xb),
            "cycle": F.l1_loss(x_aba, xa) + F.l1_loss(x_bab, xb),
            "kl": mean_square(h_a) + mean_square(h_b),
            "kl_cycle": mean_square(h_a_again) + mean_square(h_b_again),
        }
        total = c.adv_weight * parts["g_adv"] + c.image_weight * parts["image"] + c.cycle_weight * parts["cycle"]
        return total + c.kl_weight * parts["kl"] + c.kl_cycle_weight * parts["kl_cycle"], parts

    def noisy(self, code: Tensor) -> Tensor:
        """A sample of the code's distribution, N(code, I)."""
        shape = code.shape[1:]
        return code + self.draw(lambda m: torch.randn(m, *shape, generator=self.rng, device=code.device), len(code))

    def encode(self, domain: str, image: Tensor, networks: Mapping[str, nn.Module] | None = None) -> Tensor:
        """Images of domain "a" or "b" -> the mean of their code (N, width * 2^downs, S / 2^downs, S / 2^downs)."""
        nets: Mapping[str, Any] = networks or self.networks
        code = nets[f"gen_{domain}"].encoder(image)
        return nets["shared"].encoder(code) if "shared" in nets else code

    def decode(self, domain: str, code: Tensor, networks: Mapping[str, nn.Module] | None = None) -> Tensor:
        """Code -> images of domain "a" or "b" in [-1, 1]."""
        nets: Mapping[str, Any] = networks or self.networks
        return nets[f"gen_{domain}"].decoder(nets["shared"].decoder(code) if "shared" in nets else code)

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        return self.decode("b", self.encode("a", source, self.ema), self.ema)

    @torch.no_grad()
    def translate_back(self, images: Tensor, rng: torch.Generator) -> Tensor:
        return self.decode("a", self.encode("b", images, self.ema), self.ema)

    @torch.no_grad()
    def bottleneck(self, images: Tensor, domain: str) -> Tensor | None:
        own = {self.task.names[0]: "a", self.task.names[1]: "b"}
        return self.encode(own[domain], images, self.ema) if domain in own else None


def mean_square(code: Tensor) -> Tensor:
    """Divergence of N(code, I) from N(0, I) up to a constant factor: the mean over elements, where the paper sums."""
    return code.square().mean()
