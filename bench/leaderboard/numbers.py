"""Numbers of tables as text: never an exponent, never a minus zero."""

from decimal import Decimal
from math import floor, isnan, log10

from bench.metrics import METRICS
from bench.statistics.estimate import Estimate

ROUNDING = 1e-9


def name(metric: str) -> str:
    """`kd_effnet x1000 ↓`: the factor by which values are shown, and which direction is better."""
    known = METRICS.get(metric)
    times = f" x{known.scale:g}" if known and known.scale != 1 else ""
    return metric + times + {"lower": " ↓", "higher": " ↑"}.get((known.better if known else "") or "", "")


def scale(metric: str) -> float:
    return METRICS[metric].scale if metric in METRICS else 1.0


def value(estimate: Estimate, times: float) -> str:
    """`12.3 ± 1.4`: the interval with two digits, the mean to the same decimal. Only the mean where there is none."""
    mean, half = estimate.mean * times, estimate.half * times
    if isnan(half):
        return number(mean)
    if half < ROUNDING:
        return f"{number(mean)} ± 0"
    decimals = max(0, 1 - floor(log10(half)))
    return f"{_no_minus_zero(f'{mean:.{decimals}f}')} ± {half:.{decimals}f}"


def number(x: float, digits: int = 3) -> str:
    """Significant digits without an exponent: 0.0123, 1230, -4.56; what is smaller than 1e-9 is rounding, so 0."""
    return f"{Decimal(f'{x if abs(x) >= ROUNDING else 0.0:.{digits}g}'):f}"


def _no_minus_zero(text: str) -> str:
    return text.removeprefix("-") if float(text) == 0 else text
