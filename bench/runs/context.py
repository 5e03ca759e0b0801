"""What the stages of one run share."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.core.paths import artifacts_folder
from bench.core.progress import Reporter
from bench.data.task import TaskData
from bench.metrics import default_names
from bench.runs.find import DEPTH, run_name
from bench.runs.loggers import About
from bench.runs.loggers.live import LiveLog
from bench.runs.record import Code
from bench.runs.settings import RunSettings
from bench.runs.spec import RunSpec
from bench.training import log
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

    @cached_property
    def live(self) -> LiveLog:
        """What the run tells its loggers, if it has any."""
        results, spec = self.folder.parents[DEPTH], self.spec
        asked = {name: value for name, value in vars(spec).items() if name != "config"}
        fields = {f"config.{name}": value for name, value in (spec.config or {}).items()}
        metrics = default_names() if self.settings.metrics is None else self.settings.metrics
        about = About(run_name(self.folder, results), self.folder, results, {**asked, **fields}, metrics)
        return LiveLog(self.settings.log or (), about, (log.FILE, log.VALIDATION), self.reporter.say)

    def artifacts(self) -> Artifacts:
        """What the run's slow stages make and share with other runs. One process makes it, and others wait for it."""
        return Artifacts(artifacts_folder(), self.loop(self.compute.alone))

    def loop(self, compute: Compute) -> Loop:
        return Loop(compute, self.reporter, self.settings.checkpoint_seconds)
