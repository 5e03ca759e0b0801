"""The three places where a sweep can run share this interface."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.launch.pool import PoolTask

Jobs = dict[str, list[str]]  # name of a scheduler's job -> its runs and stages, as in Sweep.jobs


@dataclass(frozen=True)
class Submission:
    """What a sweep hands over. Folders hold a frozen.json each; `folder` is the sweep's own."""

    id: str
    folder: Path
    results: Path
    stages: Sequence[Path]
    runs: Sequence[PoolTask]


class Launcher(Protocol):
    @property
    def name(self) -> str:
        """The name that --launcher takes."""

    @property
    def gpu(self) -> bool:
        """Whether its runs have one."""

    def check(self, results: Path) -> None:
        """Raises UserError where this launcher cannot work, before anything is written."""

    def ask(self, stages: int, runs: int) -> str:
        """What it will use, in a line."""

    def launch(self, submission: Submission, submitted: Callable[[Jobs], None]) -> None:
        """Hands the submission over, calls submitted(jobs), and then either returns or works until all is done."""
