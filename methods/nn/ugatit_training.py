"""How U-GAT-IT trains (Kim et al., ICLR 2020; code znxlwm/UGATIT-pytorch), and NICE-GAN after it."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from bench import Augment, Method, Stream, TaskData, setting
from bench.methods.nn.optimizers import scheduled_adam
from bench.methods.nn.schedules import falling_in_second_half


@dataclass(frozen=True)
class UGATITFields:
    """What the Config of such a method inherits beside Config."""

    load_extra: int = setting(30, "images are enlarged by so many pixels, then cropped at random", high=4096)
    light: bool = setting(True, "average the map before AdaILN's numbers are made of it; false: the paper's network")
    adv_weight: float = setting(1.0, "weight of the adversarial loss")
    cycle_weight: float = setting(10.0, "weight of the cycle loss")
    lr: float = setting(1e-4, "learning rate of all networks; it falls to 0 in the second half", above=0)
    weight_decay: float = setting(1e-4, "L2 penalty, added to the gradient")

    @property
    def boundary(self) -> float:
        return 0.5  # least squares of 1 and 0


class UGATITTraining(Method):
    """A method whose Config has UGATITFields: two directions, one optimizer of generators and one of discriminators."""

    def _optimizer(self, name: str, networks: Iterable[nn.Module]) -> None:
        scheduled_adam(self, name, networks, self.rate)

    def rate(self, step: int) -> float:
        return falling_in_second_half(step, self.total_steps)

    def streams(self, data: TaskData) -> dict[str, Stream]:
        augment = Augment(load_size=self.task.resolution + self.config.load_extra, flip=True)
        return {name: Stream(name, self.config.batch_size, augment=augment) for name in ("source", "target")}
