"""How StarGAN trains (Choi et al., CVPR 2018; code yunjey/stargan at 94dd002), and SDIT after it.

One iteration is several steps of the discriminator, each on images of its own, and one of the generator; the learning
rate falls, or hardly does, in the last part of the training.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench import Augment, Method, Stream, TaskData, setting
from bench.methods import modes
from bench.methods.nn.schedules import LRDecay, stargan_share
from bench.methods.nn.stargan import one_hot

BETAS = (0.5, 0.999)  # of Adam


@dataclass(frozen=True)
class StarGANFields:
    """What the Config of such a method inherits beside Config."""

    balanced: bool = setting(
        False, "true: every class equally often, as source and as target; false: every image, as in the code"
    )
    critic_steps: int = setting(5, "steps of the discriminator for one of the generator", low=1)
    lr: float = setting(1e-4, "learning rate of both networks", above=0)
    lr_decay: LRDecay = setting(
        "code",
        "code: the rate falls by lr / n every decay_every of the last n steps, so it stays nearly constant; linear: to "
        "0, as was meant",
    )
    decay_share: float = setting(0.5, "the last share of the training, in which the rate falls", high=1)
    decay_every: int = setting(1000, "steps of the discriminator between two changes of the rate", low=1)


class StarGANTraining(modes.MultiClass, Method):
    """A method whose Config has StarGANFields and whose networks are a generator G and a discriminator D."""

    n_classes: int

    def make_optimizers(self) -> None:
        """An Adam and a schedule for each of the networks."""
        for name, network in self.networks.items():
            self.optimizers[name] = torch.optim.Adam(network.parameters(), self.config.lr, betas=BETAS, fused=True)
            self.schedulers[name] = torch.optim.lr_scheduler.LambdaLR(self.optimizers[name], self.rate)

    @property
    def images_per_step(self) -> int:
        """One iteration is `critic_steps` steps of the discriminator, each on images of its own, and one of the
        generator, on the last of them."""
        return int(self.config.critic_steps * self.config.batch_size)

    def rate(self, iteration: int) -> float:
        """The share of the learning rate that is left after so many iterations."""
        c = self.config
        done, total = iteration * c.critic_steps, self.total_steps * c.critic_steps
        return stargan_share(done, total, c.decay_share, c.decay_every, c.lr_decay)

    def streams(self, data: TaskData) -> dict[str, Stream]:
        class_ids = self.class_ids
        return {
            "source": Stream(
                pool="all",
                size=self.images_per_step,
                order="balanced" if self.config.balanced else "shuffled",
                augment=Augment(flip=True),
                classes=np.concatenate([class_ids.source, class_ids.target]),
                blocks=self.config.critic_steps,
            )
        }

    def _one_hot(self, label: Tensor) -> Tensor:
        return one_hot(label, self.n_classes)

    def _shuffled(self, label: Tensor) -> Tensor:
        return label[torch.randperm(len(label), generator=self.rng, device=self.device)]
