"""Learning-rate schedules that several methods share."""

from typing import Literal

LRDecay = Literal["code", "linear"]


def stargan_share(done: int, total: int, decay_share: float, every: int, decay: LRDecay) -> float:
    """The share of the learning rate that is left after `done` of `total` steps of the discriminator.

    The rate is full until the last `decay_share` of the training. From then on, every `every` steps,

    code    lr / n is subtracted, where n is the number of steps in that last part: what the code of StarGAN does
            (yunjey/stargan at 94dd002, and SDIT's after it). Over 100,000 steps that is 100 times lr / 100,000
    linear  every * lr / n is subtracted, so that the rate ends at 0: what was meant
    """
    n = max(1, round(decay_share * total))
    start = total - n
    times = max(0, done // every - start // every)
    return max(0.0, 1 - times * (1 if decay == "code" else every) / n)


def halved_every(step: int, period: int) -> float:
    """Multiplier of the learning rate after `step` iterations: 0.5^((step + 1) // period). The code of MUNIT and UNIT
    steps its schedule before the updates of an iteration, so the rate falls one iteration early."""
    return float(0.5 ** ((step + 1) // period))


def falling_in_second_half(step: int, total: int) -> float:
    """Multiplier of the learning rate after `step` of `total` iterations: 1 in the first half, then less by 2 / total
    before each further one, down to 0 in the last (the codes of U-GAT-IT and NICE-GAN)."""
    half = max(1, total // 2)
    return max(0.0, 1.0 - max(0, step + 1 - half) / half)


def constant_then_linear(epoch: int, constant: float, falling: float) -> float:
    """The share of the learning rate in an epoch, counted from 0, of `constant` + `falling` epochs.

    1, then 1 - max(0, epoch + 1 - constant) / (falling + 1) as in the code of CycleGAN and CUT: it never reaches 0.
    """
    return 1.0 - max(0.0, epoch + 1 - constant) / (falling + 1)
