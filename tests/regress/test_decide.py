"""The rule keeps its promise: how often it is wrong about unchanged code, and what it finds."""

import numpy as np
import pytest
from scipy import stats

from bench.regress.decide import FLOOR, Rule, decide, floor, mean, spread

CHECKS = 4000
SEEDS = 2


def alarms(checks: int, comparisons: int, n: int, shift: float = 0.0, error: float = 0.01, seed: int = 0) -> np.ndarray:
    """bool (checks, comparisons): simulated checks of normal values that lie `shift` spreads above the baseline's."""
    rng = np.random.default_rng(seed)
    rule = Rule(error, comparisons, {})
    found = np.zeros((checks, comparisons), bool)
    for i in range(checks):
        baseline, now = rng.normal(5, 1, (comparisons, n)), rng.normal(5 + shift, 1, (comparisons, SEEDS))
        found[i] = [decide("loss/a", b.tolist(), x.tolist(), rule).failed for b, x in zip(baseline, now)]
    return found


@pytest.mark.parametrize("n", [5, 12])
def test_the_false_alarm_rate_of_a_whole_check_is_the_stated_one(n: int) -> None:
    """Independent values: Bonferroni's 10 % are 1 - (1 - 0.1 / 20)^20 = 9.5 % of the checks."""
    found = alarms(CHECKS, 20, n, error=0.1)
    expected = 1 - (1 - 0.1 / 20) ** 20
    wrong = int(found.any(axis=1).sum())
    low, high = stats.binom.ppf([0.0005, 0.9995], CHECKS, expected)
    assert low <= wrong <= high
    assert wrong / CHECKS <= 0.1 + 3.3 * np.sqrt(0.1 * 0.9 / CHECKS)


def test_dependent_values_raise_fewer_alarms_not_more() -> None:
    rng = np.random.default_rng(1)
    rule = Rule(0.1, 20, {})
    wrong = 0
    for _ in range(CHECKS):
        baseline, now = rng.normal(5, 1, 12), rng.normal(5, 1, SEEDS)
        wrong += any(decide("loss/a", (c * baseline).tolist(), (c * now).tolist(), rule).failed for c in range(1, 21))
    assert wrong / CHECKS < 0.05


@pytest.mark.parametrize("tails", ["lognormal", "t5"])
def test_a_second_look_makes_up_for_tails_that_are_not_normal(tails: str) -> None:
    """The rates of the docstring of decide.py: 12 and 18 % at the first look, below 0.2 % after the second."""
    rng = np.random.default_rng(3)
    n, k, checks = 16, 160, 3000
    allowed = Rule(0.01, k, {}).quantile(n) * np.sqrt(1 / SEEDS + 1 / n)
    first = confirmed = 0
    for _ in range(10):
        shape = (checks // 10, k, n + 2 * SEEDS)
        values = np.exp(0.3 * rng.normal(size=shape)) if tails == "lognormal" else rng.standard_t(5, shape)
        base, looks = values[..., :n], (values[..., n : n + SEEDS], values[..., n + SEEDS :])
        moved = [(x.mean(-1) - base.mean(-1)) / base.std(-1, ddof=1) for x in looks]
        first += int((np.abs(moved[0]) > allowed).any(1).sum())
        same_side = (moved[0] > 0) == (moved[1] > 0)
        confirmed += int(((np.abs(moved[0]) > allowed) & (np.abs(moved[1]) > allowed) & same_side).any(1).sum())
    assert 0.09 < first / checks < 0.21
    assert confirmed / checks < 0.005


@pytest.mark.parametrize("shift", [4.0, 6.0])
def test_the_power_is_that_of_the_noncentral_t_distribution(shift: float) -> None:
    n, k, checks = 12, 150, 400
    found = alarms(checks, k, n, shift).ravel()
    q = stats.t.ppf(1 - 0.01 / (2 * k), n - 1)
    expected = stats.nct.sf(q, n - 1, shift / np.sqrt(1 / SEEDS + 1 / n))
    # The values of one simulated check are independent here, but do not lean on it: five errors of the whole mean.
    assert abs(found.mean() - expected) < 5 * np.sqrt(expected * (1 - expected) / found.size)
    assert (0.25 < expected < 0.45) if shift == 4.0 else expected > 0.75


def test_seeds_of_the_baseline_itself_can_never_raise_an_alarm() -> None:
    """The mean of m of n numbers is at most sqrt((n - m)(n - 1) / nm) spreads from the mean of all."""
    rng = np.random.default_rng(2)
    rule = Rule(0.01, 150, {})
    for n in (5, 8, 12):
        limit = np.sqrt((n - SEEDS) * (n - 1) / (n * SEEDS))
        for _ in range(200):
            values = rng.standard_cauchy(n).tolist()  # as wild as can be
            d = decide("loss/a", values, values[:SEEDS], rule)
            assert abs(d.moved) <= limit + 1e-9 < d.allowed


def test_mean_and_spread_are_numpys() -> None:
    values = [3.0, 1.5, 8.25, -2.0, 0.5]
    assert mean(values) == pytest.approx(np.mean(values))
    assert spread(values) == pytest.approx(np.std(values, ddof=1))


def test_by_hand() -> None:
    """Baseline 1, 2, 3, 4, 5: mean 3, spread sqrt(2.5). Two seeds at 9 and 11: 7 / sqrt(2.5) = 4.427 spreads.

    Allowed for one comparison at 5 %: t(4) at 0.975 is 2.776; times sqrt(1/2 + 1/5) = 2.323.
    """
    d = decide("loss/a", [1, 2, 3, 4, 5], [9, 11], Rule(0.05, 1, {}))
    assert (d.mean, d.now) == (3, 10)
    assert d.moved == pytest.approx(4.427, abs=1e-3)
    assert d.allowed == pytest.approx(2.323, abs=1e-3)
    assert d.verdict == "moved"


BASE = [10.0, 10.1, 9.9, 10.05, 9.95]


@pytest.mark.parametrize(
    ("name", "now", "verdict"),
    [
        ("fd_effnet", 20.0, "worse"),  # lower is better
        ("fd_effnet", 1.0, "better"),
        ("psnr_truth", 20.0, "better"),  # higher is better
        ("psnr_truth", 1.0, "worse"),
        ("nn_ratio", 20.0, "moved"),  # neither
        ("nn_ratio", 1.0, "moved"),
        ("loss/D", 1.0, "moved"),
        ("cost/speed", 1.0, "worse"),
        ("cost/speed", 20.0, "better"),
        ("cost/memory", 20.0, "worse"),
        ("cost/memory", 1.0, "better"),
        ("fd_effnet", 10.02, "fine"),
    ],
)
def test_directions(name: str, now: float, verdict: str) -> None:
    d = decide(name, BASE, [now, now], Rule(0.01, 10, {}))
    assert d.verdict == verdict
    assert d.failed == (verdict in ("worse", "moved"))


def test_a_tolerance_widens_what_the_spread_allows() -> None:
    rule = Rule(0.01, 10, {"cost/speed": 0.3})
    assert decide("cost/speed", BASE, [7.1, 7.1], rule).verdict == "fine"
    assert decide("cost/speed", BASE, [6.9, 6.9], rule).verdict == "worse"
    assert decide("cost/memory", BASE, [13.0, 13.0], rule).verdict == "worse"


def test_where_all_seeds_agree_rounding_is_no_move_and_one_image_in_400_is_not_either() -> None:
    rule = Rule(0.01, 100, {})
    same = [0.25] * 8
    assert decide("loss/a", same, [0.25 * (1 + 1e-6)] * 2, rule).verdict == "fine"
    assert decide("loss/a", same, [0.35] * 2, rule).verdict == "moved"
    assert decide("target_share", [0.0] * 8, [1 / 382, 0.0], rule).verdict == "fine"
    assert decide("target_share", [1.0] * 8, [0.5, 0.5], rule).verdict == "worse"
    assert decide("loss/off", [0.0] * 8, [0.1, 0.1], rule).verdict == "moved"
    assert floor("loss/a", -2.0) == 2 * FLOOR
