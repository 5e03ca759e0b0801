"""The three places where a sweep can run share this interface."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.launch.notify import Notice
from bench.launch.pool import PoolTask

Jobs = dict[str, list[str]]  # name of a scheduler's job -> its runs and stages, as in Sweep.jobs


@dataclass(frozen=True)
class Submission:
    """What a sweep hands over. Folders hold a frozen.json each; `folder` is the sweep's own. The launcher sees to it
    that the words of `notify`, if there are any, are run as a command once all runs have ended."""

    id: str
    folder: Path
    results: Path
    stages: Sequence[Path]
    runs: Sequence[PoolTask]
    notify: tuple[str, ...] = ()

    @property
    def notice(self) -> Notice:
        return Notice(self.notify, str(self.results), self.id)

    def say_ended(self) -> None:
        """Runs the command of `notify` now, in this process."""
        if self.notify and (wrong := self.notice()):
            print(wrong)


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

    @property
    def at_once(self) -> int:
        """So many runs at the same time, at most."""

    def launch(self, submission: Submission, submitted: Callable[[Jobs], None]) -> None:
        """Hands the submission over, calls submitted(jobs), and then either returns or works until all is done."""
