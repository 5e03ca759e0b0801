"""`--launcher debug`: one run after another in this process, so that a debugger sees it; an error ends it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.core.ownership import Ownership
from bench.launch.launcher import Jobs, Submission
from bench.runs import frozen
from bench.runs.start import run_frozen


@dataclass(frozen=True)
class Debug:
    gpu: bool
    name: str = "debug"
    at_once: int = 1

    def check(self, results: Path) -> None:
        pass

    def ask(self, stages: int, runs: int) -> str:
        return "in this process"

    def launch(self, submission: Submission, submitted: Callable[[Jobs], None]) -> None:
        with Ownership(submission.folder):
            submitted({})
            for task in submission.runs:
                run_frozen(task.folder / frozen.NAME, submission.results)
        submission.say_ended()
