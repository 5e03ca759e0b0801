"""`--launcher local`: processes on this machine, a few at a time; Ctrl-C stops them with their state saved."""

import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from bench.core.errors import Interrupted
from bench.core.ownership import Ownership
from bench.launch.environment import checkout
from bench.launch.launcher import Jobs, Submission
from bench.launch.pool import Pool, PoolTask


@dataclass(frozen=True)
class Local:
    workers: int
    gpu: bool
    environment: Mapping[str, str] = field(default_factory=dict)
    name: str = "local"

    @property
    def at_once(self) -> int:
        return self.workers

    def check(self, results: Path) -> None:
        pass

    def ask(self, stages: int, runs: int) -> str:
        first = f", after stages that they share: {stages}" if stages else ""
        return f"on this machine, {self.workers} at a time{first}"

    def launch(self, submission: Submission, submitted: Callable[[Jobs], None]) -> None:
        bench = [sys.executable, "-m", "bench"]
        environment = {**checkout(), **self.environment}
        tasks = [*(PoolTask(stage) for stage in submission.stages), *submission.runs]
        ended = 0

        def say(line: str) -> None:
            nonlocal ended
            ended += not line.endswith(": begins")
            print(f"[{ended}/{len(tasks)}] {line}", flush=True)

        pool = Pool(tasks, submission.results, bench, environment, self.workers, say, apart=True)
        stopped = []

        def stop(number: int, frame: FrameType | None) -> None:
            stopped.append(signal.Signals(number).name)
            pool.request_stop()

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            with Ownership(submission.folder):
                submitted({})
                pool.run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if stopped:
            raise Interrupted(f"{stopped[0]}: all runs have saved their state")
        if pool.failed:
            print(f"{pool.failed} failed; python -m bench status --results {submission.results} says why")
        submission.say_ended()
