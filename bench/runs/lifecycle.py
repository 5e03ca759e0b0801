"""The life of one run: prepare -> train -> translate -> measure -> record. A stage finds what the last one left."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import UNSET

from bench.core.errors import Unfit, UserError
from bench.core.ownership import Ownership
from bench.core.progress import Reporter
from bench.core.provenance import collect
from bench.core.registry import find
from bench.core.typed import read_typed, write_typed
from bench.data.task import TaskData
from bench.metrics import Value
from bench.runs import curves
from bench.runs import record as store
from bench.runs.context import RunContext
from bench.runs.frozen import Begun, this_code
from bench.runs.measure import anchor, measure_each, weights_used
from bench.runs.outputs import OutputFiles, outputs_of
from bench.runs.record import Cost, Identity, Provenance, Record, TaskFacts, no_cost
from bench.runs.samples import write_nearest
from bench.runs.spec import RunSpec
from bench.runs.state import RunState
from bench.runs.training import build_method, task_of, train_and_translate
from bench.training import checkpoint
from bench.training.config import from_json
from bench.training.loop import Diverged


def run(context: RunContext, outside: np.ndarray | None = None) -> Record:
    """Brings a run to its record and returns that; does nothing where the record is there.

    outside  uint8 (n, 3, R, R), the translations of another program; only for a spec of kind "external"

    Raises Busy if another process works on this run, Interrupted after a signal (state saved).
    """
    folder, reporter = context.folder, context.reporter
    with owned(folder, reporter):
        if (folder / "record.json").exists():
            reporter.say(f"already done: {folder}")
            return store.read(folder / "record.json")
        state = RunState(folder)
        with state.running():
            reporter.progress = state.progress
            record = _to_record(context, outside)
        state.update(state=record.status, error=record.error)
        return record


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
    folder = context.folder
    _begin(context)
    outputs = OutputFiles(folder)
    if not outputs.complete:
        try:
            cost = _make_outputs(context, outputs, outside)
        except Diverged as error:
            context.reporter.say(f"diverged: {error}")
            curves.write(folder)
            return _record(context, {}, no_cost(), str(error))
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
    return _record(context, values, cost, None)


def _make_outputs(context: RunContext, outputs: OutputFiles, outside: np.ndarray | None) -> Cost:
    if context.spec.kind == "method":
        return train_and_translate(context, outputs)
    if outside is None:
        outputs.write(anchor(context.spec.method, context.data)[0])
    else:
        outputs.write(outputs_of(context.data, {"images": outside}))
    return no_cost()


def _begin(context: RunContext) -> None:
    """Writes config.json, or refuses a run that was begun on other data."""
    path, code = context.folder / "config.json", this_code()
    begun = Begun(
        spec=context.spec,
        manifest_sha256=context.data.manifest_sha256,
        subset_sha256=context.data.subset_sha256,
        commit=code.commit,
        source_sha256=code.source_sha256,
        submitted=context.submitted or UNSET,
    )
    if path.exists():
        earlier = read_typed(path, Begun, f"move {context.folder} away or use another --results")
        if not begun.same_data(earlier):
            raise UserError(
                f"{context.folder} was begun on other data (see config.json); move it away or use another --results"
            )
        return
    write_typed(path, begun)


def _record(context: RunContext, values: dict[str, Value], cost: Cost, diverged: str | None) -> Record:
    compute, used = context.compute, weights_used(values)
    provenance = Provenance(
        **collect(str(compute.device), context.settings.threads, context.data.manifest_sha256, used),
        channels_last=compute.channels_last,
        compile=compute.compile,
        submitted=context.submitted or UNSET,
    )
    record = Record(
        identity=_identity(context.spec, context.data),
        task=_task_facts(context.data),
        config=context.spec.config or {},
        status="diverged" if diverged else "done",
        error=diverged,
        metrics=values,
        cost=cost,
        provenance=provenance,
        finished=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    store.write(context.folder, record)
    return store.read(context.folder / "record.json")


def _identity(spec: RunSpec, data: TaskData) -> Identity:
    values = {key: value for key, value in vars(spec).items() if key != "config"}
    return Identity(**values, config_hash=spec.config_hash, protocol=data.protocol)


def _task_facts(data: TaskData) -> TaskFacts:
    return TaskFacts(
        source=data.source_train.name,
        target=data.target_train.name,
        resolution=data.resolution,
        n_source=len(data.source_train),
        n_target=len(data.target_train),
        n_source_test=len(data.source_test),
        n_target_test=len(data.target_test),
        mirror=data.mirror,
        primary=data.primary,
        subset_sha256=data.subset_sha256,
        manifest_sha256=data.manifest_sha256,
        manifest=_manifest(data),
    )


def _manifest(data: TaskData) -> dict[str, Any]:
    """The bank's manifest with its counts summed over labels."""
    whole = data.source_train.bank.manifest
    counts = {d: {split: sum(n.values()) for split, n in splits.items()} for d, splits in whole["counts"].items()}
    return {**{key: whole[key] for key in ("dataset", "version", "protocol", "content_sha256")}, "counts": counts}
