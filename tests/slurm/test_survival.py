"""What a cluster does to jobs: each grid ends complete, with the records of an undisturbed local run."""

import os
import signal
from pathlib import Path

import pytest
from lab import Lab
from slurm_cluster import Cluster, wait_for

SIZES = tuple(range(20, 28))
PROFILE = {"partition": "main", "time": "0:30:00", "memory": "300M"}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, bank_cache: Path) -> dict[int, dict]:
    """The records of all runs, made on this machine without a cluster."""
    lab = Lab(tmp_path_factory.mktemp("local"), bank_cache)
    lab.sweep(SIZES)
    assert set(lab.records()) == set(SIZES)
    for size in SIZES:
        lab.check_steps(size, starts=1)
    return lab.records()


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def alive(pid: int) -> bool:
    path = Path(f"/proc/{pid}/stat")
    return path.exists() and path.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.slow
def test_a_grid_with_all_kinds_of_accidents(
    cluster: Cluster, undisturbed: dict[int, dict], tmp_path: Path, bank_cache: Path
) -> None:
    lab = Lab(tmp_path, bank_cache, cluster, **PROFILE)
    requeued, scancelled, run_killed, job_killed, node_away, broken, calm, last = SIZES
    (lab.log / f"broken-{broken}").touch()
    lab.sweep(SIZES)
    hit = {size: lab.wait_for_step(size, 15) for size in (requeued, scancelled, run_killed, job_killed, node_away)}

    cluster.ask("scontrol", "requeue", hit[requeued]["job"])
    cluster.ask("scancel", hit[scancelled]["job"])
    for pid in (hit[run_killed]["pid"], parent(hit[job_killed]["pid"]), hit[job_killed]["pid"]):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(alive(hit[size]["pid"]) for size in (requeued, scancelled)), 20, "they are stopped")

    node = f"slurmd-{hit[node_away]['node']}"
    cluster.down("slurmctld")
    cluster.down(node)
    assert alive(hit[node_away]["pid"])
    lab.wait_for_records([calm, node_away], 120)
    cluster.up("slurmctld")
    cluster.up(node)

    lab.wait_for_records([requeued, last], 120)
    wait_for(cluster.empty, 60, "no job is left")
    wait_for(lambda: lab.states()[scancelled] == "cancelled", 30, "the accounting knows of scancel")
    states = lab.states()
    assert states[run_killed] == "failed"
    assert states[broken] == "failed"
    assert states[job_killed] == "interrupted"
    assert {size for size in SIZES if states[size] == "done"} == set(lab.records())

    (lab.log / f"broken-{broken}").unlink()
    lab.sweep(SIZES, "--retry", "failed", "--retry", "cancelled")
    lab.wait_for_records(SIZES, 120)
    assert lab.records() == undisturbed
    for size in (calm, node_away, last):
        lab.check_steps(size, starts=1)
    for size in (requeued, scancelled, run_killed, job_killed):
        lab.check_steps(size, starts=2)
    lab.check_steps(broken)
    assert "nothing to submit" in lab.sweep(SIZES)
