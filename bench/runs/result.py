"""The record of a run that has ended."""

from datetime import datetime, timezone
from typing import Any

from msgspec import UNSET

from bench.core.provenance import collect
from bench.core.sources import plugin_versions
from bench.data.task import TaskData
from bench.metrics import Value
from bench.runs.context import RunContext
from bench.runs.frozen import Begun, this_code
from bench.runs.measure import weights_used
from bench.runs.record import Cost, Identity, Provenance, Record, TaskFacts, read_record, write_record
from bench.runs.spec import RunSpec
from bench.training.needs import kind_of_method


def provenance_of(context: RunContext, values: dict[str, Value], **more: Any) -> Provenance:
    """Where values come from that this process measured; `more` are further fields of Provenance."""
    facts = collect(
        str(context.compute.device), context.settings.threads, context.data.manifest_sha256, weights_used(values)
    )
    code = this_code(context.spec)
    plugins = plugin_versions(context.spec.trained_by, context.spec.dataset)
    return Provenance(**{**facts, "source_sha256": code.source_sha256, "plugins": plugins, **more})


def write_result(
    context: RunContext,
    begun: Begun,
    cost: Cost,
    values: dict[str, Value],
    outputs: dict[str, str],
    diverged: str | None = None,
) -> Record:
    """Writes record.json and reads it back.

    outputs   the sha256 of each file of outputs
    diverged  why there are no values
    """
    provenance = provenance_of(
        context,
        values,
        channels_last=context.compute.channels_last,
        compile=context.compute.compile,
        cuda_graphs=context.compute.cuda_graphs or None,
        recompute=context.compute.recompute or None,
        precision=context.compute.precision,
        submitted=context.submitted or UNSET,
        starts=begun.starts if len(begun.starts) > 1 else UNSET,
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
        outputs=outputs,
    )
    write_record(context.folder, record)
    return read_record(context.folder / "record.json")


def _identity(spec: RunSpec, data: TaskData) -> Identity:
    values = {key: value for key, value in vars(spec).items() if key != "config"}
    kind = kind_of_method(spec.method) if spec.kind == "method" else None
    return Identity(**values, config_hash=spec.config_hash, protocol=data.protocol, method_kind=kind)


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
