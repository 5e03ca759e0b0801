"""From what was typed to the RunSpec of one run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.core.errors import UserError
from bench.core.registry import find
from bench.metrics import find as find_metric
from bench.metrics.anchors import ANCHORS
from bench.runs.spec import RunSpec
from bench.training import config as configs

LARGEST_SEED = 2**63 - 1  # what every generator takes
MOST_TFLOP = 1e9  # a record's counts go up to 2^63 FLOP, nine times as many


@dataclass(frozen=True)
class RunRequest:
    """What to run, as typed."""

    method: str
    dataset: str
    target_size: int
    seed: int = 0
    subset_seed: int = 0
    preset: str | None = None
    settings: tuple[str, ...] = ()
    resolution: int | None = None
    budget_kimg: float | None = None
    amp: str = "off"
    budget_tflop: float | None = None

    def __post_init__(self) -> None:
        for name in ("seed", "subset_seed"):
            if not 0 <= getattr(self, name) <= LARGEST_SEED:
                value = getattr(self, name)
                raise UserError(f"{name}={value}: choose a whole number of at least 0 and at most {LARGEST_SEED}")
        if self.budget_tflop is not None:
            self._check_tflop(self.budget_tflop)

    def _check_tflop(self, tflop: float) -> None:
        if not 0 < tflop < MOST_TFLOP:
            raise UserError(f"budget_tflop={tflop}: choose a number above 0 and below {MOST_TFLOP:g}")
        if self.budget_kimg is not None or any(text.startswith("budget_kimg=") for text in self.settings):
            raise UserError("a run has one budget: name budget_tflop or budget_kimg, not both")


def specify(request: RunRequest, gpu: bool, say: Callable[[str], None]) -> RunSpec:
    """The run that was asked for. gpu: whether it will run on one, which chooses the preset where none was named."""
    from bench.data.find import checked_resolution, full_name, make

    dataset = make(request.dataset)
    values: dict[str, Any] | None = None
    name, kind, preset, resolution = request.method, "anchor", "", request.resolution
    if request.method not in ANCHORS:
        entry = find("methods", request.method)
        name, kind = entry.name, "method"
        preset = ("paper" if gpu else "cpu") if request.preset is None else request.preset
        cls = entry.load()
        config = configs.build(cls.Config, cls.presets, preset, _settings(request))
        largest = find("datasets", request.dataset).facts.get("resolution")
        if not _asked_resolution(request) and largest and largest < config.resolution:
            say(f"resolution {largest}: {request.dataset} has no more (preset {preset}: {config.resolution})")
            config = replace(config, resolution=largest)
        values, resolution = configs.as_json(config), config.resolution
        if request.budget_tflop is not None:
            del values["budget_kimg"]  # follows from the budget, just before training
    elif request.preset is not None or request.settings or request.budget_kimg or request.budget_tflop:
        raise UserError(f"the anchor row {request.method!r} trains nothing: leave out --preset, --set and budgets")
    return RunSpec(
        method=name,
        dataset=full_name(dataset),
        target_size=request.target_size,
        resolution=checked_resolution(dataset, resolution),
        seed=request.seed,
        subset_seed=request.subset_seed,
        kind=kind,
        preset=preset,
        config=values,
        amp=request.amp,
        budget_tflop=None if request.budget_tflop is None else float(request.budget_tflop),
    )


def check_metrics(names: Sequence[str] | None) -> None:
    """Raises UserError for an unknown metric."""
    for name in names or ():
        find_metric(name)


def _settings(request: RunRequest) -> list[str]:
    """--resolution and --budget-kimg are fields of every Config."""
    settings = list(request.settings)
    if request.resolution is not None:
        settings.append(f"resolution={request.resolution}")
    if request.budget_kimg is not None:
        settings.append(f"budget_kimg={request.budget_kimg}")
    return settings


def _asked_resolution(request: RunRequest) -> bool:
    return any(setting.startswith("resolution=") for setting in _settings(request))
