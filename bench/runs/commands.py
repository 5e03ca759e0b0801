"""`bench run`, `evaluate` and `remeasure`: carried out, and what is printed around it."""

import hashlib
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import DIVERGED, Unfit, UserError
from bench.core.progress import Reporter, clock
from bench.core.registry import entries, find
from bench.core.signals import Signals
from bench.metrics import METRICS
from bench.metrics.anchors import ANCHORS
from bench.runs import find as choice
from bench.runs.frozen import Frozen
from bench.runs.record import Record
from bench.runs.request import Request, metric_names, specify
from bench.runs.settings import Machine
from bench.runs.spec import RunSpec
from bench.runs.state import CANCELLED, RunState

if TYPE_CHECKING:
    from bench.data.task import TaskData
    from bench.runs.lifecycle import Options
    from bench.training.compute import Compute


def run(request: Request, machine: Machine, dry_run: bool) -> None:
    """Carries out `bench run`; exits with code 3 if the training diverged."""
    metrics = metric_names(machine.metrics)
    find("datasets", request.dataset)
    if request.method not in ANCHORS:
        find("methods", request.method)
    with Signals() as signals:
        reporter = Reporter(signals, name=request.method)
        compute = machine.compute(request.amp)
        spec = specify(request, compute.device.type == "cuda", reporter.say)
        data = _task(spec, reporter)
        _announce(spec, compute, machine, reporter)
        if not dry_run:
            _carry_out(spec, data, machine.options(compute, metrics), reporter)


def run_frozen(path: Path, results: Path) -> None:
    """Carries out a run that a sweep froze: the same, without anything to choose any more."""
    frozen = Frozen.read(path)
    spec = frozen.spec
    machine = Machine(
        results,
        frozen.device,
        frozen.threads,
        frozen.metrics,
        frozen.channels_last,
        frozen.checkpoint_seconds,
        frozen.compile,
    )
    if (path.parent / CANCELLED).exists():
        raise UserError(f"{path.parent} is cancelled; bench sweep ... --retry cancelled --yes submits it anew")
    with Signals() as signals:
        reporter = Reporter(signals, name=spec.method)
        changed = frozen.changed_since()
        if changed:
            reporter.say(changed)
        compute = machine.compute(spec.amp)
        data = _task(spec, reporter)
        options = replace(machine.options(compute, metric_names(machine.metrics)), submitted=frozen.submitted)
        if frozen.stage:
            from bench.runs import lifecycle as runner

            state = RunState(path.parent)
            with state.running():
                reporter.progress = state.progress
                runner.prepare(spec, data, options, reporter)
            state.update(state="done")
            return
        _announce(spec, compute, machine, reporter)
        _carry_out(spec, data, options, reporter)


def evaluate(request: Request, images: Path, machine: Machine) -> None:
    """Carries out `bench evaluate`: one image for each held-out source, found by its id."""
    began = time.monotonic()
    metrics = metric_names(machine.metrics)
    find("datasets", request.dataset)
    if request.method in ANCHORS or request.method in entries("methods"):
        raise UserError(f"--name {request.method} is one of ours; choose a name of your own")
    if not images.is_dir():
        raise UserError(f"--images {images} is not a folder; put one image for each held-out source there")
    with Signals() as signals:
        reporter = Reporter(signals, name=request.method)
        compute = machine.compute(request.amp)
        from bench.data.task import load_task
        from bench.runs import lifecycle as runner
        from bench.runs.outside import read_outputs

        data = load_task(request.dataset, request.target_size, request.resolution, request.subset_seed, reporter.tick)
        pixels = read_outputs(images, data)
        spec = RunSpec(
            method=request.method,
            dataset=data.dataset,
            target_size=request.target_size,
            resolution=data.resolution,
            seed=request.seed,
            subset_seed=request.subset_seed,
            kind="external",
            config={"images_sha256": hashlib.sha256(pixels.tobytes()).hexdigest()},
        )
        options = machine.options(compute, metrics)
        folder, record = runner.run(spec, data, options, reporter, outside=pixels)
        record = _complete(folder, record, data, options, reporter)
    _conclude(folder, record, reporter, time.monotonic() - began)


def remeasure(chosen: choice.Choice, machine: Machine) -> None:
    """Carries out `bench remeasure`."""
    metrics = metric_names(machine.metrics)
    folders = choice.folders(chosen, machine.results)
    with Signals() as signals:
        reporter = Reporter(signals, name="remeasure")
        compute = machine.compute("off")
        from bench.runs import remeasure as again
        from bench.runs.lifecycle import Options

        again.remeasure(folders, Options(machine.results, compute, machine.threads, metrics), reporter)


def _carry_out(spec: RunSpec, data: "TaskData", options: "Options", reporter: Reporter) -> None:
    from bench.runs import lifecycle as runner

    began = time.monotonic()
    folder, record = runner.run(spec, data, options, reporter)
    record = _complete(folder, record, data, options, reporter)
    _conclude(folder, record, reporter, time.monotonic() - began)
    if record.status == "diverged":
        raise SystemExit(DIVERGED)


def _task(spec: RunSpec, reporter: Reporter) -> "TaskData":
    """Raises Unfit where the method cannot do it."""
    from bench.data.task import load_task
    from bench.runs.lifecycle import unfit

    data = load_task(spec.dataset, spec.target_size, spec.resolution, spec.subset_seed, reporter.tick)
    if reason := unfit(spec, data):
        raise Unfit(f"{spec.method} cannot do this: {reason}")
    return data


def _announce(spec: RunSpec, compute: "Compute", machine: Machine, reporter: Reporter) -> None:
    chosen = f"preset {spec.preset}" if spec.preset else "anchor row"
    reporter.say(
        f"{spec.method} on {spec.dataset}, {spec.target_size} target images at {spec.resolution} px, seed {spec.seed}: "
        f"{chosen}, {compute.device}, threads {machine.threads}, amp {compute.amp}"
    )
    if spec.config:
        reporter.say("config: " + ", ".join(f"{key}={value}" for key, value in spec.config.items()))
    reporter.say(f"folder: {spec.folder(machine.results)}")


def _conclude(folder: Path, record: Record, reporter: Reporter, wall: float) -> None:
    for name, metric in METRICS.items():
        value = record.metrics.get(name)
        if value is not None and value.value is not None:
            reporter.say(f"  {name:<18} {value.value * metric.scale:10.4g}   n {value.n_gen}/{value.n_ref}")
    cost = record.cost
    stages = {"prepare": cost.prepare_seconds, "train": cost.train_seconds, "measure": cost.evaluate_seconds}
    spent = [f"{stage} {clock(seconds or 0.0)}" for stage, seconds in stages.items()]
    reporter.say(f"{record.status} in {clock(wall)}: {', '.join(spent)}")
    reporter.say(f"record: {folder / 'record.json'}")
    if (folder / "samples.png").exists():
        reporter.say(f"pictures: {folder / 'samples.png'}")


def _complete(folder: Path, record: Record, data: "TaskData", options: "Options", reporter: Reporter) -> Record:
    """A run that was done already gets the metrics that were asked for by name; of others it only says so."""
    from bench.runs import remeasure as again

    lacking = again.lacking(record, options.metrics)
    if lacking and options.metrics is not None:
        return again.complete(folder, options, reporter, lambda _: data)
    if lacking:
        reporter.say(f"not measured yet: {', '.join(lacking)}; to add them: python -m bench remeasure {folder}")
    return record
