"""Runs from what was asked to their records, with what is printed around it: what `bench.run` and the commands call."""

import hashlib
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import Unfit, UserError
from bench.core.files import writable_folder
from bench.core.progress import Quiet, Reporter
from bench.core.registry import entries, find
from bench.core.signals import Signals
from bench.metrics.anchors import ANCHORS
from bench.runs.frozen import Frozen
from bench.runs.loggers import check_installed
from bench.runs.record import Record
from bench.runs.report import announce, conclude
from bench.runs.request import RunRequest, check_metrics, specify
from bench.runs.settings import RunSettings
from bench.runs.spec import RunSpec
from bench.runs.state import CANCELLED, RunState

if TYPE_CHECKING:
    from bench.runs.context import RunContext

Finished = tuple[Path, Record]  # the folder of a run and its record


def run(
    request: RunRequest, settings: RunSettings, results: Path, quiet: bool = False, force: bool = False
) -> Finished:
    """One run from what was asked to its record. force: begin it anew, and keep what is there beside it."""
    with Signals() as signals:
        context = _asked(request, settings, results, _reporter(signals, request.method, quiet))
        return _carry_out(context, results, force=force)


def dry_run(request: RunRequest, settings: RunSettings, results: Path) -> RunSpec:
    """Says what `run` would do; writes nothing. Returns the run."""
    with Signals() as signals:
        return _asked(request, settings, results, Reporter(signals, request.method)).spec


def _reporter(signals: Signals, name: str, quiet: bool = False) -> Reporter:
    """Of several processes the first one speaks."""
    return Quiet(signals) if quiet or int(os.environ.get("RANK", 0)) > 0 else Reporter(signals, name)


def _asked(request: RunRequest, settings: RunSettings, results: Path, reporter: Reporter) -> "RunContext":
    check_metrics(settings.metrics)
    find("datasets", request.dataset)
    if request.method not in ANCHORS:
        find("methods", request.method)
    on_gpu = settings.compute(request.amp).device.type == "cuda"
    context = _context(specify(request, on_gpu, reporter.say), settings, results, reporter)
    announce(context)
    return context


def run_frozen(path: Path, results: Path, force: bool = False) -> Finished | None:
    """Carries out a run that a sweep froze: the same, without anything to choose; None where it was only a stage."""
    frozen = Frozen.read(path)
    check_metrics(frozen.settings.metrics)
    if (path.parent / CANCELLED).exists():
        raise UserError(f"{path.parent} is cancelled; bench sweep ... --retry cancelled --yes submits it anew")
    with Signals() as signals:
        reporter = _reporter(signals, frozen.spec.method)
        if changed := frozen.changed_since():
            reporter.say(changed)
        context = replace(_context(frozen.spec, frozen.settings, results, reporter), submitted=frozen.submitted)
        if frozen.stage:
            _prepare(context, path.parent)
            return None
        announce(context)
        return _carry_out(context, results, force=force)


def evaluate_folder(
    request: RunRequest,
    images: Path,
    settings: RunSettings,
    results: Path,
    force: bool = False,
    suffix: str | None = None,
) -> Finished:
    """Measures and records the images of another program, one for each held-out source, found by its id.

    suffix  what the program added to the names (see bench.data.names.images_in)
    """
    check_metrics(settings.metrics)
    find("datasets", request.dataset)
    if not request.method.strip() or not request.method.isprintable():
        raise UserError(f"--name {request.method!r} cannot be shown in a table; choose a name of printable characters")
    if request.method in ANCHORS or request.method in entries("methods"):
        raise UserError(f"--name {request.method} is one of ours; choose a name of your own")
    if not images.is_dir():
        raise UserError(f"--images {images} is not a folder; put one image for each held-out source there")
    with Signals() as signals:
        reporter = Reporter(signals, name=request.method)
        from bench.data.task import load_task
        from bench.runs.context import RunContext
        from bench.runs.outside import read_outputs

        data = load_task(request.dataset, request.target_size, request.resolution, request.subset_seed, reporter.tick)
        pixels = read_outputs(images, data, suffix)
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
        return _carry_out(RunContext(spec.folder(results), spec, data, settings, reporter), results, pixels, force)


def _context(spec: RunSpec, settings: RunSettings, results: Path, reporter: Reporter) -> "RunContext":
    """Raises Unfit where the method cannot do it."""
    from bench.data.task import load_task
    from bench.runs.context import RunContext
    from bench.runs.lifecycle import undivided, unfit

    check_installed(settings.log or ())
    data = load_task(spec.dataset, spec.target_size, spec.resolution, spec.subset_seed, reporter.tick)
    if reason := unfit(spec, data):
        raise Unfit(f"{spec.method} cannot do this: {reason}")
    if (parts := settings.parts) > 1 and (reason := undivided(spec, parts)):
        raise Unfit(f"{spec.method} cannot train with a batch in {parts} parts (--gpus, --accumulate): {reason}")
    return RunContext(spec.folder(results), spec, data, settings, reporter)


def _carry_out(context: "RunContext", results: Path, outside: Any = None, force: bool = False) -> Finished:
    """What cannot work at all is said before anything is written."""
    from bench.runs import lifecycle

    began = time.monotonic()
    writable_folder(results, "results folder")
    ranks = context.compute.ranks  # raises UserError for a device that is not there
    if not ranks.leads:
        return context.folder, lifecycle.follow(context)
    done_before = (context.folder / "record.json").exists() and not force
    record = lifecycle.run(context, outside, force)
    if done_before:
        record = _complete(context, record)
    ranks.told(lifecycle.ENDED)
    conclude(context, record, time.monotonic() - began)
    return context.folder, record


def _prepare(context: "RunContext", stage: Path) -> None:
    """`stage` is the folder where the sweep looks for the state of this stage."""
    from bench.runs import lifecycle

    state = RunState(stage)
    with state.running():
        context.reporter.progress = state.progress
        lifecycle.prepare(context)
    state.update(state="done")


def _complete(context: "RunContext", record: Record) -> Record:
    """A run that was done already gets the metrics that were asked for by name; of others it only says so."""
    from bench.runs.remeasure import complete, lacking

    names, folder = context.settings.metrics, context.folder
    missing = lacking(record, names)
    if missing and names is not None:
        return complete(folder, context.settings, context.reporter, lambda _: context.data)
    if missing:
        context.reporter.say(f"not measured yet: {', '.join(missing)}; to add them: python -m bench remeasure {folder}")
    return record
