"""The life of one run: prepare -> train -> translate -> measure -> record. A stage finds what the last one left."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from msgspec import UNSET

from bench.core.errors import Unfit, UserError
from bench.core.ownership import Ownership
from bench.core.paths import artifacts_folder
from bench.core.progress import Reporter
from bench.core.provenance import collect
from bench.core.registry import find
from bench.core.typed import read_typed, write_typed
from bench.data import montage as picture
from bench.data.task import TaskData
from bench.metrics import Value
from bench.runs import curves as figures
from bench.runs import outputs as measure
from bench.runs import record as store
from bench.runs.frozen import Begun, this_code
from bench.runs.record import Code, Cost, Identity, Provenance, Record, TaskFacts, no_cost
from bench.runs.spec import RunSpec
from bench.runs.state import RunState
from bench.runs.translate import Translator
from bench.training import checkpoint
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.config import from_json
from bench.training.loop import Diverged, Loop
from bench.training.method import Method, Task
from bench.training.pace import Pace
from bench.training.sampler import Sampler


@dataclass(frozen=True)
class Options:
    """How a run is carried out; none of this decides its result."""

    results: Path
    compute: Compute
    threads: int = 1
    metrics: tuple[str, ...] | None = None  # None: all
    checkpoint_seconds: float = 60.0
    submitted: Code | None = None  # the code when a sweep froze the run


def run(
    spec: RunSpec, data: TaskData, options: Options, reporter: Reporter, outside: np.ndarray | None = None
) -> tuple[Path, Record]:
    """Runs a spec to its record; does nothing where the record is there. Returns the run's folder and its record.

    outside  uint8 (n, 3, R, R), the translations of another program; only for a spec of kind "external"

    Raises Busy if another process works on this run, Interrupted after a signal (state saved).
    """
    folder = spec.folder(options.results)
    with owned(folder, reporter):
        if (folder / "record.json").exists():
            reporter.say(f"already done: {folder}")
            return folder, store.read(folder / "record.json")
        state = RunState(folder)
        with state.running():
            reporter.progress = state.progress
            record = _to_record(folder, spec, data, options, reporter, outside)
        state.update(state=record.status, error=record.error)
        return folder, record


def _to_record(
    folder: Path, spec: RunSpec, data: TaskData, options: Options, reporter: Reporter, outside: np.ndarray | None
) -> Record:
    _freeze(folder, spec, data, options)
    outputs = measure.Files(folder)
    if not outputs.complete:
        try:
            cost = _make_outputs(spec, data, options, reporter, outputs, outside)
        except Diverged as error:
            reporter.say(f"diverged: {error}")
            figures.write(folder)
            return _record(folder, spec, data, options, {}, no_cost(), {}, str(error))
        figures.write(folder)
        outputs.finish(cost)
    cost = outputs.cost
    began = time.perf_counter()
    if spec.kind != "anchor":
        write_nearest(folder, outputs.read().translated, data)
    values, weights = measure.measure(spec, data, outputs, options, reporter)
    cost.evaluate_seconds = time.perf_counter() - began
    cost.peak_memory_bytes = max(cost.peak_memory_bytes or 0, options.compute.peak_memory())
    checkpoint.keep_latest(folder)
    return _record(folder, spec, data, options, values, cost, weights, None)


def prepare(spec: RunSpec, data: TaskData, options: Options, reporter: Reporter) -> None:
    """The slow stages before training alone: what they make are artifacts, which the run then finds."""
    method = build(spec, data, options.compute)
    method.prepare(data, _artifacts(options, reporter))


def _artifacts(options: Options, reporter: Reporter) -> Artifacts:
    return Artifacts(artifacts_folder(), Loop(options.compute, reporter, options.checkpoint_seconds))


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
    if spec.kind != "method":
        return None
    cls = find("methods", spec.method).load()
    try:
        cls.check(task_of(data), from_json(cls.Config, spec.config or {}), data)
    except Unfit as reason:
        return str(reason)
    return None


def _make_outputs(
    spec: RunSpec,
    data: TaskData,
    options: Options,
    reporter: Reporter,
    outputs: measure.Files,
    outside: np.ndarray | None,
) -> Cost:
    if outside is not None:
        outputs.write(measure.Made(outside))
        return no_cost()
    if spec.kind == "anchor":
        outputs.write(measure.Made(measure.anchor_outputs(spec, data)))
        return no_cost()
    folder = outputs.folder
    method = build(spec, data, options.compute)
    artifacts = _artifacts(options, reporter)
    began = time.perf_counter()
    method.prepare(data, artifacts)
    prepared = time.perf_counter() - began
    translator = Translator(method, data, spec.seed, options.compute, reporter)
    sampler = Translator(method, data, spec.seed, options.compute, reporter)

    pace = Pace(options.compute)

    def sample(step: int) -> None:
        with pace.pause(step * method.images_per_step):
            write_samples(folder, sampler, data)

    with options.compute.memory_growth() as growth:
        trained = _train(spec, data, options.compute, artifacts.loop, folder, method, sample)
    method.train(False)
    outputs.write(translator.everything())
    write_samples(folder, sampler, data)
    images = method.total_steps * method.images_per_step
    counts = {name: sum(p.numel() for p in net.parameters()) for name, net in method.networks.items()}
    return Cost(
        prepare_seconds=prepared,
        train_seconds=trained,
        translate_seconds=translator.seconds,
        images_seen=images,
        images_per_second=images / max(trained, 1e-9),
        parameters=sum(counts.values()),
        peak_memory_bytes=options.compute.peak_memory(),
        train_memory_bytes=growth[0],
        images_per_calibration=pace.images_per_calibration,
        multiply_adds=sampler.multiply_adds(),
        parameters_by_network=counts,
    )


def build(spec: RunSpec, data: TaskData, compute: Compute) -> Method:
    """The method of a run with its networks initialised from the run's seed, on its device."""
    cls = find("methods", spec.method).load()
    task = task_of(data)
    seeds = np.random.SeedSequence(spec.seed).generate_state(2, np.uint64)
    torch.manual_seed(int(seeds[0]))
    method: Method = cls(task, from_json(cls.Config, spec.config or {}))
    method.to(compute.device, compute.channels_last)
    method.scaler = compute.scaler()
    method.rng.manual_seed(int(seeds[1]))
    compute.compile_networks(
        {**method.networks, **{f"average of {n}": net for n, net in method.ema.items()}}, cls.second_order
    )
    return method


def task_of(data: TaskData) -> Task:
    """What a method may know before it sees images."""
    domains = [data.source_train, data.target_train, *data.others.values()]
    return Task(
        resolution=data.resolution,
        n_source=len(data.source_train),
        n_target=len(data.target_train),
        n_labels=len(data.label_names),
        channels=data.source_train.bank.images.shape[1],
        names=tuple(domain.name for domain in domains),
        kinds=tuple(domain.kind for domain in domains),
        label_names=data.label_names,
    )


def _train(
    spec: RunSpec, data: TaskData, compute: Compute, loop: Loop, folder: Path, method: Method, sample: Any
) -> float:
    sampler = Sampler(method.streams(data), data, spec.seed, compute)
    method.train()

    def step(number: int) -> dict[str, torch.Tensor]:
        losses = method.train_step(sampler.batch(number))
        for schedule in method.schedulers.values():
            schedule.step()
        return losses

    def sample_and_go_on(number: int) -> None:
        method.train(False)
        sample(number)
        method.train()

    return loop.run("train", folder, method, step, method.total_steps, method.images_per_step, sample_and_go_on)


def write_samples(folder: Path, translator: Translator, data: TaskData) -> None:
    """samples.png: held-out sources, their translations, and the ground truth where there is one."""
    rows = picture.sample_rows(len(data.source_test))
    lines = [data.source_test.images(rows), translator.outputs(rows, "samples")]
    truth = data.truth[rows]
    if (truth >= 0).all():
        lines.append(data.target_test.images(truth))
    picture.save(folder / "samples.png", picture.grid(lines, scale=picture.sample_scale(data.resolution)))


@contextmanager
def owned(folder: Path, reporter: Reporter) -> Iterator[None]:
    """Only this process works on the run meanwhile. Raises Busy if another one does."""

    def lost() -> None:
        reporter.signals.received = reporter.signals.received or "another process took the run over"

    with Ownership(folder, lost):
        for half_written in folder.glob(".*.tmp"):  # by a process that was killed
            half_written.unlink(missing_ok=True)
        yield


def write_nearest(folder: Path, translated: np.ndarray, data: TaskData) -> None:
    """nearest.png: measured translations of the sources of samples.png, and for each the nearest image of the target
    training subset and of the held-out target images (which nobody can have copied)."""
    made = translated[picture.sample_rows(len(translated))]
    lines = [made]
    for real in (data.target_train.images(), data.target_test.images()):
        lines.append(real[picture.nearest(made, real)])
    picture.save(folder / "nearest.png", picture.grid(lines, scale=picture.sample_scale(data.resolution)))


def _freeze(folder: Path, spec: RunSpec, data: TaskData, options: Options) -> None:
    path = folder / "config.json"
    code = this_code()
    begun = Begun(
        spec=spec,
        manifest_sha256=data.manifest_sha256,
        subset_sha256=data.subset_sha256,
        commit=code.commit,
        source_sha256=code.source_sha256,
        submitted=options.submitted or UNSET,
    )
    if path.exists():
        earlier = read_typed(path, Begun, f"move {folder} away or use another --results")
        if not begun.same_data(earlier):
            raise UserError(
                f"{folder} was begun on other data (see config.json); move it away or use another --results"
            )
        return
    write_typed(path, begun)


def _record(
    folder: Path,
    spec: RunSpec,
    data: TaskData,
    options: Options,
    values: dict[str, Value],
    cost: Cost,
    weights: dict[str, str],
    diverged: str | None,
) -> Record:
    provenance = Provenance(
        **collect(str(options.compute.device), options.threads, data.manifest_sha256, weights),
        channels_last=options.compute.channels_last,
        compile=options.compute.compile,
        submitted=options.submitted or UNSET,
    )
    record = Record(
        identity=_identity(spec, data),
        task=_task_facts(data),
        config=spec.config or {},
        status="diverged" if diverged else "done",
        error=diverged,
        metrics=values,
        cost=cost,
        provenance=provenance,
        finished=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    store.write(folder, record)
    return store.read(folder / "record.json")


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
        subset_sha256=data.subset_sha256,
        manifest_sha256=data.manifest_sha256,
        manifest=_manifest(data),
    )


def _manifest(data: TaskData) -> dict[str, Any]:
    """The bank's manifest with its counts summed over labels."""
    whole = data.source_train.bank.manifest
    counts = {d: {split: sum(n.values()) for split, n in splits.items()} for d, splits in whole["counts"].items()}
    return {**{key: whole[key] for key in ("dataset", "version", "protocol", "content_sha256")}, "counts": counts}
