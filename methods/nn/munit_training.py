"""How MUNIT and UNIT train in NVlabs/MUNIT (a82e222): multi-scale discriminators, a rate that halves now and then."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from bench import Augment, Method, Stream, TaskData, setting
from bench.methods.nn.multiscale import GAN
from bench.methods.nn.optimizers import scheduled_adam
from bench.methods.nn.schedules import halved_every


@dataclass(frozen=True)
class MUNITFields:
    """What the Config of such a method inherits beside Config."""

    width: int = setting(64, "channels after the first conv of generators and discriminators", low=1)
    discriminator_downs: int = setting(4, "stride-2 convs of each discriminator", low=1, high=16)
    n_scales: int = setting(
        3, "discriminators of a domain, each at half the resolution of the one before", low=1, high=16
    )
    gan: GAN = setting("lsgan", "adversarial loss; lsgan: least squares; nsgan: sigmoid and cross entropy")
    adv_weight: float = setting(1.0, "weight of the adversarial loss")
    image_weight: float = setting(10.0, "weight of the L1 reconstruction of an image within its domain")
    lr: float = setting(1e-4, "learning rate of all networks", above=0)
    lr_halves: int = setting(100_000, "iterations after which the rate is halved, again and again", low=1)
    weight_decay: float = setting(1e-4, "L2 penalty, added to the gradient")
    ema_decay: float | None = setting(
        None, "decay of an average of the generators that translates; none: no average, as in the paper", high=1
    )

    @property
    def boundary(self) -> float:
        return 0.5 if self.gan == "lsgan" else 0.0


class MUNITTraining(Method):
    """A method whose Config has MUNITFields: one optimizer of generators and one of discriminators."""

    def _optimizer(self, name: str, networks: Iterable[nn.Module]) -> None:
        scheduled_adam(self, name, networks, self.rate)

    def rate(self, step: int) -> float:
        return halved_every(step, self.config.lr_halves)

    def streams(self, data: TaskData) -> dict[str, Stream]:
        size, augment = self.config.batch_size, Augment(flip=True)
        return {name: Stream(name, size, augment=augment) for name in ("source", "target")}
