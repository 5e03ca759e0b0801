"""The questions of a study: balanced over pairs of methods and over the side on which each is shown."""

from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from bench.core.errors import UserError


@dataclass(frozen=True)
class Question:
    """One choice between translations of one source.

    id       opaque: nothing in it tells the methods
    source   position among the held-out sources
    options  positions in the list of methods, in the order shown
    right    for an attention check the position (in `options`) of the only intact image; None for a real question
    """

    id: str
    source: int
    options: tuple[int, ...]
    right: int | None = None


def design(
    methods: int, sources: int, questions: int, per_user: int, choices: int, checks: int, seed: int
) -> list[list[Question]]:
    """Blocks of questions; a participant answers one block: `per_user` real questions and `checks` attention checks.

    Every combination of `choices` methods is asked equally often (within one), and so is every order of showing it.
    No source is asked twice before every source was asked once. Raises UserError for sizes that cannot be.
    """
    _check(methods, sources, questions, per_user, choices, checks)
    rng = np.random.default_rng(seed)
    shown = _orders(methods, choices, questions, rng)
    asked = _cycle(sources, questions, rng)
    real = [Question(_opaque(rng), source, options) for source, options in zip(asked, shown)]
    blocks = []
    for start in range(0, questions, per_user):
        block = real[start : start + per_user]
        block = [block[i] for i in rng.permutation(len(block))]
        for _ in range(checks):
            block.insert(int(rng.integers(1, len(block) + 1)), _check_question(methods, sources, choices, rng))
        blocks.append(block)
    return blocks


def _check(methods: int, sources: int, questions: int, per_user: int, choices: int, checks: int) -> None:
    if methods < 2:
        raise UserError("a study compares at least two runs; name more of them after --runs")
    if not 2 <= choices <= min(3, methods):
        raise UserError(f"--choices {choices}: 2 or 3, and at most the number of runs ({methods})")
    if questions < 1 or per_user < 1 or questions % per_user:
        raise UserError(f"--questions {questions} must be a multiple of --per-user {per_user}, both at least 1")
    if checks < 0:
        raise UserError(f"--checks {checks}: at least 0")
    if sources < 1:
        raise UserError("the runs have no held-out sources to ask about")


def _orders(methods: int, choices: int, questions: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """One tuple of methods a question. Consecutive questions go through all combinations, so blocks are balanced."""
    groups = [list(permutations(group)) for group in combinations(range(methods), choices)]
    turns = [[orders[i] for i in rng.permutation(len(orders))] for orders in groups]
    start = rng.permutation(len(groups))
    chosen = []
    for number in range(questions):
        round_, place = divmod(number, len(groups))
        orders = turns[start[place]]
        chosen.append(orders[round_ % len(orders)])
    return chosen


def _cycle(n: int, length: int, rng: np.random.Generator) -> list[int]:
    rounds = [rng.permutation(n) for _ in range(-(-length // n))]
    return [int(i) for i in np.concatenate(rounds)[:length]]


def _check_question(methods: int, sources: int, choices: int, rng: np.random.Generator) -> Question:
    method, right = int(rng.integers(methods)), int(rng.integers(choices))
    return Question(_opaque(rng), int(rng.integers(sources)), (method,) * choices, right)


def _opaque(rng: np.random.Generator) -> str:
    return rng.bytes(8).hex()
