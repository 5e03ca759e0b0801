"""Which part of every batch one call of train_step sees, where several processes or several turns share a batch.

Processes (`Ranks`) each see a part at the same time: data parallel training on several GPUs. Turns see theirs one after
another: accumulated gradients, for less memory. A part is the same rows of every batch either way.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from bench.training.ranks import ALONE, Ranks

T = TypeVar("T")


_running: "tuple[Turns, int] | None" = None  # whose turn it is


def as_in_first_turn(owner: object, act: Callable[[], T]) -> T:
    """act(); where the parts of a batch take turns, what it returned in the first turn, call by call of this owner. For
    a state that moves with each pass, such as the vectors of spectral norm, which a batch shall move once. Where a pass
    is repeated for its activations (bench.training.recompute), what it returned in the first pass."""
    if _repeated is not None:
        return cast(T, _repeated[id(owner)].pop(0))
    made = act() if _running is None else _running[0].replayed(_running[1], id(owner), act)
    if _recorded is not None:
        _recorded.setdefault(id(owner), []).append(made)
    return made


_recorded: dict[int, list[Any]] | None = None  # by owner: what as_in_first_turn returns in this pass
_repeated: dict[int, list[Any]] | None = None  # and what it shall return


@contextmanager
def recorded(made: dict[int, list[Any]]) -> Iterator[None]:
    """Inside, `made` gathers what as_in_first_turn returns to each owner."""
    global _recorded
    before, _recorded = _recorded, made
    try:
        yield
    finally:
        _recorded = before


@contextmanager
def repeated(made: dict[int, list[Any]]) -> Iterator[None]:
    """Inside, as_in_first_turn returns what was `made`, in the same order, and does nothing."""
    global _repeated
    before, _repeated = _repeated, {owner: list(values) for owner, values in made.items()}
    try:
        yield
    finally:
        _repeated = before


class Turns:
    """Calls of which one runs at a time, each in a thread of its own: where they `meet`, each waits for the others."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._condition = threading.Condition()
        self._turn = 0
        self._failed = False
        self._result: Any = None
        self.parts: dict[int, Tensor] = {}  # what each call brings to a meeting
        self._made: dict[int, list[Any]] = {}  # by owner: see as_in_first_turn
        self._replays: Counter[tuple[int, int]] = Counter()  # of each turn and owner

    def run(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """What each call returns. Raises what the first one raised that failed."""
        global _running
        try:
            with ThreadPoolExecutor(self.count, "part") as threads:
                futures = [threads.submit(self._call, number, call) for number, call in enumerate(calls)]
        finally:
            _running = None
        errors = [error for future in futures if (error := future.exception()) is not None]
        for error in sorted(errors, key=lambda error: isinstance(error, _Abandoned)):
            raise error
        return [future.result() for future in futures]

    def meet(self, number: int, act: Callable[[], T]) -> T:
        """Lets the other calls come as far; the last one does `act`, and all get what it returns."""
        if number == self.count - 1:
            self._result = act()
        self._pass_on(number)
        self._await(number)
        return cast(T, self._result)

    def replayed(self, number: int, owner: int, act: Callable[[], T]) -> T:
        """See as_in_first_turn."""
        made, call = self._made.setdefault(owner, []), self._replays[number, owner]
        self._replays[number, owner] += 1
        if number == 0:
            made.append(act())
        return cast(T, made[call])

    def _call(self, number: int, call: Callable[[], T]) -> T:
        try:
            self._await(number)
            result = call()
        except BaseException:
            with self._condition:
                self._failed = True
                self._condition.notify_all()
            raise
        self._pass_on(number)
        return result

    def _await(self, number: int) -> None:
        global _running
        with self._condition:
            self._condition.wait_for(lambda: self._failed or self._turn == number)
            if self._failed:
                raise _Abandoned
            _running = self, number

    def _pass_on(self, number: int) -> None:
        with self._condition:
            self._turn = (number + 1) % self.count
            self._condition.notify_all()


class _Abandoned(Exception):
    """Another part has failed."""


@dataclass(frozen=True)
class Share:
    """One part of the batches: turn `turn` of this process, one of its `ranks`."""

    ranks: Ranks = ALONE
    turn: int = 0
    turns: Turns | None = None

    @property
    def in_process(self) -> int:
        """Parts that this process sees, one after another."""
        return self.turns.count if self.turns else 1

    @property
    def count(self) -> int:
        """Parts of a batch, over all processes."""
        return self.ranks.count * self.in_process

    @property
    def number(self) -> int:
        """Where this part stands among all parts of a batch; the first is 0."""
        return self.ranks.number * self.in_process + self.turn

    def once(self, act: Callable[[], T]) -> T:
        """act() when all turns have come as far; all get what it returns. Every process does it."""
        return self.turns.meet(self.turn, act) if self.turns else act()

    def whole(self, part: Tensor, blocks: int = 1) -> Tensor:
        """The rows of all parts, in the order of the whole batch; without gradients."""
        rows = self._gathered(part.detach())
        return rows.unflatten(0, (self.count, blocks, -1)).transpose(0, 1).flatten(0, 2)

    def own(self, whole: Tensor, blocks: int = 1) -> Tensor:
        """The rows of this part, out of those of the whole batch."""
        return rows_of_part(whole, self.number, self.count, blocks)

    def _gathered(self, part: Tensor) -> Tensor:
        if self.turns is None:
            return self.ranks.gather(part)
        parts = self.turns.parts
        parts[self.turn] = part
        return self.once(lambda: self.ranks.gather(torch.cat([parts[turn] for turn in range(len(parts))])))


def rows_of_part(whole: Tensor, number: int, count: int, blocks: int) -> Tensor:
    """One of `count` equal parts of the rows of a tensor: the same rows of each of its equal blocks."""
    return whole.unflatten(0, (blocks, count, -1))[:, number].flatten(0, 1)
