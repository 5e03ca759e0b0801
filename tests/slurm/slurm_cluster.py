"""A real SLURM cluster for tests: slurm/dev-cluster in a folder of its own, and what a test asks of it."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEV_CLUSTER = ROOT / "slurm" / "dev-cluster"
NODES, CPUS, GPUS = 4, 2, 2
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "slurmdbd", "mariadbd", "mariadb-install-db")


def why_not() -> str | None:
    """Why no cluster can be started here; None if one can."""
    if os.geteuid() != 0:
        return "a SLURM cluster on one machine needs root"
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        return f"SLURM is not installed ({missing[0]} is missing); `slurm/dev-cluster install` installs it on Debian"
    return None


class Cluster:
    """Started and stopped by the fixture `cluster`; shared by all tests in this folder."""

    def __init__(self) -> None:
        # short: a Unix socket's path has at most 107 characters, and pytest's folders can be longer
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))

    def start(self, *more: str) -> None:
        self._control("start", "--nodes", str(NODES), "--cpus", str(CPUS), "--gpus", str(GPUS), *more)

    def stop(self) -> None:
        self._control("stop")

    def clean(self) -> None:
        self._control("clean")
        shutil.rmtree(self.folder, ignore_errors=True)

    def down(self, daemon: str) -> None:
        """Stops slurmctld or slurmd-n1, ...; jobs run on."""
        self._control("down", daemon)

    def up(self, daemon: str) -> None:
        self._control("up", daemon)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.folder / "etc" / "slurm.conf")}

    def ask(self, *command: str) -> str:
        """The standard output of a SLURM command; it must succeed."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def queue(self, *states: str, names: Sequence[str] = ()) -> list[str]:
        """Jobs that have not ended, of these states and names (all by default), array tasks one by one."""
        chosen = [*(["-t", ",".join(states)] if states else []), *(["-n", ",".join(names)] if names else [])]
        return self.ask("squeue", "-h", "-r", "-o", "%i", *chosen).split()

    def empty(self) -> bool:
        return not self.queue()

    def cancel_all(self) -> None:
        subprocess.run(["scancel", "--user=root"], env=self.environment, timeout=60)
        wait_for(self.empty, 60, "the queue is empty")

    def _control(self, *words: str) -> None:
        environment = {**os.environ, "SLURM_DEV_DIR": str(self.folder)}
        done = subprocess.run([DEV_CLUSTER, *words], env=environment, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, f"dev-cluster {' '.join(words)}: {done.stdout}{done.stderr}"


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Returns as soon as the condition is true; fails the test after so many seconds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"after {seconds} s it is still not so that {what}"
        time.sleep(0.2)


def lines(path: Path) -> list[dict]:
    """The objects of a .jsonl file; none where there is no file yet. A last line without its end is left out."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
