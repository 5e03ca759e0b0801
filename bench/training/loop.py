"""The training loop: steps, log, checkpoints, resume, signals, divergence. Stages and methods share it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from bench.core.errors import Interrupted, UserError, is_out_of_memory
from bench.core.progress import Reporter
from bench.training import checkpoint, flop, log
from bench.training.compute import Compute

LOG_LINES = 200  # a whole training leaves about this many lines in its log
SAVING = 0.02  # the share of the time that training may wait for its own checkpoints
Step = Callable[[int], Mapping[str, Tensor]]


class Remembers(Protocol):
    """Anything that training changes and resuming needs."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Observer(Protocol):
    """Looks on while a loop runs, and leaves no trace in what training changes."""

    def begin(self, step: int) -> None:
        """Before the first step of this start: training goes on from `step`, and the log holds what came before."""

    def line(self, line: log.Line) -> None:
        """A new line of the log."""

    def after(self, step: int) -> None:
        """`step` steps are done; a checkpoint of them is written only afterwards, so that nothing is left out."""


class Diverged(Exception):
    """A loss is not finite; the last good checkpoint is kept."""


@dataclass(frozen=True)
class Spent:
    """What the steps of a stage took, over all processes that worked on it.

    seconds      inside the step function, and waiting for what it started on a GPU
    cpu_seconds  of all threads of the process in that time
    flop         floating-point operations, see bench.training.flop
    """

    seconds: float
    cpu_seconds: float
    flop: int


@dataclass
class _Tally:
    """What the loop itself remembers: it is part of every checkpoint."""

    step: int = 0
    seconds: float = 0.0  # as in Spent
    cpu_seconds: float = 0.0
    flop: int = 0  # of the steps that were counted
    counted: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)  # losses since the last line of the log
    count: int = 0

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Adds losses in float32, whatever autocast made of them: a sum of many bfloat16 numbers stops growing."""
        for name, value in losses.items():
            value = value.to(torch.float32, copy=True)
            self.sums[name] = value.add_(self.sums[name]) if name in self.sums else value
        self.count += 1

    def means(self) -> dict[str, float]:
        if not self.sums:
            return {}
        values = (torch.stack(list(self.sums.values())) / self.count).tolist()
        return dict(zip(self.sums, values))


class Loop:
    """Runs a step function to its end, across as many processes as it takes.

    Checkpoints are written every `checkpoint_seconds`, at a signal and at the end; where they fall changes nothing.
    Where copying the state takes long they are rarer, so that training waits for SAVING of its time at most;
    0 seconds mean after every step, whatever it costs.
    A batch and a loss must depend on the step number and the checkpointed state alone.
    `flop` adds up the operations of the stages that it ran.
    """

    def __init__(self, compute: Compute, reporter: Reporter, checkpoint_seconds: float = 60.0) -> None:
        self.compute = compute
        self.reporter = reporter
        self.checkpoint_seconds = checkpoint_seconds
        self.flop = 0

    def run(
        self,
        stage: str,
        folder: Path,
        state: Remembers,
        step: Step,
        total: int,
        images_per_step: int,
        observer: Observer | None = None,
    ) -> Spent:
        """Calls step(0) ... step(total - 1) and returns what they took, over all processes.

        Raises Interrupted after a signal (state saved) and Diverged at a loss that is not finite (state kept).
        """
        ranks = self.compute.ranks
        tally = self._resume(stage, folder, state)
        if observer:
            observer.begin(tally.step)
        began, first = time.monotonic(), tally.step
        next_save = time.monotonic() + self.checkpoint_seconds
        log_every = max(1, total // LOG_LINES)
        counted = flop.counted_steps(total)
        with checkpoint.Writer(folder) as writer:
            while tally.step < total:
                clock, cpu = time.perf_counter(), time.process_time()
                with self._counting(tally, tally.step in counted), self.compute.passes():
                    losses = step(tally.step)
                tally.add(losses)
                tally.step += 1

                log_now = tally.step % log_every == 0 or tally.step == total
                late = time.monotonic() > next_save and not (writer.busy and self.checkpoint_seconds)
                signal = self.reporter.signals.received
                due, late, stop = ranks.agree(ranks.leads and self.reporter.due(), ranks.leads and late, bool(signal))
                signal = signal or ("a signal to another process" if stop else None)
                save_now = late or tally.step == total
                if log_now or due or save_now or signal or self.compute.device.type == "cpu":
                    self._check(stage, tally)  # waits for a GPU, whose time counts as well
                tally.seconds += time.perf_counter() - clock
                tally.cpu_seconds += time.process_time() - cpu
                if due or signal or tally.step == total:
                    rate = (tally.step - first) / (time.monotonic() - began)
                    left = (total - tally.step) / rate
                    self.reporter.step(stage, tally.step, total, rate * images_per_step, tally.means(), left)
                if log_now:
                    self._log(folder, tally, images_per_step, observer)
                if observer:
                    observer.after(tally.step)
                if (save_now or signal) and ranks.leads:
                    next_save = self._save(writer, state, tally)
                if signal and tally.step < total:
                    writer.wait()
                    raise Interrupted(f"{signal}: {stage} is saved at step {tally.step}/{total}")
        flops = flop.of_all(tally.flop * ranks.count, tally.counted, total)
        spent = Spent(tally.seconds, tally.cpu_seconds, flops)
        self.flop += spent.flop
        return spent

    @contextmanager
    def _counting(self, tally: _Tally, counted: bool) -> Iterator[None]:
        """Adds the operations of a step that is `counted` to the tally."""
        if not counted:
            yield
            return
        with flop.counting(self.compute.compile) as counter:
            yield
        tally.flop += counter.flop
        tally.counted += 1

    def _check(self, stage: str, tally: _Tally) -> None:
        bad = [name for name, value in tally.means().items() if not torch.isfinite(torch.tensor(value))]
        if bad:
            raise Diverged(f"{stage}: the loss {', '.join(bad)} is not finite at step {tally.step}")

    def _resume(self, stage: str, folder: Path, state: Remembers) -> _Tally:
        folder.mkdir(parents=True, exist_ok=True)
        payload = self._load(folder)
        if payload is None:
            self._cut(folder, 0)
            return _Tally()
        try:
            state.load_state_dict(payload["state"])
            _set_random_state(payload["random"])
            tally = _Tally(**payload["tally"])
            tally.sums = {name: value.to(self.compute.device) for name, value in tally.sums.items()}
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            if is_out_of_memory(error):
                raise
            raise checkpoint.unfit(folder, error) from None
        self._cut(folder, tally.step)
        self.reporter.say(f"{stage}: goes on from step {tally.step}")
        return tally

    def _load(self, folder: Path) -> dict[str, Any] | None:
        """The newest checkpoint; of several processes the first one looks which that is, and the others load it too."""
        ranks = self.compute.ranks
        payload = checkpoint.load_latest(folder, self.reporter.say) if ranks.leads else None
        step = ranks.told(int(payload["tally"]["step"]) if payload and ranks.count > 1 else -1)
        if ranks.leads or step < 0:
            return payload
        payload = checkpoint.load_latest(folder, self.reporter.say)
        if payload is None or payload["tally"]["step"] != step:
            raise UserError(
                f"process {ranks.number} does not see the checkpoint of step {step} in {folder}; all need one disk"
            )
        return payload

    def _cut(self, folder: Path, step: int) -> None:
        if self.compute.ranks.leads:
            log.cut(folder / log.FILE, step)

    def _save(self, writer: checkpoint.Writer, state: Remembers, tally: _Tally) -> float:
        """Returns when the next checkpoint is due, by the monotonic clock."""
        began = time.monotonic()
        writer.submit(tally.step, {"state": state.state_dict(), "tally": dict(vars(tally)), "random": _random_state()})
        now = time.monotonic()
        return now + max(self.checkpoint_seconds, (now - began) / SAVING if self.checkpoint_seconds else 0.0)

    def _log(self, folder: Path, tally: _Tally, images_per_step: int, observer: Observer | None) -> None:
        line = log.Line(tally.step, tally.step * images_per_step, dict(tally.means()))
        if self.compute.ranks.leads:
            log.append(folder / log.FILE, line)
        if observer:
            observer.line(line)
        tally.sums, tally.count = {}, 0


def _random_state() -> dict[str, Any]:
    """The states of torch's global generators; every other generator belongs to the state of its owner."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def _set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["cpu"].cpu())
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda"]])
