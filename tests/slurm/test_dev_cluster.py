"""slurm/dev-cluster gives a cluster whose jobs, accounting, GPUs and crashes are real."""

import os
import subprocess
from pathlib import Path

from slurm_cluster import DEV_CLUSTER, GPUS, NODES, Cluster, wait_for


def test_all_nodes_take_jobs(cluster: Cluster) -> None:
    names = cluster.ask("srun", f"-N{NODES}", "printenv", "SLURMD_NODENAME").split()
    assert sorted(names) == [f"n{i + 1}" for i in range(NODES)]


def test_a_job_sees_the_gpu_that_it_got(cluster: Cluster) -> None:
    assert cluster.ask("srun", "--gres=gpu:1", "printenv", "CUDA_VISIBLE_DEVICES") in map(str, range(GPUS))


def test_accounting_knows_how_a_job_ended(cluster: Cluster) -> None:
    job = cluster.ask("sbatch", "--parsable", "-o", "/dev/null", "--wrap", "exit 7")
    wait_for(lambda: "FAILED|7:0" in cluster.ask("sacct", "-nXP", "-j", job, "-o", "state,exitcode"), 30, "sacct knows")


def test_a_job_outlives_the_daemons(cluster: Cluster, tmp_path: Path) -> None:
    begun, done = tmp_path / "begun", tmp_path / "done"
    cluster.ask("sbatch", "-w", "n2", "-o", "/dev/null", "--wrap", f"echo >>{begun}; sleep 4; touch {done}")
    wait_for(begun.exists, 20, "the job runs")
    for daemon in ("slurmctld", "slurmd-n2"):
        cluster.down(daemon)
        cluster.up(daemon)
    wait_for(done.exists, 30, "the job is done")
    wait_for(cluster.empty, 30, "its end is known")
    assert begun.read_text() == "\n"


def test_bad_words_are_one_line() -> None:
    for words, said in {
        ("strat",): "unknown command strat",
        ("start", "--nodes", "two"): "not a number: 'two'",
        ("down", "munged"): "not 'munged'",
        ("env",): "never started in",
    }.items():
        done = subprocess.run(
            [DEV_CLUSTER, *words],
            env={**os.environ, "SLURM_DEV_DIR": "/tmp/no-such-cluster"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        assert said in done.stderr and done.stderr.count("\n") == 1
    assert not Path("/tmp/no-such-cluster").exists()


def test_stop_ends_every_process_and_no_other(cluster: Cluster) -> None:
    """In a second cluster, beside the one of the tests."""
    other = Cluster()
    try:
        other.start("--no-accounting")
        other.ask("sbatch", "-o", "/dev/null", "--wrap", "trap '' TERM; sleep 600; sleep 600")
        wait_for(lambda: other.queue("RUNNING"), 20, "a job runs that ignores TERM")
        other.stop()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            except OSError:
                continue
            assert str(other.folder).encode() not in words, words
        assert cluster.ask("srun", "hostname")
    finally:
        other.clean()
    assert not other.folder.exists()
