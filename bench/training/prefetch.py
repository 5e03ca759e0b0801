"""The next batch, made while the device works on this one."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Protocol

import torch

from bench.training.compute import Compute
from bench.training.sampler import Batch

Batches = Mapping[str, Batch]


class Draws(Protocol):
    def batch(self, step: int) -> Batches: ...


def batches(draws: Draws, total: int, compute: Compute) -> AbstractContextManager[Draws]:
    """Batches are prefetched on a GPU, and not on a CPU, whose cores have a run each."""
    return Prefetch(draws, total, compute) if compute.device.type == "cuda" else nullcontext(draws)


class Prefetch:
    """A sampler's batches, each made one step ahead by a thread, and on a GPU on a stream of its own.

    The batch of a step depends on the step alone, so it is the same as without prefetching, also after a resume. A
    context: its end waits for the thread.
    """

    def __init__(self, draws: Draws, total: int, compute: Compute) -> None:
        self.draws, self.total = draws, total
        on_gpu = compute.device.type == "cuda"
        self._stream = torch.cuda.Stream(compute.device) if on_gpu else None
        self._thread = ThreadPoolExecutor(1, "prefetch")
        self._next: tuple[int, Future[Batches]] | None = None

    def batch(self, step: int) -> Batches:
        """The batch of this step; what making it raised is raised here."""
        if self._next is None or self._next[0] != step:
            self._begin(step)
        assert self._next is not None
        made = self._next[1].result()
        if self._stream is not None:
            self._hand_over(made)
        self._next = None
        if step + 1 < self.total:
            self._begin(step + 1)
        return made

    def _begin(self, step: int) -> None:
        self._next = step, self._thread.submit(self._draw, step)

    def _draw(self, step: int) -> Batches:
        with torch.cuda.stream(self._stream):  # does nothing where there is none
            return self.draws.batch(step)

    def _hand_over(self, batches: Batches) -> None:
        """What follows on the stream of training comes after the making; the memory stays theirs until then."""
        training = torch.cuda.current_stream(self._stream.device if self._stream else None)
        training.wait_stream(self._stream)  # type: ignore[arg-type]
        for batch in batches.values():
            for tensor in (batch.image, batch.label, batch.index):
                tensor.record_stream(training)

    def __enter__(self) -> "Prefetch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)
