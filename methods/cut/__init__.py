"""CUT and FastCUT (Park et al., ECCV 2020, arXiv 2007.15651).

The public code is taesungp/contrastive-unpaired-translation at b3ac297.

One generator, source -> target, and one discriminator of target images. The first half of the generator is also the
encoder that keeps the motif: what it finds at a place of the translation shall be told apart from what it finds at all
other places of the source (PatchNCE). Nothing translates back.

`content` chooses what keeps the motif; two later papers change only that:

    patchnce   CUT; preset fastcut: no identity term, ten times the weight, mirrored inputs, half the epochs
    hdce       Hneg-SRC (preset hneg): hard negatives weigh more, and relations among places are kept (src_weight)
    path       SANTA (preset santa): no contrast; a generator with a line from source to target, as short as it can be

Defaults follow the code where it differs from the paper (nce_total). The schedule counts iterations instead of epochs.
Not copied: F is built from the generator's widths, not by a first pass, which a resumed run would miss; losses are
those of each image, so that batches of any size work.

Computed once: the features of the source, which are a by-product of its translation; they do not need gradients.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench import (
    Batch,
    Config,
    DiscriminatorFields,
    Stream,
    Task,
    TaskData,
    Unfit,
    UserError,
    register,
    setting,
)
from bench.methods.cut.hneg import hdce, negative_weights, relation_consistency
from bench.methods.cut.santa import PathGenerator, path_energy
from bench.methods.nn import ema
from bench.methods.nn.cut_training import CUTFields, CUTTraining
from bench.methods.nn.layers import xavier_init
from bench.methods.nn.losses import lsgan
from bench.methods.nn.patch_nce import PatchProjection, draw_positions, patch_nce, sample
from bench.methods.nn.resnet import PatchDiscriminator, ResNetGenerator, least_side


@dataclass(frozen=True)
class CUTConfig(Config, CUTFields, DiscriminatorFields):
    """CUT's settings."""

    resolution: int = 128
    batch_size: int = 1
    budget_kimg: float | None = setting(  # type: ignore[assignment]
        None, "thousands of source images seen in training; none: all epochs of the larger domain"
    )
    width: int = setting(64, "channels after the first conv of generator and discriminator", low=1)
    antialias: bool = setting(True, "resample by blurs, as CUT's code; false: by convs of stride 2, as CycleGAN")

    content: Literal["patchnce", "hdce", "path"] = setting(
        "patchnce",
        "what keeps the motif; patchnce: CUT; hdce: Hneg-SRC; path: SANTA, whose settings begin at rec_weight",
    )
    nce_total: Literal["mean", "sum"] = setting(
        "mean", "of both contrastive terms; mean: as in the code; sum: as in the paper"
    )
    flip_equivariance: bool = setting(
        False, "mirror half of the inputs, and their translations' features back, where the data set allows it"
    )

    src_weight: float = setting(0.0, "weight of the semantic relation consistency (Hneg-SRC)")
    hneg_weights: bool = setting(True, "content=hdce: negatives weigh the more, the harder they are")
    gamma: float = setting(
        50.0, "hneg_weights, in the beginning; large: all negatives alike, small: the nearest alone", low=1e-3
    )
    gamma_min: float = setting(10.0, "gamma at the end of the training; it moves linearly", low=1e-3)
    gamma_step_epoch: int | None = setting(
        None, "gamma is 1 after so many epochs, as Hneg-SRC has it for Cityscapes at 200; none: never"
    )

    rec_weight: float = setting(5.0, "weight of the L1 of sources decoded at the source's end of the line")
    idt_weight: float = setting(5.0, "weight of the L1 of target images decoded at the target's end")
    kl_weight: float = setting(0.01, "weight of the mean square of the hidden map")
    path_weight: float = setting(0.01, "weight of the path's length; the command in SANTA's README has 0.1")
    path_layers: tuple[int, ...] = setting(
        (0, 3, 6, 10, 14), "layers of the decoder whose features make the path, numbered as in SANTA's code"
    )
    path_interval: tuple[float, float] = setting(
        (0.05, 0.10), "least and largest half length of the piece of the line that is measured", above=0, high=1
    )
    noise_std: float = setting(1.0, "deviation of the noise on the hidden map in training")
    style_dim: int = setting(8, "numbers that say where on the line an image is", low=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        least = least_side(self.discriminator_layers)
        if self.resolution % 4 or self.resolution < least:
            raise Unfit(
                f"CUT cannot take resolution {self.resolution}; choose a multiple of 4, at least {least} with "
                f"discriminator_layers={self.discriminator_layers}"
            )
        if self.content == "path":
            self._check_path()
        else:
            self.check_nce_layers((12 if self.antialias else 10) + self.blocks)

    def _check_path(self) -> None:
        end = self.blocks - self.blocks // 2 + 11
        if not self.path_layers or not all(0 <= i < end for i in self.path_layers):
            raise UserError(f"path_layers: the decoder has layers 0 to {end - 1} with blocks={self.blocks}")
        if len(self.path_interval) != 2 or self.path_interval[0] > self.path_interval[1]:
            raise UserError("path_interval is two numbers, the smaller one first, such as 0.05,0.1")
        if self.src_weight or self.flip_equivariance or not self.antialias:
            raise UserError(
                "content=path has neither src_weight nor flip_equivariance, and is built with antialias alone"
            )


@register
class CUT(CUTTraining):
    """One direction; places of input and output are told apart by contrast. Presets for FastCUT, Hneg-SRC and SANTA."""

    name = "cut"
    aliases = ()
    paper = "Park et al., Contrastive Learning for Unpaired Image-to-Image Translation, ECCV 2020, arXiv 2007.15651"
    year = 2020
    kind = "unpaired"
    needs = ()
    Config = CUTConfig
    discriminators = ("D",)
    presets = {
        "paper": {},
        "fastcut": {
            "nce_weight": 10.0,
            "identity": False,
            "flip_equivariance": True,
            "epochs": 150,
            "decay_epochs": 50,
        },
        "hneg": {"content": "hdce", "nce_weight": 0.1, "src_weight": 0.05},  # those for horse -> zebra
        "santa": {"content": "path"},
        "cpu": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 16.0,
            "width": 16,
            "blocks": 3,
            "discriminator_layers": 2,
            "nce_layers": (0, 4, 8, 12, 14),
            "path_layers": (0, 1, 3, 7, 11),
            "projection": 64,
            "lr": 4e-4,
            "ema_decay": 0.995,
        },
        "smoke": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 0.02,
            "width": 4,
            "blocks": 1,
            "discriminator_layers": 2,
            "nce_layers": (0, 4, 8, 12),
            "path_layers": (0, 2, 6, 10),
            "patches": 16,
            "projection": 8,
        },
    }

    @classmethod
    def whole_batch(cls, config: CUTConfig) -> str | None:
        return None

    def __init__(self, task: Task, config: CUTConfig) -> None:
        super().__init__(task, config)
        self.config: CUTConfig = config
        c, channels = config, task.channels
        if c.content == "path":
            self.networks["G"] = PathGenerator(channels, c.width, c.blocks, c.style_dim)
        else:
            generator = ResNetGenerator(channels, c.width, c.blocks, antialias=c.antialias, init=xavier_init)
            self.networks["G"] = generator
            self.networks["F"] = PatchProjection(generator.feature_channels(c.nce_layers), c.projection)
        self.networks["D"] = PatchDiscriminator(channels, c.width, c.discriminator_layers, c.antialias, xavier_init)
        if c.ema_decay is not None:
            self.ema["G"] = ema.copy_of(self.networks["G"])
        self.make_optimizers()

    def gamma(self, step: int) -> float:
        """The parameter gamma of the weights of negatives; it changes from epoch to epoch."""
        c = self.config
        epoch = 1 + step * self.all_epochs // self.total_steps
        if c.gamma_step_epoch is not None and epoch > c.gamma_step_epoch:
            return 1.0
        return c.gamma + (c.gamma_min - c.gamma) * epoch / self.all_epochs

    def streams(self, data: TaskData) -> dict[str, Stream]:
        n = self.config.batch_size
        jitter, later = self.augmentation_in_epochs()
        return {
            "A": Stream("source", n, "shuffled", jitter, later=later),
            "B": Stream("target", n, "uniform", jitter, later=later),
        }

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        """D's step, then that of G and F on the same translations."""
        a, b = batch["A"].image, batch["B"].image
        if self.config.content == "path":
            fake, content, losses = self._shortest_path(a, b)
        else:
            fake, content, losses = self._contrast(a, b)
        losses["D"] = self.discriminator_loss(b, fake.detach())
        self.minimise("D", losses["D"])
        losses["G"] = lsgan(self.networks["D"](fake), 1.0)
        self.minimise([name for name in ("G", "F") if name in self.optimizers], losses["G"] + content)
        self.once(lambda: ema.follow(self.ema, self.networks, self.config.ema_decay))
        return {name: loss.detach() for name, loss in losses.items()}

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Least squares; the halving slows D down."""
        on_real, on_fake = self.networks["D"](torch.cat([real, fake])).split(len(real))
        self.saw_real(self.networks["D"], on_real)
        return 0.5 * (lsgan(on_real, 1.0) + lsgan(on_fake, 0.0))

    def _contrast(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Translations of a, the weighted sum of all content losses, and these by name."""
        c = self.config
        inputs = torch.cat([a, b]) if c.identity else a
        mirrored = c.flip_equivariance and self.task.mirror and self._heads()
        made, queries, keys = self._translate_and_encode(inputs, mirrored)
        pairs = len(inputs) // len(a)
        # CUT draws places anew for each pair of images, Hneg-SRC once
        positions = draw_positions(keys, 1 if c.content == "hdce" else pairs, c.patches, self.rng)
        projection = self.networks["F"]
        projected = projection(sample(queries, positions))
        with torch.no_grad():
            wanted = projection(sample(keys, positions))
        layers = list(zip(projected, wanted))
        nce = torch.stack([self._nce(query, key) for query, key in layers]).mean(0)
        losses = dict(zip(("NCE", "NCE_Y"), (part.mean() for part in nce.split(len(a)))))
        total = torch.stack(list(losses.values())).sum() / (pairs if c.nce_total == "mean" else 1)
        total = c.nce_weight * total
        if c.src_weight:
            n = len(a)
            losses["SRC"] = torch.stack([relation_consistency(q[:n], k[:n]).mean() for q, k in layers]).mean()
            total = total + c.src_weight * losses["SRC"]
        return made[: len(a)], total, losses

    def _translate_and_encode(self, inputs: Tensor, mirrored: bool) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """What G makes of the inputs, the features of that, and those of the inputs, as if nothing were mirrored."""
        generator, taps = self.networks["G"], self.config.nce_layers
        assert isinstance(generator, ResNetGenerator)
        if not mirrored:
            made, keys = generator.image_and_features(inputs, taps)
            return made, generator.features(made, taps), [key.detach() for key in keys]
        made = generator(inputs.flip(3))
        with torch.no_grad():
            keys = generator.features(inputs, taps)
        return made, [feature.flip(3) for feature in generator.features(made, taps)], keys

    def _nce(self, query: Tensor, key: Tensor) -> Tensor:
        """(N,): the contrastive loss of one layer."""
        c = self.config
        if c.content == "patchnce":
            return patch_nce(query, key, c.temperature)
        gamma = self.gamma(self.schedulers["G"].last_epoch)  # which counts iterations
        return hdce(query, key, c.temperature, negative_weights(key, gamma) if c.hneg_weights else None)

    def _shortest_path(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Translations of a, the weighted sum of all content losses, and these by name."""
        c, n, generator = self.config, len(a), self.networks["G"]
        assert isinstance(generator, PathGenerator)
        hidden = generator.encode(torch.cat([a, b]))
        shape = hidden.shape[1:]
        noise = self.draw(lambda m: torch.randn(m, *shape, generator=self.rng, device=self.device), 2 * n, blocks=2)
        noisy_a, noisy_b = (hidden + c.noise_std * noise).split(n)
        places = torch.tensor([0.0, 1.0, 1.0], device=self.device).repeat_interleave(n)
        rebuilt, fake, same = generator.decode(torch.cat([noisy_a, noisy_a, noisy_b]), places).split(n)
        losses = {"rec": F.l1_loss(rebuilt, a), "idt": F.l1_loss(same, b), "kl": hidden.square().mean()}
        total = c.rec_weight * losses["rec"] + c.idt_weight * losses["idt"] + c.kl_weight * losses["kl"]
        if c.path_weight:
            losses["path"] = self._path(generator, noisy_a)
            total = total + c.path_weight * losses["path"]
        return fake, total, losses

    def _path(self, generator: PathGenerator, hidden: Tensor) -> Tensor:
        """How fast the decoder's features change along a random short piece of the line, for each image its own."""
        n, (low, high) = len(hidden), self.config.path_interval
        middle, share = self.draw(
            lambda m: torch.rand(m, generator=self.rng, device=self.device), 2 * n, blocks=2
        ).split(n)
        half = low + (high - low) * share
        start, end = (middle - half).clamp(min=0), (middle + half).clamp(max=1)
        features = generator.path_features(hidden.repeat(2, 1, 1, 1), torch.cat([start, end]), self.config.path_layers)
        before, after = zip(*(feature.split(n) for feature in features))
        return path_energy(before, after, end - start)

    def _heads(self) -> bool:
        return bool(torch.rand((), generator=self.rng, device=self.device) < 0.5)

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        generator = self.ema.get("G", self.networks["G"])
        if isinstance(generator, PathGenerator):
            return generator.decode(generator.encode(source), torch.ones(len(source), device=source.device))
        return generator(source)
