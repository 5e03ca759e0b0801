"""Which values belong together: how each was measured, and which draw of chance it is."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.runs.record import Record
from bench.statistics.estimate import Replicate

Values = Mapping[Replicate, float]  # of one row at one target size on one metric


@dataclass(frozen=True)
class Condition:
    """How a value was measured; only values of one condition are ever ranked together."""

    version: int
    n_gen: int | None
    n_ref: int | None
    data: str | None  # hash of the data set's manifest
    network: str | None = None  # hash of the classifier behind it, where that was trained on the data set

    @property
    def along_sizes(self) -> tuple[int, int | None, str | None, str | None]:
        """Equal for values that a line over target sizes may join. n_ref may differ: for metrics that train
        a classifier it counts the target subset too."""
        return self.version, self.n_gen, self.data, self.network


def replicate(record: Record) -> Replicate:
    """The subset seed and the training seed of a run. On equal data an equal subset seed is an equal subset."""
    return record.identity.subset_seed, record.identity.seed


def draw(record: Record) -> Replicate:
    """The replicate that a run is a draw of. An anchor trains nothing, so all its seeds are one."""
    subset, seed = replicate(record)
    return subset, 0 if record.identity.kind == "anchor" else seed


def images_of(record: Record) -> str | None:
    """The sha256 of the translations that were measured; None where the record is older than that."""
    return record.outputs.get("translated.npy")


def by_condition(runs: Iterable[Record], metric: str) -> dict[Condition, dict[Replicate, float]]:
    """The values of runs of one row and target size, by how they were measured; of equal draws the newest.

    Runs on one subset whose outputs are equal to the bit are one draw, whatever their seeds: a program that ignores its
    seed says nothing about its spread by running twice.
    """
    measured: dict[Condition, dict[Replicate, float]] = {}
    drawn: dict[tuple[Condition, int, str], Replicate] = {}
    for record in sorted(runs, key=lambda record: record.finished):
        value = record.metrics.get(metric)
        if value and value.value is not None:
            network = value.network or None
            condition = Condition(value.version, value.n_gen, value.n_ref, record.task.manifest_sha256, network)
            replicate_of = draw(record)
            if images := images_of(record):
                replicate_of = drawn.setdefault((condition, replicate_of[0], images), replicate_of)
            measured.setdefault(condition, {})[replicate_of] = float(value.value)
    return measured


def common(groups: Iterable[Mapping[Condition, Values]]) -> Condition | None:
    """The condition of the newest version of the metric that most runs share; None where there is no value."""
    counts: Counter[Condition] = Counter()
    for group in groups:
        counts.update({condition: len(values) for condition, values in group.items()})
    return max(
        counts,
        key=lambda c: (c.version, counts[c], c.n_gen or 0, c.n_ref or 0, c.data or "", c.network or ""),
        default=None,
    )


def own(values: Mapping[Condition, Values], shared: Condition | None) -> Condition | None:
    """The condition that stands for a row: that of its table where the row has it, else its own newest."""
    return shared if shared in values else common([values])


def difference(own: Condition, other: Condition) -> str:
    """What keeps two values from being compared, in a few words."""
    if own.version != other.version:
        return f"version {own.version} of the metric, not {other.version}"
    if own.data != other.data:
        return "other data"
    if own.network != other.network:
        known = own.network and other.network
        return "judged by another network" if known else "judged by a network that is not recorded"
    return f"n {own.n_gen}/{own.n_ref}, not {other.n_gen}/{other.n_ref}"
