"""Percentages against statsmodels-like closed forms by hand; the ranking against a general optimiser."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import binomtest

from bench.study.ranking import Choice, bradley_terry, preferences


def duels(wins: dict[tuple[int, int], int]) -> list[Choice]:
    """(winner, loser) -> how often."""
    return [Choice((a, b), a) for (a, b), n in wins.items() for _ in range(n)]


def test_percentages_with_the_interval_of_scipy() -> None:
    first, second = preferences(duels({(0, 1): 83, (1, 0): 17}), 2)
    assert first is not None and second is not None
    expected = binomtest(83, 100).proportion_ci(method="wilson")
    assert first.percent == pytest.approx(83) and second.percent == pytest.approx(17)
    assert (first.low, first.high) == pytest.approx((100 * expected.low, 100 * expected.high))
    assert (first.shown, first.chosen) == (100, 83)


def test_a_method_that_was_never_shown_has_no_percentage() -> None:
    assert preferences(duels({(0, 1): 1}), 3)[2] is None


def test_two_methods_have_the_odds_as_worth() -> None:
    """The likelihood of 30 to 10 is largest at w0 / w1 = 3."""
    found = bradley_terry(duels({(0, 1): 30, (1, 0): 10}), 2, virtual=0)
    assert found[0].value - found[1].value == pytest.approx(np.log(3), abs=1e-9)
    # The variance of a log odds ratio is 1/30 + 1/10; each mean-zero worth is half of it.
    half = 1.959964 * np.sqrt(1 / 30 + 1 / 10) / 2
    assert found[0].high - found[0].value == pytest.approx(half, rel=1e-5)


def test_more_methods_and_three_choices_against_a_general_optimiser() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([0.8, 0.1, -0.3, -0.6])
    choices = []
    for _ in range(400):
        options = tuple(int(i) for i in rng.permutation(4)[: rng.integers(2, 4)])
        p = np.exp(truth[list(options)])
        choices.append(Choice(options, options[rng.choice(len(options), p=p / p.sum())]))

    def loss(worth: np.ndarray) -> float:
        return -sum(worth[c.winner] - np.log(np.exp(worth[list(c.options)]).sum()) for c in choices)

    best = minimize(loss, np.zeros(4), tol=1e-12).x
    found = [worth.value for worth in bradley_terry(choices, 4, virtual=0)]
    assert found == pytest.approx(best - best.mean(), abs=1e-4)


def test_an_unbeaten_method_has_a_finite_worth_and_leads() -> None:
    found = bradley_terry(duels({(0, 1): 20, (1, 2): 20, (0, 2): 20}), 3)
    values = [worth.value for worth in found]
    assert values[0] > values[1] > values[2] and np.isfinite(values).all()


def test_the_order_of_answers_changes_nothing() -> None:
    choices = duels({(0, 1): 7, (1, 0): 5, (1, 2): 9, (2, 0): 4})
    assert bradley_terry(choices, 3) == bradley_terry(choices[::-1], 3)
