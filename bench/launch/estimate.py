"""What a sweep will take, before it is submitted: from records of runs like its own, as far as there are some."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from msgspec import Struct

from bench.core.files import digest
from bench.core.progress import clock
from bench.runs.record import Cost, Record
from bench.runs.spec import RunSpec
from bench.training.flop import TERA

BUDGETS = ("budget_kimg", "budget_tflop")  # what may differ between a run and the record that tells its speed


class Estimate(Struct, frozen=True, kw_only=True):
    """Of the runs of a sweep: how many, of how many the time is known, and from what.

    seconds  of all runs whose time is known, `longest` of the longest of them
    disk     bytes of all runs whose size is known
    unknown  methods of which no record tells how long they take
    """

    runs: int
    by_records: int
    by_speed: int
    by_flop: int
    seconds: float
    longest: float
    disk: int
    disk_runs: int
    unknown: list[str]

    def lines(self, at_once: int) -> list[str]:
        """For people. at_once: so many runs go on at the same time."""
        known = self.by_records + self.by_speed + self.by_flop
        if not known:
            return ["time: unknown, no record of such a run on such a device is in the results folder"]
        ways = {"equal runs": self.by_records, "runs of other budgets": self.by_speed, "counted FLOP": self.by_flop}
        told = ", ".join(f"{n} by {way}" for way, n in ways.items() if n)
        elapsed = max(self.longest, self.seconds / at_once)
        lines = [
            f"time: {clock(self.seconds)} of computing, about {clock(elapsed)} at {at_once} at a time, the longest "
            f"run {clock(self.longest)} ({told})"
        ]
        if self.unknown:
            lines.append(f"  {self.runs - known} more of which no record tells: {', '.join(self.unknown)}")
        if self.disk_runs:
            lines.append(f"disk: {self.disk / 2**20:.0f} MiB for {self.disk_runs} of {self.runs} runs")
        return lines


@dataclass(frozen=True)
class _Known:
    """A finished run: its cost, and where it lies."""

    cost: Cost
    folder: Path

    @property
    def seconds(self) -> float:
        cost = self.cost
        return sum(
            part or 0.0
            for part in (cost.prepare_seconds, cost.train_seconds, cost.translate_seconds, cost.evaluate_seconds)
        )

    def seconds_for(self, images: float) -> float:
        """With a training of so many images; the other stages take what they took."""
        train = self.cost.train_seconds or 0.0
        return self.seconds - train + train * images / (self.cost.images_seen or images)


class Estimator:
    """Reads the records once. gpu: whether the sweep's runs have one; only runs on such a device tell times."""

    def __init__(self, records: Iterable[Record], gpu: bool) -> None:
        self._equal: dict[str, list[_Known]] = defaultdict(list)
        self._like: dict[str, list[_Known]] = defaultdict(list)
        self._flop: dict[str, int] = {}  # counted on any device
        speeds = []
        for record in records:
            if record.status != "done" or record.added:
                continue
            cost, key = record.cost, _key(vars_of(record))
            if cost.train_flop and cost.prepare_flop is not None:
                self._flop[key] = cost.train_flop + cost.prepare_flop
            if (record.provenance.device or "").startswith("cuda") == gpu:
                known = _Known(cost, Path(record.folder))
                self._equal[key].append(known)
                self._like[_key(vars_of(record), BUDGETS)].append(known)
                if cost.train_flop and cost.train_seconds:
                    speeds.append(cost.train_flop / cost.train_seconds)
        self._speed = median(speeds) if speeds else None

    def of(self, specs: Sequence[RunSpec]) -> Estimate:
        times: dict[str, list[float]] = {"records": [], "speed": [], "flop": []}
        sizes: list[float] = []
        unknown = set()
        for spec in specs:
            way, seconds, size = self._one(spec)
            if way is None:
                unknown.add(spec.method)
            else:
                times[way].append(seconds)
            if size is not None:
                sizes.append(size)
        every = [seconds for part in times.values() for seconds in part]
        return Estimate(
            runs=len(specs),
            by_records=len(times["records"]),
            by_speed=len(times["speed"]),
            by_flop=len(times["flop"]),
            seconds=sum(every),
            longest=max(every, default=0.0),
            disk=int(sum(sizes)),
            disk_runs=len(sizes),
            unknown=sorted(unknown),
        )

    def _one(self, spec: RunSpec) -> tuple[str | None, float, float | None]:
        """How the time is known, the seconds, and the bytes that the run will leave (None: unknown)."""
        asked = vars(spec)
        equal, like = self._equal.get(_key(asked), []), self._like.get(_key(asked, BUDGETS), [])
        size = median(_size(known.folder) for known in like) if like else None
        if equal:
            return "records", median(known.seconds for known in equal), size
        kimg = (spec.config or {}).get("budget_kimg")
        if like and spec.budget_tflop is None and kimg:
            return "speed", median(known.seconds_for(1000 * kimg) for known in like), size
        flop = spec.budget_tflop * TERA if spec.budget_tflop else self._flop.get(_key(asked))
        if flop and self._speed:
            return "flop", flop / self._speed, size
        return None, 0.0, size


def vars_of(record: Record) -> dict[str, Any]:
    """Of a record, what a RunSpec has under the same names."""
    named = {name: getattr(record.identity, name, None) for name in ("method", "dataset", "resolution", "amp", "kind")}
    return {**named, "config": record.config, "budget_tflop": getattr(record.identity, "budget_tflop", None)}


def _key(facts: dict[str, Any], without: Sequence[str] = ()) -> str:
    """Equal for runs of equal method, data set, side and config; target size and seeds change no time."""
    config = {name: value for name, value in (facts["config"] or {}).items() if name not in without}
    names = [name for name in ("method", "dataset", "resolution", "amp", "kind", "budget_tflop") if name not in without]
    return digest([config, *(facts.get(name) for name in names)])


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
