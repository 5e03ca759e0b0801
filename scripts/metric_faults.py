"""Which metric sees which fault? Four generators simulated in feature space, measured by the metrics themselves.

    python scripts/metric_faults.py        # the table of docs/metrics-explained.md

Real features are a normal sample in 256 dimensions whose standard deviations fall as 1 / sqrt(rank): 125 held-out ones,
125 training ones, 125 outputs. A generator is one of

    perfect    another sample of the same distribution
    copier     the training features, each moved by 2 % of a standard deviation
    collapsed  8 outputs of a perfect one, repeated, each moved by 5 %
    shrunken   a perfect one whose deviations from the mean are 0.75 of what they should be
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import bench.metrics.catalogue  # noqa: F401 (registers the metrics)
from bench.metrics.data import Images, Outputs, Reference, Undefined
from bench.metrics.measurement import Measurement
from bench.metrics.registry import METRICS

N = 125  # outputs, held-out images, training images
DIMENSION = 256
DRAWS = 20
SCALE = 1 / np.sqrt(np.arange(1, DIMENSION + 1))

Generator = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # training features, rng -> outputs


def real(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(0, SCALE, (N, DIMENSION))


def copier(training: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return training + 0.02 * real(rng)


def collapsed(training: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.resize(real(rng)[:8], (N, DIMENSION)) + 0.05 * real(rng)


GENERATORS: dict[str, Generator] = {
    "perfect": lambda training, rng: real(rng),
    "copier": copier,
    "collapsed": collapsed,
    "shrunken": lambda training, rng: 0.75 * real(rng),
}


class Simulated(Measurement):
    """A measurement of features that no network made; its images are noise, so that they differ."""

    def __init__(self, seed: int, generator: Generator) -> None:
        rng = np.random.default_rng(seed)
        noise = rng.integers(0, 256, (N, 3, 4, 4), dtype=np.uint8)
        images, nothing = Images(noise, np.full(N, -1)), Images(noise[:0], np.full(0, -1))
        super().__init__(Outputs(noise, images.labels), Reference(images, images, nothing), "cpu", lambda _: None)
        self._parts = {"reference": real(rng), "target_train": real(rng)}
        self._parts["outputs"] = generator(self._parts["target_train"], rng)

    def _features(self, network: str, part: str) -> np.ndarray:
        if part not in self._parts:
            raise Undefined(f"{part} is not simulated")
        return self._parts[part]


@dataclass(frozen=True)
class FaultCell:
    """The values of one metric for one generator, one a draw, and what sets them apart from the perfect one's.

    mark  "seen": the middle 90 % of both do not overlap, and the fault is the worse one (or, where neither direction
          of a metric is a merit, it differs); "fooled": they do not overlap, and the fault is the better one; "" else
    """

    values: np.ndarray
    mark: str = ""


def table() -> dict[str, dict[str, FaultCell]]:
    """Metric -> generator -> FaultCell, of every metric that needs EfficientNet-Lite0 features alone and no labels."""
    cells: dict[str, dict[str, FaultCell]] = {}
    for name, metric in METRICS.items():
        if metric.needs == ("effnet-lite0",) and metric.default:
            cells[name] = {}
    for generator, make in GENERATORS.items():
        values: dict[str, list[float]] = {name: [] for name in cells}
        for seed in range(DRAWS):
            simulated = Simulated(seed, make)
            for name in cells:
                try:
                    value = METRICS[name].compute(simulated).value
                except Undefined:
                    continue
                assert value is not None
                values[name].append(value)
        for name in cells:
            if len(values[name]) == DRAWS:
                cells[name][generator] = FaultCell(np.array(values[name]))
    return {name: _marked(name, row) for name, row in cells.items() if "perfect" in row}


def _marked(name: str, row: dict[str, FaultCell]) -> dict[str, FaultCell]:
    perfect, better = row["perfect"].values, METRICS[name].better
    return {g: c if g == "perfect" else FaultCell(c.values, mark(c.values, perfect, better)) for g, c in row.items()}


def mark(fault: np.ndarray, perfect: np.ndarray, better: str | None) -> str:
    (low, high), (floor, ceiling) = np.percentile(fault, [5, 95]), np.percentile(perfect, [5, 95])
    if low <= ceiling and floor <= high:
        return ""
    lower = high < floor
    return "fooled" if better is not None and lower == (better == "lower") else "seen"


def markdown() -> str:
    """The table of docs/metrics-explained.md: mean over draws, the perfect generator's with its standard deviation."""
    lines = [f"| metric | {' | '.join(GENERATORS)} |", "|---" * (len(GENERATORS) + 1) + "|"]
    for name, row in table().items():
        known = METRICS[name]
        arrow = {"lower": " ↓", "higher": " ↑"}.get(known.better or "", "")
        cells = [_text(row.get(generator), known.scale, generator == "perfect") for generator in GENERATORS]
        lines.append(f"| `{name}`{arrow}{f' x{known.scale:g}' if known.scale != 1 else ''} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _text(cell: FaultCell | None, scale: float, spread: bool) -> str:
    if cell is None:
        return "n/a"
    number = f"{cell.values.mean() * scale:.2g}"
    if spread:
        return f"{number} ± {cell.values.std(ddof=1) * scale:.1g}"
    return {"seen": f"**{number} seen**", "fooled": f"*{number} fooled*"}.get(cell.mark, number)


if __name__ == "__main__":
    print(markdown())
