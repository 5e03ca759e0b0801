"""A budget of compute as a number of images, found before training begins.

What preparing the run takes is subtracted: all artifacts that it uses, each in full, also where another run made
them. The rest is divided by the mean FLOP of the steps of a rehearsal: a training of about ten steps, with seed 0, on
the run's own data. A method whose phases are shares of the training goes through all of them there; one that opens with
a fixed number of steps of another kind (Method.opening) rehearses both kinds. Where steps draw how much they do, a
training may end above or below the budget. The record says what it took in truth.
"""

from dataclasses import replace

from msgspec import Struct

from bench.core.errors import UserError
from bench.core.typed import Count, read_typed, write_typed
from bench.runs.build import build_method
from bench.runs.context import RunContext
from bench.training.artifacts import Artifacts
from bench.training.compute import give_back_memory
from bench.training.flop import TERA, counting
from bench.training.sampler import Sampler

FILE = "budget.json"
REHEARSAL = 10  # steps
ANEW = "begin the run anew with --force"


class Budget(Struct, frozen=True, kw_only=True):
    """budget.json: how a run came to its number of steps.

    prepare_flop, rehearsal_flop  of the artifacts, and of `rehearsed` steps together
    opening, opening_flop         steps of another kind before the rest, and the FLOP of `rehearsed` of them
    """

    tflop: float
    prepare_flop: Count
    rehearsal_flop: Count
    rehearsed: Count
    images_per_step: Count
    opening: Count = 0
    opening_flop: Count = 0

    @property
    def steps(self) -> int:
        """How many whole steps the rest of the budget pays for. Raises UserError where it pays for none."""
        left = int(self.tflop * TERA) - self.prepare_flop
        first = self.opening_flop if self.opening else self.rehearsal_flop
        steps = left * self.rehearsed // max(first, 1)
        if steps > self.opening > 0:
            left -= self.opening * self.opening_flop // self.rehearsed
            steps = self.opening + left * self.rehearsed // max(self.rehearsal_flop, 1)
        if steps < 1:
            one = first / self.rehearsed / TERA
            raise UserError(
                f"budget_tflop={self.tflop:g} does not reach: preparation takes {self.prepare_flop / TERA:.3g} TFLOP "
                f"and a step {one:.3g}; name a larger budget, or fields that make them smaller"
            )
        return steps

    @property
    def kimg(self) -> float:
        return self.steps * self.images_per_step / 1000


def kimg(context: RunContext, artifacts: Artifacts) -> float | None:
    """Thousands of images that the budget of compute pays for; None for a run whose budget counts images.

    A run that goes on keeps the number that it began with.
    """
    if context.spec.budget_tflop is None:
        return None
    path = context.folder / FILE
    if path.exists() and any(context.folder.glob("checkpoint-*.pt")):
        return read_typed(path, Budget, ANEW).kimg
    budget = _rehearse(context, artifacts, context.spec.budget_tflop)
    give_back_memory()  # else the memory of the training would be measured from that of the rehearsal
    write_typed(path, budget)
    context.reporter.say(
        f"budget of {budget.tflop:g} TFLOP: {budget.prepare_flop / TERA:.3g} for preparation, then {budget.steps} steps"
    )
    return budget.kimg


def _rehearse(context: RunContext, artifacts: Artifacts, tflop: float) -> Budget:
    compute, data = replace(context.compute, compile=False, cuda_graphs=False, recompute=False), context.data
    spec = replace(context.spec, seed=0)
    batch = (spec.config or {}).get("batch_size", 1)
    method = build_method(spec, data, compute, REHEARSAL * batch / 1000)
    method.prepare(data, artifacts)
    if artifacts.flop is None:
        folders = ", ".join(map(str, artifacts.uncounted))
        raise UserError(f"what it took to make {folders} was not counted; delete it: it is then made again")
    method.train()
    sampler = Sampler(method.streams(data), data, spec.seed, compute)

    def rehearsed() -> int:
        with counting(compiled=False) as counter:
            for number in range(method.total_steps):
                with compute.passes():
                    method.iterate(sampler.batch(number))
        return counter.flop

    opening_flop = rehearsed() if method.opening else 0
    method.skip_opening()
    return Budget(
        tflop=tflop,
        prepare_flop=artifacts.flop,
        rehearsal_flop=rehearsed(),
        rehearsed=method.total_steps,
        images_per_step=method.images_per_step,
        opening=method.opening,
        opening_flop=opening_flop,
    )
