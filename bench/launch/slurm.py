"""`--launcher slurm`: one submitit array for the runs, and one before it for the stages that they share."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

from bench.core.errors import UserError
from bench.launch.environment import checkout, clean, clean_environment, root
from bench.launch.job import Job
from bench.launch.launcher import Jobs, Submission
from bench.launch.notify import Notice
from bench.launch.profile import Profile
from bench.launch.scheduler import largest_array

T = TypeVar("T")
NOTICE_MINUTES = 5  # for the command of `notify`
NEVER = 10**6  # submitit's own count of time-outs, which takes a preemption for one where limits are short


@dataclass(frozen=True)
class Slurm:
    profile: Profile
    name: str = "slurm"

    @property
    def gpu(self) -> bool:
        return self.profile.gpus > 0

    @property
    def at_once(self) -> int:
        return self.profile.max_parallel * self.profile.at_once

    def check(self, results: Path) -> None:
        for command in ("sbatch", "srun"):
            if shutil.which(command) is None:
                raise UserError(f"there is no {command} here: log in where jobs are submitted, or use --launcher local")
        place = str(results.resolve())
        if "%" in place or not place.isprintable():
            raise UserError(f"--results {place!r}: SLURM gives % and control characters a meaning; choose another path")

    def ask(self, stages: int, runs: int) -> str:
        jobs = -(-runs // self.profile.pack)
        limit = f"at most {self.profile.minutes} minutes each, {self.profile.max_parallel} at a time"
        first = f" (before them, for stages that they share: {stages})" if stages else ""
        hours = (jobs + stages) * self.profile.minutes / 60
        cost = (
            f"{hours * self.profile.gpus:.0f} GPU hours" if self.gpu else f"{hours * self.profile.cpus:.0f} CPU hours"
        )
        return f"jobs: {jobs}, {limit}{first}, at most {cost}"

    def launch(self, submission: Submission, submitted: Callable[[Jobs], None]) -> None:
        jobs: Jobs = {}
        try:
            self._submit_all(submission, jobs)
            submitted(jobs)
        except (UserError, OSError) as error:
            if jobs:  # all or nothing
                arrays = {job.split("_")[0] for job in jobs}
                subprocess.run(["scancel", *arrays], check=False, env=clean(os.environ))
            if isinstance(error, OSError):
                reason = f"cannot write {error.filename or submission.folder}: {error.strerror}"
                raise UserError(f"{reason}; nothing was submitted") from None
            raise

    def _submit_all(self, submission: Submission, jobs: Jobs) -> None:
        before: list[str] = []
        if submission.stages:
            before = self._arrays(submission, [[stage] for stage in submission.stages], jobs, [])
        staged = [task.folder for task in submission.runs if task.after]
        free = [task.folder for task in submission.runs if not task.after]
        self._arrays(submission, _chunks(free, self.profile.pack), jobs, [])
        self._arrays(submission, _chunks(staged, self.profile.pack), jobs, before)
        if submission.notify:
            self._notice(submission, jobs)

    def _arrays(
        self, submission: Submission, packs: Sequence[Sequence[Path]], jobs: Jobs, after: Sequence[str]
    ) -> list[str]:
        """Submits the arrays that SLURM's limit asks for, one after another so that max_parallel holds; returns their
        ids.

        after  arrays that must have ended, well or not, before the first begins
        """
        arrays: list[str] = []
        for part in _chunks(packs, largest_array()):
            arrays.append(self._array(submission, part, jobs, arrays[-1:] or after))
        return arrays

    def _array(self, submission: Submission, packs: Sequence[Sequence[Path]], jobs: Jobs, after: Sequence[str]) -> str:
        """Submits one array, notes its jobs, returns its id."""
        gpus = self.profile.gpus or None
        executor = self._executor(submission, self.profile.minutes, after, gpus_per_node=gpus, mem=self.profile.memory)
        submitted = _submit(executor, [self._job(submission, pack) for pack in packs])
        for job, pack in zip(submitted, packs):
            jobs[job] = [str(folder.relative_to(submission.results)) for folder in pack]
        return submitted[0].split("_")[0]

    def _notice(self, submission: Submission, jobs: Jobs) -> None:
        """Submits the job that says that all others have ended, well or not; it carries out no run."""
        after = sorted({job.split("_")[0] for job in jobs})
        (job,) = _submit(self._executor(submission, NOTICE_MINUTES, after), [submission.notice])
        jobs[job] = []

    def _executor(self, submission: Submission, minutes: int, after: Sequence[str], **more: Any) -> Any:
        """What submits with the wishes of the profile. after: arrays that must have ended before."""
        from submitit import SlurmExecutor

        profile = self.profile
        executor = SlurmExecutor(submission.folder / "slurm", max_num_timeout=NEVER)
        wishes: dict[str, Any] = {
            "partition": profile.partition,
            "account": profile.account,
            "qos": profile.qos,
            "constraint": profile.constraint,
            "dependency": f"afterany:{':'.join(after)}" if after else None,
            **more,
        }
        executor.update_parameters(
            job_name=f"bench-{submission.id}",
            time=minutes,
            cpus_per_task=profile.cpus,
            signal_delay_s=profile.signal_seconds,
            array_parallelism=profile.max_parallel,
            setup=[f"export PYTHONPATH={shlex.quote(root())}${{PYTHONPATH:+:$PYTHONPATH}}", *profile.setup],
            stderr_to_stdout=True,
            srun_args=["--export=ALL"],  # also where the cluster's rule is to pass nothing on
            additional_parameters={"requeue": True},
            **{key: value for key, value in wishes.items() if value is not None},
        )
        return executor

    def _job(self, submission: Submission, pack: Sequence[Path]) -> Job:
        profile = self.profile
        python = profile.python or ("python3" if profile.container else sys.executable)
        return Job(
            folders=tuple(str(folder) for folder in pack),
            results=str(submission.results),
            bench=(*profile.container_words, python, "-m", "bench"),
            environment={**checkout(), **profile.variables},
            at_once=profile.at_once,
            minutes=profile.minutes,
            signal_seconds=profile.signal_seconds,
        )


def _submit(executor: Any, calls: Sequence[Job | Notice]) -> list[str]:
    """Ids of the jobs. A refusal is one line with sbatch's own reason."""
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        # submitit repeats on stderr the reason that the exception carries
        with redirect_stderr(StringIO()), clean_environment():
            return [job.job_id for job in executor.submit_array(calls)]
    except (FailedJobError, FailedSubmissionError) as error:
        reason = " ".join(str(error).replace("sbatch: error:", "").split())
        raise UserError(f"sbatch refused the jobs: {reason}") from None


def _chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[i : i + size] for i in range(0, len(items), size)]
