"""A finished run's method, ready to translate: built from the run's config, with the weights of its last checkpoint."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import UserError, is_out_of_memory
from bench.core.paths import artifacts_folder
from bench.core.progress import Reporter
from bench.data.task import TaskData, load_task
from bench.runs.build import build_method, task_of
from bench.runs.frozen import this_code
from bench.runs.record import Record, read_record
from bench.runs.remeasure import spec_of
from bench.runs.settings import RunSettings
from bench.runs.spec import RunSpec
from bench.training import checkpoint
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.loop import Loop
from bench.training.method import Method
from bench.use.trained import References, Trained


def load_run(folder: Path, settings: RunSettings, reporter: Reporter) -> Trained:
    """The trained method of the finished run in this folder.

    What the method prepares before training (its classes, for one) is prepared again; artifacts are found.

    Raises UserError where the run has no network, has diverged, has lost its checkpoint or its data, or was trained by
    code whose networks are others.
    """
    record = read_record(folder / "record.json")
    check_network(folder, record)
    spec = spec_of(record)
    compute = compute_of(spec, settings)
    data = _data_of(folder, record)
    if this_code(spec).source_sha256 != record.provenance.source_sha256:
        reporter.say(f"the code has changed since {folder} was trained: what it makes may differ from its record")
    method = build_method(spec, data, compute)
    method.prepare(data, Artifacts(artifacts_folder(), Loop(compute, reporter)))
    if method.companion is not None:
        raise UserError(
            f"{folder} translates a source together with its image in {method.companion}, which images of your own do "
            f"not have; take a run with companion=false"
        )
    state = checkpoint.load_latest(folder, reporter.say)
    if state is None:
        raise UserError(f"{folder} has no checkpoint, so its network is gone; train it again with bench run --force")
    try:
        load_networks(method, state["state"])
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        raise checkpoint.unfit(folder, error) from None
    return Trained(
        f"{folder.parent.name}/{folder.name}", spec, task_of(data), method, compute, record, _references(method, data)
    )


def compute_of(spec: RunSpec, settings: RunSettings) -> Compute:
    """The device, in the precision of the run; where a CPU cannot do that, in float32."""
    compute = settings.compute("off")
    fits = spec.amp != "fp16" or compute.device.type != "cpu"
    return replace(compute, amp=spec.amp if fits else "off")


def check_network(folder: Path, record: Record) -> None:
    """Raises UserError for the record of a run that has no trained network."""
    if record.identity.kind != "method":
        what = "an anchor row" if record.identity.kind == "anchor" else "another program's images"
        raise UserError(f"{folder} is {what}: it has no network of ours; take a run of a method")
    if record.status != "done":
        raise UserError(f"{folder} diverged ({record.error}); take another run")


def load_networks(method: Method, state: dict[str, Any]) -> None:
    """Loads the states of networks and averages, by name, and makes the method ready to translate.

    Networks that `state` does not name stay as they are.
    """
    for group, networks in (("networks", method.networks), ("ema", method.ema)):
        for name, values in state[group].items():
            networks[name].load_state_dict(values)
    method.train(False)


def _data_of(folder: Path, record: Record) -> TaskData:
    identity = record.identity
    data = load_task(identity.dataset, identity.target_size, identity.resolution, identity.subset_seed)
    if data.manifest_sha256 != record.task.manifest_sha256:
        raise UserError(f"the data of {folder} changed since it ran; put the old files back, or make a new run")
    return data


def _references(method: Method, data: TaskData) -> References:
    classes = np.asarray(method.target_classes(data), dtype=np.int64)
    of_data = np.array_equal(classes, data.target_train.labels)
    names = {c: data.label_names[c] if of_data and c >= 0 else str(c) for c in np.unique(classes).tolist()}
    return References(data.target_train.images, classes, names)
