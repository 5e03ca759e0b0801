"""The training loop on a state of one number: resume, signals, divergence, its log."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.core.errors import Interrupted
from bench.core.progress import Reporter
from bench.core.signals import Signals
from bench.training import checkpoint
from bench.training.compute import Compute
from bench.training.log import Line
from bench.training.loop import Diverged, Loop, _Tally

CPU = Compute.choose("cpu")
TOTAL = 1000  # five steps a line of the log


class Walk:
    """A random walk: its end depends on every step and on both kinds of generator."""

    def __init__(self) -> None:
        self.place = torch.zeros(())
        self.rng = torch.Generator().manual_seed(1)

    def step(self, number: int) -> dict[str, Tensor]:
        self.place = 0.9 * self.place + torch.randn((), generator=self.rng) + torch.rand(()) + number / TOTAL
        return {"place": self.place, "number": torch.tensor(float(number))}

    def state_dict(self) -> dict[str, Any]:
        return {"place": self.place, "rng": self.rng.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.place = state["place"]
        self.rng.set_state(state["rng"])


class Killed(Exception):
    """Stands for SIGKILL: the loop gets no chance to save."""


def go(
    folder: Path,
    step: Callable[[int], dict[str, Tensor]] | None = None,
    checkpoint_seconds: float = 1e9,
    walk: Walk | None = None,
    **more: Any,
) -> Walk:
    """A new process's life, as far as the loop can tell."""
    torch.manual_seed(7)
    walk = walk or Walk()
    reporter = Reporter(more.pop("signals", None), every=1e9)
    reporter.say = lambda message: None  # type: ignore[method-assign]
    Loop(CPU, reporter, checkpoint_seconds).run("train", folder, walk, step or walk.step, TOTAL, 4, **more)
    return walk


def log_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


def killed_at(folder: Path, last: int) -> None:
    walk = Walk()

    def step(number: int) -> dict[str, Tensor]:
        if number == last:
            raise Killed
        return walk.step(number)

    with pytest.raises(Killed):
        go(folder, step, checkpoint_seconds=0.01, walk=walk)


def saved_step(folder: Path) -> int:
    found = checkpoint.load_latest(folder, pytest.fail)
    return -1 if found is None else found["tally"]["step"]


def test_a_resumed_run_equals_an_undisturbed_one(tmp_path: Path) -> None:
    alone = go(tmp_path / "alone")
    for last in (333, 334, 702, 999):
        killed_at(tmp_path / "killed", last)
        assert saved_step(tmp_path / "killed") > 0
    again = go(tmp_path / "killed")
    assert torch.equal(again.place, alone.place)
    assert torch.equal(again.rng.get_state(), alone.rng.get_state())
    assert log_of(tmp_path / "killed") == log_of(tmp_path / "alone")


def test_the_log_is_the_mean_since_the_line_before(tmp_path: Path) -> None:
    go(tmp_path)
    lines = log_of(tmp_path)
    assert [line["step"] for line in lines] == list(range(5, TOTAL + 1, 5))
    assert [line["images"] for line in lines] == [4 * line["step"] for line in lines]
    assert [line["number"] for line in lines] == pytest.approx([line["step"] - 3 for line in lines])


def test_lines_after_the_checkpoint_and_half_lines_go(tmp_path: Path) -> None:
    go(tmp_path / "alone")
    killed_at(tmp_path / "killed", 500)
    path = tmp_path / "killed" / "train.jsonl"
    at = saved_step(tmp_path / "killed")
    with path.open("a") as file:
        file.write(json.dumps({"step": at + 1, "images": 0, "place": 0.0}) + "\n" + '{"step": 3, "pla')
    go(tmp_path / "killed")
    assert log_of(tmp_path / "killed") == log_of(tmp_path / "alone")


def test_a_log_without_a_checkpoint_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"step": 1, "images": 4}\n')
    go(tmp_path)
    assert len(log_of(tmp_path)) == TOTAL / 5


def test_a_finished_run_makes_no_step(tmp_path: Path) -> None:
    end = go(tmp_path).place

    def step(number: int) -> dict[str, Tensor]:
        raise AssertionError("no step is left")

    assert torch.equal(go(tmp_path, step).place, end)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(tmp_path: Path, bad: float) -> None:
    walk = Walk()

    def step(number: int) -> dict[str, Tensor]:
        losses = walk.step(number)
        return {**losses, "place": torch.tensor(bad)} if number == 600 else losses

    with pytest.raises(Diverged, match="the loss place is not finite at step 601"):
        go(tmp_path, step, checkpoint_seconds=0.01, walk=walk)
    assert 0 < saved_step(tmp_path) <= 600
    assert all(line["step"] <= 600 for line in log_of(tmp_path))
    assert all(torch.isfinite(torch.tensor(line["place"])) for line in log_of(tmp_path))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_saves_and_leaves(tmp_path: Path, number: signal.Signals) -> None:
    alone = go(tmp_path / "alone")
    walk = Walk()

    def step(at: int) -> dict[str, Tensor]:
        if at == 123:
            os.kill(os.getpid(), number)
        return walk.step(at)

    before = signal.getsignal(number)
    with Signals() as signals, pytest.raises(Interrupted, match=rf"{number.name}: train is saved at step 124/{TOTAL}"):
        go(tmp_path / "it", step, walk=walk, signals=signals)
    assert signal.getsignal(number) == before
    assert saved_step(tmp_path / "it") == 124
    again = go(tmp_path / "it")
    assert torch.equal(again.place, alone.place)
    assert log_of(tmp_path / "it") == log_of(tmp_path / "alone")


def test_a_signal_in_the_last_step_does_not_undo_the_end(tmp_path: Path) -> None:
    walk = Walk()

    def step(at: int) -> dict[str, Tensor]:
        if at == TOTAL - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return walk.step(at)

    with Signals() as signals:
        go(tmp_path, step, walk=walk, signals=signals)
    assert saved_step(tmp_path) == TOTAL


def test_a_second_ctrl_c_ends_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), Signals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.received == "SIGINT"
        os.kill(os.getpid(), signal.SIGINT)
        signal.sigtimedwait([], 0)  # gives the interpreter a moment to run the handler


class Looker:
    """An observer that keeps what it is told, and the last step that is saved at each step that it sees."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.begun: list[int] = []
        self.lines: list[int] = []
        self.steps: list[int] = []
        self.saved: list[int] = []

    def begin(self, step: int) -> None:
        self.begun.append(step)

    def line(self, line: Line) -> None:
        self.lines.append(line.step)

    def after(self, step: int) -> None:
        self.steps.append(step)
        self.saved.append(saved_step(self.folder))


def test_an_observer_sees_every_step_before_it_is_saved(tmp_path: Path) -> None:
    looker, walk = Looker(tmp_path), Walk()

    def step(number: int) -> dict[str, Tensor]:
        if number == 12:
            raise Killed
        return walk.step(number)

    with pytest.raises(Killed):
        go(tmp_path, step, checkpoint_seconds=0.0, walk=walk, observer=looker)
    assert looker.begun == [0]
    assert looker.steps == list(range(1, 13))
    assert looker.lines == [5, 10] == [line["step"] for line in log_of(tmp_path)]
    assert all(saved < step for saved, step in zip(looker.saved, looker.steps))


def test_an_observer_is_told_where_training_goes_on(tmp_path: Path) -> None:
    killed_at(tmp_path, 500)
    at, looker = saved_step(tmp_path), Looker(tmp_path)
    looker.after = looker.steps.append  # type: ignore[method-assign]  # loading a checkpoint each time takes long
    go(tmp_path, observer=looker)
    assert at > 0 and looker.begun == [at]
    assert looker.steps == list(range(at + 1, TOTAL + 1))
    assert looker.lines == [line["step"] for line in log_of(tmp_path) if line["step"] > at]


def test_seconds_are_those_inside_the_steps_of_all_processes(tmp_path: Path) -> None:
    """Thirty steps of 10 ms before the kill count as well."""
    import time

    walk = Walk()

    def slow(number: int) -> dict[str, Tensor]:
        if number < 30:
            time.sleep(0.01)
        if number == 60:
            raise Killed
        return walk.step(number)

    with pytest.raises(Killed):
        go(tmp_path, slow, checkpoint_seconds=0.0, walk=walk)
    loop = Loop(CPU, Reporter(every=1e9), 1e9)
    again = Walk()
    spent = loop.run("train", tmp_path, again, again.step, TOTAL, 4)
    assert spent.seconds > 0.3


def test_losses_of_bfloat16_are_summed_in_float32(tmp_path: Path) -> None:
    """500 times 0.707 makes 354; a sum in bfloat16 ends below 257, where its grid is coarser than the loss."""
    tally = _Tally()
    for _ in range(500):
        tally.add({"loss": torch.tensor(0.70703125, dtype=torch.bfloat16)})
    assert tally.means() == {"loss": 0.70703125}


def test_a_run_on_another_device_resumes(tmp_path: Path) -> None:
    """`meta` stands for a GPU: a generator takes its state from the CPU alone, and sums go to the device."""
    killed_at(tmp_path, 502)
    at, walk = saved_step(tmp_path), Walk()
    reporter = Reporter(None, every=1e9)
    reporter.say = lambda message: None  # type: ignore[method-assign]
    tally = Loop(Compute(torch.device("meta")), reporter)._resume("train", tmp_path, walk)
    assert tally.step == at
    assert {value.device.type for value in tally.sums.values()} <= {"meta"}
    payload = checkpoint.load_latest(tmp_path, pytest.fail)
    assert payload is not None
    assert torch.equal(walk.rng.get_state(), payload["state"]["rng"])
