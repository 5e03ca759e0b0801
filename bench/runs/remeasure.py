"""Metrics that a finished run lacks or has in an older version, from its stored translations: nothing is trained.

What a record says is never lost. A value that a newer version of its metric replaces moves to the record's
`remeasured`, a list with one entry a time that something was added: finished, seconds, metrics (names), replaced
(name -> the earlier value) and provenance. A number is never replaced by a reason why there is none.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench.core.errors import UserError
from bench.core.progress import Reporter
from bench.core.signals import Signals
from bench.data.task import TaskData, load_task
from bench.metrics import METRICS, Value, default_names, weights
from bench.runs.context import RunContext
from bench.runs.find import RunFilter, chosen_folders
from bench.runs.lifecycle import owned
from bench.runs.measure import measure_each
from bench.runs.record import Record, Remeasured, amend_record, read_record
from bench.runs.request import check_metrics
from bench.runs.result import provenance_of
from bench.runs.settings import RunSettings
from bench.runs.spec import RunSpec

Values = dict[str, Value]


def lacking(record: Record, names: Sequence[str] | None) -> list[str]:
    """Those of the named metrics (None: of every run's) that the record has not or has in an older version.

    One that could not be measured is tried again if it is named, or if a network that it needs was not used for this
    record and has come to this machine since. A diverged run lacks nothing: it has no translations.
    """
    if record.status == "diverged":
        return []
    used = _used(record)

    def lacks(name: str) -> bool:
        stored = record.metrics.get(name)
        if stored is None or stored.version < METRICS[name].version:
            return True
        new = [need for need in METRICS[name].needs if need not in used]
        return stored.value is None and (names is not None or any(weights.location(need).is_file() for need in new))

    return [name for name in (default_names() if names is None else names) if lacks(name)]


def remeasure_chosen(choice: RunFilter, settings: RunSettings, results: Path) -> None:
    """Carries out `bench remeasure`."""
    check_metrics(settings.metrics)
    folders = chosen_folders(choice, results)
    with Signals() as signals:
        settings.compute("off")  # raises UserError for a device that is not there
        remeasure(folders, settings, Reporter(signals, name="remeasure"))


def remeasure(folders: Sequence[Path], settings: RunSettings, reporter: Reporter) -> None:
    """Brings the records of these runs up to date, one after the other; settings.metrics None: those of every run.

    A run that cannot be measured is named and passed over, and a UserError at the end counts such runs; of a single
    run it is raised at once. Interrupted by a signal: what is finished is recorded, and the same call goes on.
    """
    failed = []
    loaded = _LastTask(reporter)
    for folder in folders:
        try:
            complete(folder, settings, reporter, loaded, _judged(settings.metrics or ()))
        except UserError as error:
            if len(folders) == 1:
                raise
            failed.append(folder)
            reporter.say(f"left out: {error}")
    if failed:
        raise UserError(f"left out {len(failed)} of {len(folders)} runs, the first is {failed[0]}; see above")


def _judged(names: Sequence[str]) -> list[str]:
    """Those of the metrics whose network is trained on the data set: it may have been another machine's."""
    return [name for name in names if METRICS[name].trains]


def complete(
    folder: Path,
    settings: RunSettings,
    reporter: Reporter,
    task_of: Callable[[Record], TaskData],
    again: Sequence[str] = (),
) -> Record:
    """Measures what the record of one run lacks, and returns the record; `task_of` is called if there is any.

    again  metrics that are measured even where the record has them

    Raises Busy if another process works on the run, UserError where there are no stored translations or the data are
    not those of the record.
    """
    with owned(folder, reporter):
        record = read_record(folder / "record.json")
        if record.status == "diverged":
            raise UserError(f"{folder} diverged: it has no translations, so there is nothing to measure")
        names = list(dict.fromkeys([*lacking(record, settings.metrics), *again]))
        if not names:
            reporter.say(f"nothing to measure: {folder}")
            return record
        data = task_of(record)
        if data.manifest_sha256 != record.task.manifest_sha256:
            raise UserError(
                f"the data of {folder} changed since it ran (manifest {data.manifest_sha256[:12]}, in the record "
                f"{str(record.task.manifest_sha256)[:12]}); put the old files back, or make a new run"
            )
        began, values = time.perf_counter(), Values()
        context = RunContext(folder, replace(spec_of(record), amp="off"), data, settings, reporter)
        try:
            for name, value in measure_each(context, names):
                values[name] = value
        finally:
            new, entry, said = added(record, values, context, time.perf_counter() - began)
            if new:
                record = amend_record(folder, new, entry)
            if values:
                reporter.say(f"{said}: {folder}")
        return record


def added(record: Record, values: Values, context: RunContext, seconds: float) -> tuple[Values, Remeasured, str]:
    """What of these values is new to the record, the entry that says so, and what was done in words."""
    new, replaced, kept = Values(), Values(), []
    for name, value in values.items():
        earlier = record.metrics.get(name)
        if value == earlier:
            continue
        if earlier is not None and earlier.value is not None:
            if value.value is None:
                kept.append(f"{name} of version {earlier.version} ({value.reason})")
                continue
            replaced[name] = earlier
        new[name] = value
    words = [f"kept {name}" for name in kept]
    words.insert(0, "measured " + ", ".join(new) if new else "nothing new")
    if replaced:
        words.append("earlier values kept beside: " + ", ".join(replaced))
    entry = Remeasured(
        finished=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        seconds=seconds,
        metrics=list(new),
        replaced=replaced,
        provenance=provenance_of(context, new),
    )
    return new, entry, "; ".join(words)


def spec_of(record: Record) -> RunSpec:
    """The spec whose run this is."""
    identity = record.identity
    return RunSpec(
        method=identity.method,
        dataset=identity.dataset,
        target_size=identity.target_size,
        resolution=identity.resolution,
        seed=identity.seed,
        subset_seed=identity.subset_seed,
        kind=identity.kind,
        preset=identity.preset or "",
        config=record.config or None,
        amp=identity.amp or "off",
    )


class _LastTask:
    """The task of a record; the runs of one task in a row load it once."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._key: tuple[Any, ...] = ()
        self._data: TaskData | None = None

    def __call__(self, record: Record) -> TaskData:
        identity = record.identity
        key = (identity.dataset, identity.target_size, identity.resolution, identity.subset_seed)
        if self._data is None or key != self._key:
            self._key, self._data = key, load_task(*key, report=self._reporter.tick)
        return self._data


def _used(record: Record) -> set[str]:
    """The pre-trained networks behind the record's numbers."""
    parts = [record.provenance, *(entry.provenance for entry in record.remeasured or [])]
    return {name for part in parts for name in part.weights}
