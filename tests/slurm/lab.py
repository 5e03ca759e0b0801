"""A results folder whose runs of the method `sleepy` go through a real cluster, and what became of them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from slurm_cluster import ROOT, Cluster, lines, wait_for

PLUGIN = Path(__file__).resolve().parent / "plugin"
STEPS = 100
LOST = 25  # steps that may be taken again after a kill: those since the last checkpoint, half a second before
SETTINGS = (
    *("--preset", "cpu", "--device", "cpu"),
    *("--metrics", "l1_truth,psnr_truth", "--checkpoint-seconds", "0.5"),
)


class Lab:
    """Sweeps of `sleepy` on emoji; each run is known by its target size.

    results, log   the results folder, and where `sleepy` writes down its steps
    cluster        None: sweeps are carried out in this process's own child, without sleep
    """

    def __init__(
        self, folder: Path, cache: Path, cluster: Cluster | None = None, seconds: float = 0.2, **profile: Any
    ) -> None:
        self.results = folder / "results"
        self.log = folder / "log"
        self.profile = folder / "profile.toml"
        self.cluster = cluster
        self.environment = {
            **(cluster.environment if cluster else os.environ),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(PLUGIN)]),
            "SLEEPY_LOG": str(self.log),
            "SLEEPY_SECONDS": str(seconds if cluster else 0),
            "I2I_BENCH_CACHE": str(cache),
            "OMP_NUM_THREADS": "1",
        }
        self.log.mkdir(parents=True)
        self.profile.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in profile.items()))

    def bench(self, *words: str, code: int = 0) -> str:
        """What python -m bench WORDS prints; it must end with this code."""
        process = self.start(*words)
        out, error = process.communicate(timeout=180)
        assert process.returncode == code, out + error
        return out + error

    def start(self, *words: str) -> subprocess.Popen:
        """python -m bench WORDS, not waited for; its output is piped. Its umask is the worst, 0."""
        return subprocess.Popen(
            [sys.executable, "-m", "bench", *words, "--results", str(self.results)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            umask=0,
        )

    def refused(self, words: Iterable[str]) -> tuple[str, str]:
        """Of a command that must end as bad input: what it prints, and its error, which must be one line."""
        process = self.start(*words)
        out, error = process.communicate(timeout=180)
        assert process.returncode == 2, out + error
        assert error.count("\n") == 1 and error.endswith("\n"), error
        return out, error

    def sweep_words(self, sizes: Iterable[int], *more: str) -> list[str]:
        where = ["--launcher", "slurm", "--profile", str(self.profile)] if self.cluster else ["--launcher", "debug"]
        grid = ["--methods", "sleepy", "--datasets", "emoji", "--target-sizes", ",".join(map(str, sizes))]
        return ["sweep", *grid, *SETTINGS, *where, *more, "--yes"]

    def sweep(self, sizes: Iterable[int], *more: str) -> str:
        """Submits (or carries out) what is missing of these runs; returns what was printed."""
        return self.bench(*self.sweep_words(sizes, *more))

    def states(self) -> dict[int, str]:
        """Target size -> state, as `bench status` prints it."""
        found = {}
        for line in self.bench("status").splitlines():
            if line.startswith("emoji/"):
                name, rest = line.split(None, 1)
                found[int(name.split("/")[1])] = rest.split("  ")[0].strip()
        return found

    def queue(self, *states: str) -> list[str]:
        """Jobs of this lab that have not ended; see Cluster.queue."""
        assert self.cluster is not None
        return self.cluster.queue(*states, names=[f"bench-{sweep}" for sweep in self.sweeps()])

    def sweeps(self) -> list[str]:
        """Ids of the sweeps that were submitted, the last one last."""
        return sorted(path.parent.name for path in self.results.glob("sweeps/*/sweep.json"))

    def folder(self, size: int) -> Path:
        (folder,) = (self.results / "runs" / "emoji" / str(size) / "sleepy").iterdir()
        return folder

    def records(self) -> dict[int, dict]:
        """What must not depend on what happened to a run, by target size; each has one record at most."""
        paths = list(self.results.glob("runs/*/*/*/*/record.json"))
        records = [json.loads(path.read_text()) for path in paths]
        by_size = {record["identity"]["target_size"]: _same(record) for record in records}
        assert len(by_size) == len(paths)
        return by_size

    def steps(self, size: int) -> list[dict]:
        """Every step that was ever taken for the run: step, pid, job, node, gpu, time."""
        return [line for path in (self.log / "steps").glob(f"{size}-*.jsonl") for line in lines(path)]

    def wait_for_step(self, size: int, step: int, seconds: float = 90) -> dict:
        """Until the run has taken this step (in any process); returns its last step."""
        wait_for(lambda: any(line["step"] >= step for line in self.steps(size)), seconds, f"{size} is at step {step}")
        return self.steps(size)[-1]

    def wait_for_records(self, sizes: Iterable[int], seconds: float) -> None:
        wanted = set(sizes)
        wait_for(lambda: wanted <= set(self.records()), seconds, f"{sorted(wanted)} are recorded")

    def starts(self, size: int) -> list[list[int]]:
        """The steps of each process that worked on the run, one process after the other."""
        taken: list[tuple[int, list[int]]] = []
        for line in self.steps(size):
            if not taken or taken[-1][0] != line["pid"]:
                taken.append((line["pid"], []))
            taken[-1][1].append(line["step"])
        pids = [pid for pid, _ in taken]
        assert len(set(pids)) == len(pids), f"two processes worked on {size} at the same time: {pids}"
        return [steps for _, steps in taken]

    def check_steps(self, size: int, starts: int | None = None) -> None:
        """Every step was taken, in order, and no process began again at zero. starts: how many there must be."""
        processes = self.starts(size)
        assert starts is None or len(processes) == starts, processes
        reached = -1
        for steps in processes:
            assert steps == list(range(steps[0], steps[-1] + 1))
            assert max(0, reached + 1 - LOST) <= steps[0] <= reached + 1, f"{size}: from {reached} back to {steps[0]}"
            assert steps[0] > 0 or reached < LOST
            reached = max(reached, steps[-1])
        assert reached == STEPS - 1


def _same(record: dict) -> dict:
    return {key: record[key] for key in ("identity", "task", "config", "status", "metrics")}
