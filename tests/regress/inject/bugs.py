"""Deliberate bugs, each a few lines that somebody could have written by mistake."""

from dataclasses import replace
from typing import Any


def ema_off() -> None:
    """The average of the weights is their last value."""
    from bench.methods.nn import ema

    average = ema.update
    ema.update = lambda mine, network, decay: average(mine, network, 0.0)


def loss_weight() -> None:
    """The factor of CycleGAN's cycle loss, 10, is forgotten."""
    from bench.methods.cyclegan import CycleGAN

    build = CycleGAN.__init__

    def init(self: Any, task: Any, config: Any) -> None:
        build(self, task, replace(config, cycle_weight=1.0))

    CycleGAN.__init__ = init


def loss_sign() -> None:
    """The hinge loss pushes the scores of generated images the wrong way."""
    import torch.nn.functional as F

    from bench.methods.nn import losses

    losses.hinge_fake = lambda scores: F.relu(1 - scores).mean()


def shuffled_references() -> None:
    """Reference images are shuffled between classes: each carries the label of its neighbour in the batch."""
    from bench.runs import training
    from bench.training.sampler import Batch, Sampler

    class Shuffled(Sampler):
        def batch(self, step: int) -> dict[str, Batch]:
            found = super().batch(step)
            return {
                name: Batch(part.image.roll(1, 0), part.label, part.index) if name == "reference" else part
                for name, part in found.items()
            }

    training.Sampler = Shuffled


BUGS = {function.__name__: function for function in (ema_off, loss_weight, loss_sign, shuffled_references)}
