"""Records: one JSON file a run, written atomically, checked on reading."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from bench.core.errors import UserError
from bench.core.files import digest
from bench.core.typed import Count, Size, Whole, read_typed, write_typed
from bench.metrics.data import Value
from bench.runs.spec import Amp

STATUSES = ("done", "diverged")
MEND = "run it again or delete it"


class Identity(Struct, frozen=True, kw_only=True):
    """What makes the run that run: its RunSpec without the config. Older records lack what may be None.

    method_kind   of a method: unpaired, paired or generator (bench.training.needs.KINDS)
    budget_tflop  10^12 floating-point operations that it could spend; None: its budget counts images
    """

    method: str
    kind: str
    dataset: str
    protocol: str
    target_size: Size
    resolution: Size
    seed: Count
    subset_seed: Count
    config_hash: str
    preset: str | None = None
    amp: Amp | None = None
    method_kind: str | None = None
    budget_tflop: float | None = None


class TaskFacts(Struct, frozen=True, kw_only=True):
    """The data of the run: names and sizes of its domains, hashes, the bank's manifest. None: not recorded."""

    source: str | None = None
    target: str | None = None
    resolution: Count | None = None
    n_source: Count | None = None
    n_target: Count | None = None
    n_source_test: Count | None = None
    n_target_test: Count | None = None
    mirror: bool | None = None  # whether training could mirror images
    primary: str | None = None  # the metric that ranks methods on these data
    subset_sha256: str | None = None
    manifest_sha256: str | None = None
    manifest: dict[str, Any] | None = None


class Cost(Struct, kw_only=True):
    """What a run cost: seconds of each stage over all processes that worked on it, and sizes. None: not recorded.

    train_memory_bytes      beyond what the process held when training began
    images_per_calibration  speed of training, see bench/training/pace.py
    multiply_adds           of one translation
    train_cpu_seconds       of all threads of the processes, in the steps of the training
    train_flop              floating-point operations of the training (bench.training.flop): one multiply-add is two
    prepare_flop            those of all artifacts that it uses, each in full, also where several runs share it
    """

    prepare_seconds: float | None = None
    train_seconds: float | None = None
    translate_seconds: float | None = None
    evaluate_seconds: float | None = None
    images_seen: Count | None = None
    images_per_second: float | None = None
    parameters: Count | None = None
    peak_memory_bytes: Count | None = None
    train_memory_bytes: Whole | None = None
    images_per_calibration: float | None = None
    multiply_adds: Count | None = None
    parameters_by_network: dict[str, Count] | None = None
    train_cpu_seconds: float | None = None
    train_flop: Count | None = None
    prepare_flop: Count | None = None


def no_cost() -> Cost:
    """The cost of a run that trained nothing, or that diverged."""
    return Cost(
        prepare_seconds=0.0,
        train_seconds=0.0,
        translate_seconds=0.0,
        evaluate_seconds=0.0,
        images_seen=0,
        images_per_second=0.0,
        parameters=0,
        peak_memory_bytes=0,
        train_memory_bytes=0,
        multiply_adds=0,
        parameters_by_network={},
        train_cpu_seconds=0.0,
        train_flop=0,
        prepare_flop=0,
    )


class Code(Struct, frozen=True):
    """Which code it was: the commit, None outside a checkout, and the hash of its sources."""

    commit: str | None = None
    source_sha256: str | None = None


class Conditions(Struct, frozen=True, kw_only=True):
    """What one start of a run had that can change its numbers: the code, or the order of roundings."""

    commit: str | None = None
    source_sha256: str | None = None
    device: str | None = None
    threads: Count | None = None
    compile: bool | None = None
    channels_last: bool | None = None
    gpus: Count | None = None  # where a batch is cut into parts
    accumulate: Count | None = None


class Provenance(Struct, frozen=True, kw_only=True):
    """Where the numbers come from: code, libraries, machine. None: not recorded; `submitted`: by a sweep.

    source_sha256  bench.core.sources.source_sha256: the files that this run uses
    plugins        the other packages that its method and data set come from: name -> version
    starts         the conditions of its starts, in their order, where they differ. All of its training was done by one
                   code: where source_sha256 differs, the last start only measured what the ones before had made
    gpu        name, memory_bytes, compute_capability, driver, cuda, cudnn of the GPU; None: none, or not recorded
    precision  amp, tf32, cudnn_benchmark, deterministic
    """

    i2i_bench: str | None = None
    commit: str | None = None
    source_sha256: str | None = None
    python: str | None = None
    packages: dict[str, str | None] = {}
    platform: str | None = None
    cpu: str | None = None
    device: str | None = None
    gpu: dict[str, Any] | None = None
    threads: Count | None = None
    manifest_sha256: str | None = None
    weights: dict[str, str] = {}
    channels_last: bool | None = None
    compile: bool | None = None
    cuda_graphs: bool | None = None
    recompute: bool | None = None
    precision: dict[str, Any] | None = None
    submitted: Code | UnsetType = UNSET
    plugins: dict[str, str] = {}
    starts: list[Conditions] | UnsetType = UNSET


class Remeasured(Struct, frozen=True, kw_only=True):
    """One time that metrics were added later: which, and the earlier values that they replaced."""

    finished: str
    seconds: float | None = None
    metrics: list[str]
    replaced: dict[str, Value]
    provenance: Provenance


class Record(Struct, frozen=True, kw_only=True):
    """One run: what it was, what was measured, what it cost, where it comes from.

    config   the fields of the method's Config
    outputs  the sha256 of each file of outputs that was measured, by its name; older records have none
    folder   where the record was read, and `added`: it came from somebody else. Neither is in the file
    """

    schema: Literal[1] = 1
    identity: Identity
    task: TaskFacts
    config: dict[str, Any]
    status: Literal["done", "diverged"]
    error: str | None
    metrics: dict[str, Value]
    cost: Cost
    provenance: Provenance
    finished: str
    outputs: dict[str, str] = {}
    remeasured: list[Remeasured] | UnsetType = UNSET
    folder: str = ""
    added: bool = False


def variant(identity: Identity, config: dict[str, Any]) -> str:
    """Equal for runs that differ in their seeds (and target sizes) alone; only those are averaged."""
    # the config of another program's outputs is a hash of the images, so another one for each seed
    facts = {} if identity.kind == "external" else config
    budget = [] if identity.budget_tflop is None else [identity.budget_tflop]
    return digest([facts, identity.amp, identity.preset, *budget])[:6]


def write_record(folder: Path, record: Record) -> None:
    """Writes folder/record.json."""
    whole = msgspec.to_builtins(record)
    del whole["folder"], whole["added"]
    write_typed(folder / "record.json", whole)


def amend_record(folder: Path, metrics: dict[str, Value], remeasured: Remeasured | None = None) -> Record:
    """Adds metrics to folder/record.json, or replaces them, and says so in its `remeasured`; returns the new record.

    Everything else in the file stays to the letter, keys that this program does not know among it.
    """
    path = folder / "record.json"
    read_record(path)
    whole: dict[str, Any] = read_typed(path, dict[str, Any], MEND)
    whole["metrics"].update(msgspec.to_builtins(metrics))
    if remeasured is not None:
        whole.setdefault("remeasured", []).append(msgspec.to_builtins(remeasured))
    write_typed(path, whole)
    return read_record(path)


def read_record(path: Path) -> Record:
    """One record. Raises UserError naming the file if it is damaged or of a newer schema."""
    return msgspec.structs.replace(read_typed(path, Record, MEND), folder=str(path.parent), added=False)


def read_records(results: Path, say: Callable[[str], None]) -> list[Record]:
    """All records below a results folder, in the order of their paths. A bad one is named and passed over."""
    records = []
    for path in record_paths(results):
        try:
            records.append(read_record(path))
        except UserError as error:
            say(f"left out: {error}")
    return records


def record_paths(results: Path) -> Iterator[Path]:
    yield from sorted(results.glob("runs/*/*/*/*/record.json"))
