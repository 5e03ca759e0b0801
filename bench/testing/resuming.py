"""Training that is stopped, goes through a file and goes on."""

import io
from typing import Any

import torch
from torch import Tensor

from bench.testing.case import STEPS, Case, Make, equal


def resumes(make: Make, more: dict[str, Any] | None = None) -> None:
    """Asserts that a training which is saved, loaded and continued equals one that was never stopped, and, where the
    discriminators see augmented images, that they all do. `more` changes fields of the Config."""
    whole, first, again = make(more=more), make(more=more), make(more=more)
    reached: set[str] = set()
    reported: set[str] = set()
    for case in (whole, first):
        _augment_often(case, reached, reported)
    whole.train(0, 2 * STEPS)
    first.train(0, STEPS)
    random = torch.get_rng_state()
    buffer = io.BytesIO()
    torch.save(first.method.state_dict(), buffer)
    buffer.seek(0)
    again.method.load_state_dict(torch.load(buffer, weights_only=True))
    torch.set_rng_state(random)
    again.train(STEPS, 2 * STEPS)
    assert equal(whole.parameters(), again.parameters())
    augmentation = whole.method.augmentation
    if augmentation is not None:
        missed, silent = set(augmentation.networks) - reached, set(augmentation.adaptive) - reported
        assert not missed, f"images do not reach {missed} through the modules in `discriminators`"
        assert not silent, f"no scores of real images are reported for {silent}; call self.saw_real"


def _augment_often(case: Case, reached: set[str], reported: set[str]) -> None:
    """Starts ADA at a probability of one half; notes which discriminators get images through the augmentation, and of
    which the scores of real images are reported."""
    augmentation = case.method.augmentation
    if augmentation is None:
        return
    for state in augmentation.adaptive.values():
        state.p = 0.5
    plain_augment, plain_saw_real = augmentation.augment, augmentation.saw_real

    def augment(images: list[Tensor], network: str) -> list[Tensor]:
        reached.add(network)
        return plain_augment(images, network)

    def saw_real(network: str, scores: Tensor) -> None:
        reported.add(network)
        plain_saw_real(network, scores)

    augmentation.augment = augment  # type: ignore[method-assign]
    augmentation.saw_real = saw_real  # type: ignore[method-assign]
