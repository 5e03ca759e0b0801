"""`bench run` and `bench evaluate`: from what was typed or frozen to a RunSpec, and what is printed around it."""

import hashlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import config as configs
from bench import store
from bench.errors import DIVERGED, Unfit, UserError
from bench.files import writable_folder
from bench.frozen import Frozen
from bench.leaderboard import show as shown
from bench.metrics import METRICS
from bench.metrics import find as find_metric
from bench.metrics.anchors import ANCHORS
from bench.progress import Reporter, clock
from bench.registry import entries, find
from bench.runstate import CANCELLED, RunState
from bench.signals import Signals
from bench.spec import RunSpec


@dataclass(frozen=True)
class Request:
    """What to run, as typed."""

    method: str
    dataset: str
    target_size: int
    seed: int = 0
    subset_seed: int = 0
    preset: str | None = None
    settings: tuple[str, ...] = ()
    resolution: int | None = None
    budget_kimg: float | None = None
    amp: str = "off"


@dataclass(frozen=True)
class Machine:
    """Where and how to run it, as typed."""

    results: Path
    device: str | None
    threads: int
    metrics: str | None
    channels_last: bool = False
    checkpoint_seconds: float = 60.0
    compile: bool = False


def run(request: Request, machine: Machine, dry_run: bool) -> None:
    """Carries out `bench run`; exits with code 3 if the training diverged."""
    metrics = metric_names(machine.metrics)
    find("datasets", request.dataset)
    if request.method not in ANCHORS:
        find("methods", request.method)
    with Signals() as signals:
        reporter = Reporter(signals, name=request.method)
        compute = _compute(machine, request.amp)
        spec = specify(request, compute.device.type == "cuda", reporter.say)
        data = _task(spec, reporter)
        _announce(spec, compute, machine, reporter)
        if not dry_run:
            _carry_out(spec, data, _options(machine, compute, metrics), reporter)


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
        compute = _compute(machine, spec.amp)
        data = _task(spec, reporter)
        options = replace(_options(machine, compute, metric_names(machine.metrics)), submitted=frozen.submitted)
        if frozen.stage:
            from bench import runner

            state = RunState(path.parent)
            with state.running():
                reporter.progress = state.progress
                runner.prepare(spec, data, options, reporter)
            state.update(state="done")
            return
        _announce(spec, compute, machine, reporter)
        _carry_out(spec, data, options, reporter)


def _carry_out(spec: RunSpec, data: Any, options: Any, reporter: Reporter) -> None:
    from bench import runner

    began = time.monotonic()
    folder, record = runner.run(spec, data, options, reporter)
    record = _complete(folder, record, data, options, reporter)
    _conclude(folder, record, reporter, time.monotonic() - began)
    if record["status"] == "diverged":
        raise SystemExit(DIVERGED)


def _options(machine: Machine, compute: Any, metrics: tuple[str, ...] | None) -> Any:
    from bench import runner

    results = writable_folder(machine.results, "results folder")
    return runner.Options(results, compute, machine.threads, metrics, machine.checkpoint_seconds)


def specify(request: Request, gpu: bool, say: Callable[[str], None]) -> RunSpec:
    """The run that was asked for. gpu: whether it will run on one, which chooses the preset where none was named."""
    from bench.locate import checked_resolution, full_name, make

    dataset = make(request.dataset)
    values: dict[str, Any] | None = None
    name, kind, preset, resolution = request.method, "anchor", "", request.resolution
    if request.method not in ANCHORS:
        entry = find("methods", request.method)
        name, kind = entry.name, "method"
        preset = request.preset or ("paper" if gpu else "cpu")
        cls = entry.load()
        config = configs.build(cls.Config, cls.presets, preset, _settings(request))
        largest = find("datasets", request.dataset).facts.get("resolution")
        if not _asked_resolution(request) and largest and largest < config.resolution:
            say(f"resolution {largest}: {request.dataset} has no more (preset {preset}: {config.resolution})")
            config = replace(config, resolution=largest)
        values, resolution = configs.as_json(config), config.resolution
    elif request.preset or request.settings or request.budget_kimg:
        raise UserError(
            f"the anchor row {request.method!r} trains nothing: leave out --preset, --set and --budget-kimg"
        )
    return RunSpec(
        method=name,
        dataset=full_name(dataset),
        target_size=request.target_size,
        resolution=checked_resolution(dataset, resolution),
        seed=request.seed,
        subset_seed=request.subset_seed,
        kind=kind,
        preset=preset,
        config=values,
        amp=request.amp,
    )


def _task(spec: RunSpec, reporter: Reporter) -> Any:
    """Raises Unfit where the method cannot do it."""
    from bench.runner import unfit
    from bench.task import load_task

    data = load_task(spec.dataset, spec.target_size, spec.resolution, spec.subset_seed, reporter.tick)
    if reason := unfit(spec, data):
        raise Unfit(f"{spec.method} cannot do this: {reason}")
    return data


def _compute(machine: Machine, amp: str) -> Any:
    import torch

    from bench.compute import Compute, keep_freed_memory

    if machine.threads < 1:
        raise UserError(f"--threads {machine.threads}: at least 1")
    torch.set_num_threads(machine.threads)
    keep_freed_memory()
    return Compute.choose(machine.device, amp, machine.channels_last, machine.compile)


def _settings(request: Request) -> list[str]:
    """--resolution and --budget-kimg are fields of every Config."""
    settings = list(request.settings)
    if request.resolution is not None:
        settings.append(f"resolution={request.resolution}")
    if request.budget_kimg is not None:
        settings.append(f"budget_kimg={request.budget_kimg}")
    return settings


def _asked_resolution(request: Request) -> bool:
    return any(setting.startswith("resolution=") for setting in _settings(request))


def metric_names(names: str | None) -> tuple[str, ...] | None:
    """Of --metrics; None: all. Raises UserError for an unknown one."""
    if names is None:
        return None
    chosen = tuple(name.strip() for name in names.split(",") if name.strip() and name.strip() != "none")
    for name in chosen:
        find_metric(name)
    return chosen


def _announce(spec: RunSpec, compute: Any, machine: Machine, reporter: Reporter) -> None:
    chosen = f"preset {spec.preset}" if spec.preset else "anchor row"
    reporter.say(
        f"{spec.method} on {spec.dataset}, {spec.target_size} target images at {spec.resolution} px, seed {spec.seed}: "
        f"{chosen}, {compute.device}, {machine.threads} thread(s), amp {compute.amp}"
    )
    if spec.config:
        reporter.say("config: " + ", ".join(f"{key}={value}" for key, value in spec.config.items()))
    reporter.say(f"folder: {spec.folder(machine.results)}")


def _conclude(folder: Path, record: dict[str, Any], reporter: Reporter, wall: float) -> None:
    for name, metric in METRICS.items():
        value = record["metrics"].get(name)
        if value and value["value"] is not None:
            reporter.say(f"  {name:<18} {value['value'] * metric.scale:10.4g}   n {value['n_gen']}/{value['n_ref']}")
    cost = record["cost"]
    reporter.say(
        f"{record['status']} in {clock(wall)}: prepare {clock(cost['prepare_seconds'])}, "
        f"train {clock(cost['train_seconds'])}, measure {clock(cost['evaluate_seconds'])}"
    )
    reporter.say(f"record: {folder / 'record.json'}")
    if (folder / "samples.png").exists():
        reporter.say(f"pictures: {folder / 'samples.png'}")


def _complete(folder: Path, record: dict[str, Any], data: Any, options: Any, reporter: Reporter) -> dict[str, Any]:
    """A run that was done already gets the metrics that were asked for by name; of others it only says so."""
    from bench import remeasure as again

    lacking = again.lacking(record, options.metrics)
    if lacking and options.metrics is not None:
        return again.complete(folder, options, reporter, lambda _: data)
    if lacking:
        reporter.say(f"not measured yet: {', '.join(lacking)}; to add them: python -m bench remeasure {folder}")
    return record


@dataclass(frozen=True)
class Choice:
    """Which finished runs, as typed: by name, or all that these filters leave."""

    runs: tuple[str, ...] = ()
    everything: bool = False
    dataset: str | None = None
    method: str | None = None


def remeasure(choice: Choice, machine: Machine) -> None:
    """Carries out `bench remeasure`."""
    metrics = metric_names(machine.metrics)
    folders = _chosen(choice, machine.results)
    with Signals() as signals:
        reporter = Reporter(signals, name="remeasure")
        compute = _compute(machine, "off")
        from bench import remeasure as again
        from bench.runner import Options

        again.remeasure(folders, Options(machine.results, compute, machine.threads, metrics), reporter)


def _chosen(choice: Choice, results: Path) -> list[Path]:
    """The folders of the runs, those of one data set and target size in a row."""
    filtered = choice.everything or choice.dataset is not None or choice.method is not None
    if bool(choice.runs) == filtered:
        raise UserError("name runs (a folder or a part of its path), or choose with --all, --dataset and --method")
    if choice.runs:
        return [shown.find(run, results) for run in choice.runs]
    records = [
        r
        for r in store.read_all(results, lambda message: print(message, file=sys.stderr))
        if choice.dataset in (None, r["identity"]["dataset"]) and choice.method in (None, r["identity"]["method"])
    ]
    diverged = [record for record in records if record["status"] == "diverged"]
    if diverged:
        print(f"{len(diverged)} diverged runs have nothing to measure")
    if len(records) == len(diverged):
        raise UserError(f"no finished run below {results} is of that kind; see: python -m bench leaderboard")
    return [Path(record["folder"]) for record in records if record["status"] != "diverged"]


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
        compute = _compute(machine, request.amp)
        from bench import runner
        from bench.outside import read_outputs
        from bench.task import load_task

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
        results = writable_folder(machine.results, "results folder")
        options = runner.Options(results, compute, machine.threads, metrics)
        folder, record = runner.run(spec, data, options, reporter, outside=pixels)
        record = _complete(folder, record, data, options, reporter)
    _conclude(folder, record, reporter, time.monotonic() - began)
