"""The life of one run: prepare -> train -> translate -> measure -> record. A stage finds what the last one left."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np

from bench.core.errors import Unfit
from bench.core.ownership import Ownership
from bench.core.progress import Reporter
from bench.core.registry import find
from bench.data.task import TaskData
from bench.runs import curves
from bench.runs.begin import begin, say_done, set_aside
from bench.runs.build import build_method, task_of
from bench.runs.context import RunContext
from bench.runs.measure import anchor, measure_each
from bench.runs.outputs import OutputFiles, outputs_of
from bench.runs.record import Cost, Record, no_cost, read_record
from bench.runs.result import write_result
from bench.runs.samples import write_nearest
from bench.runs.spec import RunSpec
from bench.runs.state import RunState
from bench.runs.training import images_to_see, train, train_and_translate
from bench.training import checkpoint
from bench.training.config import from_json
from bench.training.loop import Diverged

ENDED, TRAINS = 0, 1  # what rank 0 tells the others: the run has its record, or a training begins


def run(context: RunContext, outside: np.ndarray | None = None, force: bool = False) -> Record:
    """Brings a run to its record and returns that; does nothing where the record is there.

    outside  uint8 (n, 3, R, R), the translations of another program; only for a spec of kind "external"
    force    begins the run anew; what it has left, a record among it, is kept in the folder `earlier`

    Raises Busy if another process works on this run, Interrupted after a signal (state saved), UserError for a run
    that was begun on other data or is trained halfway by other code.
    """
    folder, reporter = context.folder, context.reporter
    with owned(folder, reporter):
        if force and (kept := set_aside(folder)):
            reporter.say(f"begins anew; what was there is kept in {kept}")
        if (folder / "record.json").exists():
            record = read_record(folder / "record.json")
            say_done(context, record)
            return record
        state = RunState(folder)
        with state.running():
            reporter.progress = state.progress
            with closing(context.live):
                record = _to_record(context, outside)
        state.update(state=record.status, error=record.error)
        return record


def follow(context: RunContext) -> Record:
    """The part of a process that only trains beside rank 0, which carries out the run; returns its record."""
    ranks = context.compute.ranks
    if ranks.told(ENDED) == TRAINS:
        artifacts = context.artifacts()
        method = build_method(context.spec, context.data, context.compute, images_to_see(context, artifacts))
        method.prepare(context.data, artifacts)
        with suppress(Diverged):  # rank 0 writes it down
            train(context, method)
        ranks.told(ENDED)
    return read_record(context.folder / "record.json")


def prepare(context: RunContext) -> None:
    """The slow stages before training alone: what they make are artifacts, which the run then finds."""
    build_method(context.spec, context.data, context.compute).prepare(context.data, context.artifacts())


def unfit(spec: RunSpec, data: TaskData) -> str | None:
    """Why this method with this config cannot do this task, in one line that names the mend; None where it can.

    Cheap: nothing is built. The Config itself raises Unfit for a resolution that its networks cannot take.
    """
    domains = {
        "source training": data.source_train,
        "target training": data.target_train,
        "held-out source": data.source_test,
        "held-out target": data.target_test,
    }
    for what, domain in domains.items():
        if not len(domain):
            return f"{data.dataset} has no {what} images; put some into its domain {domain.name}"
    if spec.kind == "anchor" and spec.method.startswith("truth") and not (data.truth >= 0).any():
        return f"no held-out source of {data.dataset} has a ground truth; leave this anchor row out"
    if spec.kind != "method":
        return None
    cls = find("methods", spec.method).load()
    try:
        cls.check(task_of(data), from_json(cls.Config, spec.config or {}), data)
    except Unfit as reason:
        return str(reason)
    return None


def undivided(spec: RunSpec, parts: int) -> str | None:
    """Why the method cannot train with each batch in so many parts, with what mends it; None where it can."""
    if spec.kind != "method":
        return None
    cls = find("methods", spec.method).load()
    config = from_json(cls.Config, spec.config or {})
    if reason := cls.whole_batch(config):
        return f"{reason}; leave these options out"
    if getattr(config, "augment_d", "none") != "none":
        return f"augment_d={config.augment_d} draws for the whole batch; set augment_d=none"
    if config.batch_size % parts:
        return f"a batch of {config.batch_size} has no {parts} equal parts; choose a divisor"
    return None


@contextmanager
def owned(folder: Path, reporter: Reporter) -> Iterator[None]:
    """Only this process works on the run meanwhile. Raises Busy if another one does."""

    def lost() -> None:
        reporter.signals.received = reporter.signals.received or "another process took the run over"

    with Ownership(folder, lost):
        for half_written in folder.glob(".*.tmp"):  # by a process that was killed
            half_written.unlink(missing_ok=True)
        yield


def _to_record(context: RunContext, outside: np.ndarray | None) -> Record:
    folder, outputs = context.folder, OutputFiles(context.folder)
    begun = begin(context, outputs.complete)
    if not outputs.complete:
        try:
            cost = _make_outputs(context, outputs, outside)
        except Diverged as error:
            context.reporter.say(f"diverged: {error}")
            curves.write(folder)
            return write_result(context, begun, no_cost(), {}, {}, str(error))
        curves.write(folder)
        outputs.finish(cost)
    cost = outputs.cost
    began = time.perf_counter()
    if context.spec.kind != "anchor":
        write_nearest(folder, outputs.read(context.data).images, context.data)
    values = dict(measure_each(context, context.settings.metrics))
    cost.evaluate_seconds = time.perf_counter() - began
    cost.peak_memory_bytes = max(cost.peak_memory_bytes or 0, context.compute.peak_memory())
    checkpoint.keep_latest(folder)
    context.live.finish({name: value.value for name, value in values.items() if value.value is not None})
    return write_result(context, begun, cost, values, outputs.hashes())


def _make_outputs(context: RunContext, outputs: OutputFiles, outside: np.ndarray | None) -> Cost:
    if context.spec.kind == "method":
        context.compute.ranks.told(TRAINS)
        return train_and_translate(context, outputs)
    if outside is None:
        outputs.write(anchor(context.spec.method, context.data)[0])
    else:
        outputs.write(outputs_of(context.data, {"images": outside}))
    return no_cost()
