"""The table of metrics. Reading it imports neither torch nor SciPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bench.core.errors import unknown
from bench.metrics.data import Value

if TYPE_CHECKING:
    from bench.metrics.measurement import Measurement

Better = Literal["lower", "higher"] | None


@dataclass(frozen=True)
class Metric:
    """What a column of the leaderboard is.

    name     says exactly what is computed, the network included
    version  raised whenever the same images would give another number
    better   None where neither direction is a merit (context, diagnosis)
    range    smallest and largest possible value, in units of the stored value
    needs    pre-trained networks by their names in bench.metrics.weights
    trains   kind of the artifact whose network, trained on the data set, gives the value; "": there is none
    scale    people are shown value * scale; records store the value itself
    default  whether a run measures it unless told otherwise; not so where it is slow, or not computed from images
    """

    name: str
    version: int
    better: Better
    range: tuple[float, float]
    needs: tuple[str, ...]
    scale: float
    summary: str
    compute: Callable[[Measurement], Value]
    default: bool = True
    trains: str = ""


METRICS: dict[str, Metric] = {}


def metric(
    *,
    better: Better,
    range: tuple[float, float],
    needs: tuple[str, ...] = (),
    version: int = 1,
    scale: float = 1.0,
    default: bool = True,
    trains: str = "",
) -> Callable[[Callable[[Measurement], Value]], Callable[[Measurement], Value]]:
    """Registers a function under its own name; the first line of its docstring is the summary."""

    def add(compute: Callable[[Measurement], Value]) -> Callable[[Measurement], Value]:
        name = compute.__name__
        if name in METRICS:
            raise ValueError(f"two metrics are called {name!r}")
        if better not in ("lower", "higher", None) or range[0] >= range[1]:
            raise ValueError(f"metric {name!r}: better={better!r}, range={range!r}")
        summary = (compute.__doc__ or "").strip().split("\n")[0]
        METRICS[name] = Metric(name, version, better, range, needs, scale, summary, compute, default, trains)
        return compute

    return add


def default_names() -> tuple[str, ...]:
    """The metrics that a run measures unless told otherwise."""
    return tuple(name for name, entry in METRICS.items() if entry.default)


def find(name: str) -> Metric:
    """The metric of this name. An unknown one is a UserError with the nearest name."""
    if name not in METRICS:
        raise unknown("metric", name, METRICS)
    return METRICS[name]
