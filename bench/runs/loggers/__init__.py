"""Live loggers: TensorBoard, Weights & Biases and MLflow show what a run logs while it trains. All are optional.

train.jsonl stays the truth. What a logger has of a run follows from that file, so that a run that was killed and goes
on has each step once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bench.core.errors import UserError, unknown
from bench.training.log import Line

if TYPE_CHECKING:
    from PIL.Image import Image

# Name of a logger, which is that of its module here and of the package that it needs -> its class. The extra of
# i2i-bench that installs the package is called log-NAME.
LOGGERS = {"tensorboard": "TensorBoard", "wandb": "WandB", "mlflow": "MLflow"}


@dataclass(frozen=True)
class About:
    """What a logger is told of a run.

    name        how people call the run: its folder below results/runs
    folder      of the run, `results` that of all runs
    parameters  what was asked for: method, data, seeds and "config.FIELD" for each field of the method's Config
    metrics     the names of what will be measured at the end
    """

    name: str
    folder: Path
    results: Path
    parameters: Mapping[str, Any]
    metrics: Sequence[str]


class Logger(Protocol):
    """One run in one logger. Opened with `About` and whether the run goes on from a log that it has already.

    A logger is told the lines and pictures of earlier starts anew, each in the order of its steps.
    """

    def line(self, line: Line) -> None:
        """Numbers by name after a step: "loss/NAME", "validation/METRIC", or the group/series of a method."""

    def picture(self, step: int, picture: "Image") -> None:
        """The samples after a step."""

    def finish(self, step: int, metrics: Mapping[str, float]) -> None:
        """What was measured after the last step."""

    def close(self) -> None:
        """Nothing more comes from this process; the run may go on in another."""


def check_names(names: Sequence[str]) -> None:
    """Raises UserError for a logger that nobody knows."""
    for name in names:
        if name not in LOGGERS:
            raise unknown("logger", name, LOGGERS, "(--log)")


def check_installed(names: Sequence[str]) -> None:
    """Raises UserError for a logger whose package is not installed."""
    for name in names:
        if find_spec(name) is None:
            raise UserError(
                f"--log {name} needs the package {name}, which is not installed: pip install 'i2i-bench[log-{name}]'"
            )
