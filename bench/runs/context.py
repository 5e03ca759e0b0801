"""What the stages of one run share."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.core.paths import artifacts_folder
from bench.core.progress import Reporter
from bench.data.task import TaskData
from bench.runs.record import Code
from bench.runs.settings import RunSettings
from bench.runs.spec import RunSpec
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.loop import Loop


@dataclass(frozen=True)
class RunContext:
    """One run on its way to a record: what is computed, on which data, how, and where its files lie.

    submitted  the code that submitted the run, where a sweep did
    """

    folder: Path
    spec: RunSpec
    data: TaskData
    settings: RunSettings
    reporter: Reporter
    submitted: Code | None = None

    @cached_property
    def compute(self) -> Compute:
        return self.settings.compute(self.spec.amp)

    def artifacts(self) -> Artifacts:
        """What the run's slow stages make and share with other runs."""
        return Artifacts(artifacts_folder(), Loop(self.compute, self.reporter, self.settings.checkpoint_seconds))
