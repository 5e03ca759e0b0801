"""How CUT trains (Park et al., ECCV 2020; code taesungp/contrastive-unpaired-translation), and UNSB after it.

Epochs of the larger domain, in the last of which the learning rate falls and images are not cropped; PatchNCE on chosen
layers of the generator.
"""

from dataclasses import dataclass

import torch

from bench import Augment, Method, UserError, setting
from bench.methods.nn.schedules import constant_then_linear


@dataclass(frozen=True)
class CUTFields:
    """What the Config of such a method inherits beside Config."""

    epochs: int = setting(200, "epochs of the larger domain with the full learning rate", low=1)
    decay_epochs: int = setting(200, "epochs after them, in which the rate falls and images are not cropped")
    load_ratio: float = setting(286 / 256, "images are enlarged by this much, then cropped at random", low=1, high=16)

    blocks: int = setting(9, "residual blocks of the generator")
    discriminator_layers: int = setting(3, "halving layers of a discriminator; 3: the 70 x 70 PatchGAN", low=1, high=16)

    nce_layers: tuple[int, ...] = setting(
        (0, 4, 8, 12, 16), "layers of the generator whose features are compared, numbered as in CUT's code"
    )
    patches: int = setting(256, "places of a map that are compared; all of them where it has fewer", low=2)
    projection: int = setting(256, "width of F", low=1)
    temperature: float = setting(0.07, "what similarities are divided by", low=1e-3)
    nce_weight: float = setting(1.0, "weight of the contrastive loss")
    identity: bool = setting(True, "also: a target image that goes through the generator keeps its motif")

    lr: float = setting(2e-4, "learning rate of all networks", above=0)
    beta1: float = setting(0.5, "Adam's decay of the mean gradient", below=1)
    ema_decay: float | None = setting(
        None,
        "decay of an average of G that translates; none: no average, as in the paper; short runs are noisy",
        below=1,
    )

    @property
    def boundary(self) -> float:
        return 0.5  # least squares of 1 and 0

    def check_nce_layers(self, end: int) -> None:
        """UserError where `nce_layers` are none, not ascending, or others than 0 and 4 to `end` - 1."""
        layers = self.nce_layers
        if not layers or list(layers) != sorted(set(layers)) or not all(i == 0 or 3 < i < end for i in layers):
            raise UserError(
                f"nce_layers={','.join(map(str, layers))}: choose ascending ones of 0 (the padded image) and 4 to "
                f"{end - 1} (the last residual block with blocks={self.blocks})"
            )


class CUTTraining(Method):
    """A method whose Config has CUTFields."""

    def make_optimizers(self) -> None:
        """An Adam and a schedule for each of the networks."""
        c = self.config
        for name, network in self.networks.items():
            self.optimizers[name] = torch.optim.Adam(network.parameters(), c.lr, betas=(c.beta1, 0.999), fused=True)
            self.schedulers[name] = torch.optim.lr_scheduler.LambdaLR(self.optimizers[name], self.rate)

    @property
    def budget_images(self) -> int:
        if self.config.budget_kimg is None:
            shares = self.images_per_step // self.config.batch_size  # source images for each one of the target
            return shares * self.all_epochs * max(self.task.n_source, self.task.n_target)
        return super().budget_images

    @property
    def all_epochs(self) -> int:
        return int(self.config.epochs + self.config.decay_epochs)

    def rate(self, step: int) -> float:
        """Multiplier of the learning rate: 1 in the first `epochs`, linear in the `decay_epochs`."""
        epoch = step * self.all_epochs // self.total_steps
        return constant_then_linear(epoch, self.config.epochs, self.config.decay_epochs)

    def augmentation_in_epochs(self) -> tuple[Augment, tuple[int, Augment]]:
        """Enlarged and cropped; from which iteration on, and then: neither."""
        c = self.config
        jitter = Augment(load_size=round(c.load_ratio * c.resolution), interpolation="bicubic", flip=True)
        return jitter, (-(-c.epochs * self.total_steps // self.all_epochs), Augment(flip=True))
