"""What SLURM's commands see of the shell that submits, how arrays are split, and when a run is given up."""

import os
from pathlib import Path

import pytest

from bench.launch import scheduler, slurm, status
from bench.launch.environment import clean, clean_environment
from bench.launch.launcher import Submission
from bench.launch.pool import PoolTask
from bench.launch.profile import Profile
from bench.runs.state import RunState, State


def test_only_where_slurm_is_reaches_its_commands() -> None:
    shell = {
        "SLURM_MEM_PER_CPU": "300", "SBATCH_EXPORT": "NONE", "SBATCH_TIMELIMIT": "2", "SRUN_CPUS_PER_TASK": "1",
        "SQUEUE_STATES": "RUNNING", "SLURM_CONF": "/etc/slurm.conf", "PATH": "/bin", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    assert clean(shell) == {"SLURM_CONF": "/etc/slurm.conf", "PATH": "/bin", "OMP_NUM_THREADS": "1"}


def test_the_environment_of_the_shell_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBATCH_PARTITION", "high")
    with pytest.raises(ValueError), clean_environment():
        assert "SBATCH_PARTITION" not in os.environ
        raise ValueError
    assert os.environ["SBATCH_PARTITION"] == "high"


class Arrays(slurm.Slurm):
    """Notes what would be submitted."""

    def _array(self, batch, packs, jobs, after):  # type: ignore[no-untyped-def]
        SEEN.append((len(packs), list(after)))
        return str(len(SEEN))


SEEN: list[tuple[int, list[str]]] = []


def test_more_jobs_than_an_array_may_have_are_split_and_follow_one_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """2,500 runs of which 2 share a stage, at most 1,001 in an array: 1 stage, then 1001 + 1001 + 496, then 2."""
    SEEN.clear()
    monkeypatch.setattr(slurm, "largest_array", lambda: 1001)
    stage = tmp_path / "stage"
    runs = [PoolTask(tmp_path / str(i), stage if i < 2 else None) for i in range(2500)]
    launcher = Arrays(Profile(partition="main", time="10", pack=1))
    launcher._submit_all(Submission("s", tmp_path, tmp_path, [stage], runs), {})
    assert SEEN == [(1, []), (1001, []), (1001, ["2"]), (496, ["3"]), (2, ["1"])]


def test_the_largest_array_is_read_from_the_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand_in = tmp_path / "scontrol"
    stand_in.write_text("#!/bin/sh\necho 'MaxArraySize            = 201'\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert scheduler.largest_array() == 201
    stand_in.write_text("#!/bin/sh\nexit 1\n")
    assert scheduler.largest_array() == 1001  # SLURM's own default


@pytest.mark.parametrize(("unbegun", "state"), [(0, "interrupted"), (1, "interrupted"), (2, "failed")])
def test_a_run_whose_jobs_never_begin_is_given_up(tmp_path: Path, unbegun: int, state: str) -> None:
    folder = tmp_path / "runs/d/5/m/0-x"
    folder.mkdir(parents=True)
    own = RunState(folder)
    own.replace(State(state="pending", sweep="s", unbegun=unbegun))
    gone = scheduler.Scheduler()  # knows of no job
    row = status.RunStatus("d/5/m/0-x", folder, "?", job="7_0")
    found = status._from_scheduler(row, own.read(), gone)
    assert found.state == state
    assert ("ended 3 times before the run began" in found.detail) == (state == "failed")
