"""What a SLURM job writes down when it must stop, and when a run is given up. No cluster: only files are read."""

from pathlib import Path

from bench.launch.job import FRUITLESS, _note_stop
from bench.runs.state import RunState, State


def test_a_run_that_gets_no_further_in_three_time_outs_is_given_up(tmp_path: Path) -> None:
    state = RunState(tmp_path)
    state.replace(State(state="running", stage="train", step=7, total=100, starts=1))
    assert [_note_stop(tmp_path, timed_out=True) for _ in range(FRUITLESS)] == [True, True, False]
    assert state.read().given_up and "more time" in state.read().error


def test_a_step_further_counts_anew(tmp_path: Path) -> None:
    state = RunState(tmp_path)
    for step in range(2 * FRUITLESS):
        state.update(state="running", stage="train", step=step, total=100, starts=step + 1)
        assert _note_stop(tmp_path, timed_out=True)
    assert state.read().state == "timeout" and not state.read().given_up


def test_preemption_never_gives_up(tmp_path: Path) -> None:
    state = RunState(tmp_path)
    state.replace(State(state="running", stage="train", step=7, total=100, starts=1))
    assert all(_note_stop(tmp_path, timed_out=False) for _ in range(3 * FRUITLESS))
    assert state.read().state == "preempted"


def test_a_failed_run_is_not_started_again(tmp_path: Path) -> None:
    RunState(tmp_path).replace(State(state="failed", error="ValueError: no"))
    assert not _note_stop(tmp_path, timed_out=False)
    assert RunState(tmp_path).read().error == "ValueError: no"
