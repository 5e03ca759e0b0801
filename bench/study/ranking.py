"""From choices to percentages and to the Bradley-Terry ranking."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.metrics.intervals import Z, share


@dataclass(frozen=True)
class Choice:
    """One answer: `winner` was chosen among `options` (positions in the list of methods; winner is one of them)."""

    options: tuple[int, ...]
    winner: int


@dataclass(frozen=True)
class Preference:
    """How often a method was chosen when it was shown: percent in [0, 100], with Wilson's 95 % interval."""

    percent: float
    low: float
    high: float
    shown: int
    chosen: int


@dataclass(frozen=True)
class Worth:
    """Bradley-Terry log worth (natural logarithm, mean zero over methods) and its 95 % interval."""

    value: float
    low: float
    high: float


VIRTUAL = 0.5  # wins each way that every pair of methods starts with: keeps the worth of an unbeaten method finite


def preferences(choices: Sequence[Choice], methods: int) -> list[Preference | None]:
    """One entry a method; None where it was never shown.

    The interval takes answers as independent; answers of one participant are not quite.
    """
    entries: list[Preference | None] = []
    for method in range(methods):
        hits = np.array([choice.winner == method for choice in choices if method in choice.options])
        if not len(hits):
            entries.append(None)
            continue
        rate = share(hits, len(hits))
        assert rate.value is not None and rate.low is not None and rate.high is not None
        entries.append(Preference(100 * rate.value, 100 * rate.low, 100 * rate.high, len(hits), int(hits.sum())))
    return entries


def bradley_terry(choices: Sequence[Choice], methods: int, virtual: float = VIRTUAL) -> list[Worth]:
    """Maximum likelihood of P(i chosen among S) = w_i / sum of w over S (Bradley and Terry 1952; Luce 1959).

    By the minorisation of Hunter 2004 (section 5, first choices only): w_i <- wins_i / sum over the questions that
    show i of 1 / sum of w. Intervals come from the inverse Fisher information of log w in the mean-zero space.
    """
    sets, counts, wins = _tally(choices, methods, virtual)
    w = np.ones(methods)
    for _ in range(10_000):
        rates = counts / (sets @ w)
        new = wins / (sets.T @ rates)
        new /= np.exp(np.log(new).mean())
        done = np.abs(np.log(new / w)).max() < 1e-12
        w = new
        if done:
            break
    p = sets * w / (sets @ w)[:, None]
    information = np.diag((counts[:, None] * p).sum(0)) - p.T @ (counts[:, None] * p)
    error = Z * np.sqrt(np.clip(np.diag(np.linalg.pinv(information)), 0, None))
    return [Worth(float(v), float(v - e), float(v + e)) for v, e in zip(np.log(w), error)]


def _tally(choices: Sequence[Choice], methods: int, virtual: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sets of options as rows of 0/1 (m, methods), how often each was asked (m,), and wins (methods,)."""
    asked: dict[tuple[int, ...], float] = {}
    wins = np.zeros(methods)
    for choice in choices:
        key = tuple(sorted(choice.options))
        asked[key] = asked.get(key, 0.0) + 1.0
        wins[choice.winner] += 1.0
    if virtual:
        for i in range(methods):
            for j in range(i):
                asked[j, i] = asked.get((j, i), 0.0) + 2 * virtual
        wins += virtual * (methods - 1)
    keys = sorted(asked)
    sets = np.zeros((len(keys), methods))
    for row, key in enumerate(keys):
        sets[row, list(key)] = 1.0
    return sets, np.array([asked[key] for key in keys]), wins
