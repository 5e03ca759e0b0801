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


@pytest.mark.slow
def test_time_limits_and_meanwhile_cancelling(
    cluster: Cluster, undisturbed: dict[int, dict], tmp_path: Path, bank_cache: Path
) -> None:
    """SLURM warns between 25 and 55 seconds after the start of a job of one minute: the runs take longer."""
    short = Lab(tmp_path / "short", bank_cache, cluster, seconds=0.55, **{**PROFILE, "time": 1, "signal_seconds": 5})
    timed_out = SIZES[3:5]
    short.sweep(timed_out)

    _cancelled_means_cancelled(Lab(tmp_path / "cancel", bank_cache, cluster, max_parallel=2, **PROFILE), undisturbed)

    assert "nothing to submit" in short.sweep(timed_out)
    short.wait_for_records(timed_out, 240)
    wait_for(lambda: not short.queue(), 60, "no job is left")
    assert short.records() == {size: undisturbed[size] for size in timed_out}
    for size in timed_out:
        assert len(short.starts(size)) > 1
        short.check_steps(size)


def _cancelled_means_cancelled(lab: Lab, undisturbed: dict[int, dict]) -> None:
    running, kept, waiting = SIZES[:3]
    lab.sweep([running, kept, waiting])
    lab.wait_for_step(running, 15)
    printed = lab.bench("cancel", f"emoji/{running}/", f"emoji/{waiting}/")
    assert printed.count("cancelled emoji/") == 2
    lab.wait_for_records([kept], 90)
    wait_for(lambda: not lab.queue(), 60, "no job is left")
    assert lab.states() == {running: "cancelled", kept: "done", waiting: "cancelled"}
    assert not lab.steps(waiting)
    printed = lab.sweep([running, kept, waiting])
    assert "2 more with --retry cancelled" in printed and "nothing to submit" in printed

    lab.sweep([running, kept, waiting], "--retry", "cancelled")
    lab.wait_for_records([running, waiting], 90)
    assert lab.records() == {size: undisturbed[size] for size in (running, kept, waiting)}
    lab.check_steps(running, starts=2)
    lab.check_steps(waiting, starts=1)


@pytest.mark.slow
def test_preemption_and_a_node_that_is_declared_dead(
    cluster: Cluster, undisturbed: dict[int, dict], tmp_path: Path, bank_cache: Path
) -> None:
    """The dead node's run lives on: SLURM starts its job elsewhere, two jobs want one run, and its owner keeps it."""
    low = Lab(tmp_path / "low", bank_cache, cluster, pack=2, at_once=2, cpus=2, **PROFILE)
    lost = Lab(tmp_path / "lost", bank_cache, cluster, seconds=0.6, cpus=2, **PROFILE)
    preempted, twice = SIZES[:2], SIZES[2]
    low.sweep(preempted)
    lost.sweep([twice])
    high = low.wait_for_step(preempted[0], 15)["node"]
    low.wait_for_step(preempted[1], 15)
    hit = lost.wait_for_step(twice, 1)

    cluster.down(f"slurmd-{hit['node']}")
    cluster.ask("scontrol", "update", f"nodename={hit['node']}", "state=down", "reason=test")
    cluster.ask("srun", "-p", "high", "-w", high, "-c", "2", "true")
    wait_for(lambda: set(low.states().values()) == {"pre-empted"}, 30, "they are pre-empted")
    assert "nothing to submit" in low.sweep(preempted)
    wait_for(lambda: lost.queue("RUNNING"), 60, "the lost job runs on another node")
    assert alive(hit["pid"]), "the first process ended before the second job began"

    lost.wait_for_records([twice], 120)
    cluster.up(f"slurmd-{hit['node']}")
    low.wait_for_records(preempted, 120)
    wait_for(cluster.empty, 60, "no job is left")
    assert low.records() == {size: undisturbed[size] for size in preempted}
    assert lost.records() == {twice: undisturbed[twice]}
    for size in preempted:
        low.check_steps(size, starts=2)
    lost.check_steps(twice, starts=1)
