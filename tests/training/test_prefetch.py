"""Prefetched batches are the same batches, after a resume too."""

import threading
from collections.abc import Mapping

import numpy as np
import pytest
import torch

from bench.testing import tiny_task
from bench.training.augment import Augment
from bench.training.compute import Compute
from bench.training.prefetch import Prefetch, batches
from bench.training.sampler import Batch, Sampler, Stream

CPU = Compute.choose("cpu")
TOTAL = 12


def sampler() -> Sampler:
    augment = Augment(crop_scale=(0.5, 1.0), load_size=18, flip=True)
    streams = {"x": Stream("source", 3, augment=augment), "y": Stream("target", 4, "balanced", augment)}
    return Sampler(streams, tiny_task(), 7, CPU)


def equal(found: Mapping[str, Batch], wanted: Mapping[str, Batch]) -> bool:
    fields = ("image", "label", "index")
    return all(torch.equal(getattr(found[k], f), getattr(wanted[k], f)) for k in wanted for f in fields)


@pytest.mark.parametrize("first", [0, 5, TOTAL - 1])  # 0: a whole run; else one that goes on from a checkpoint
def test_the_batch_of_a_step_is_the_one_drawn_without_prefetching(first: int) -> None:
    plain = sampler()
    with Prefetch(sampler(), TOTAL, CPU) as ahead:
        for step in range(first, TOTAL):
            assert equal(ahead.batch(step), plain.batch(step))


def test_steps_may_come_in_any_order() -> None:
    plain = sampler()
    with Prefetch(sampler(), TOTAL, CPU) as ahead:
        for step in (3, 3, 9, 0, 1):
            assert equal(ahead.batch(step), plain.batch(step))


class Recorded:
    """Draws that tell who asked for what."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.threads: set[int] = set()
        self.second = threading.Event()

    def batch(self, step: int) -> dict[str, Batch]:
        self.asked.append(step)
        self.threads.add(threading.get_ident())
        if step == 1:
            self.second.set()
        return {"x": Batch(torch.zeros(1), torch.zeros(1), torch.from_numpy(np.array([step])))}


def test_the_next_batch_is_made_while_this_one_is_used_and_none_after_the_last() -> None:
    draws = Recorded()
    with Prefetch(draws, 2, CPU) as ahead:
        ahead.batch(0)
        assert draws.second.wait(10)  # nobody has asked for it yet
        assert ahead.batch(1)["x"].index.item() == 1
    assert draws.asked == [0, 1]
    assert draws.threads.isdisjoint({threading.get_ident()})


def test_what_fails_in_the_thread_is_raised_where_the_batch_is_asked_for() -> None:
    class Broken:
        def batch(self, step: int) -> dict[str, Batch]:
            raise OSError("the bank is gone")

    with Prefetch(Broken(), 5, CPU) as ahead, pytest.raises(OSError, match="the bank is gone"):
        ahead.batch(0)


def test_a_cpu_prefetches_nothing() -> None:
    draws = Recorded()
    with batches(draws, 5, CPU) as plain:
        assert plain is draws
