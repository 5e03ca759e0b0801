"""`bench show`: one run for people."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bench.core.terminal import fitting, print_numbers, print_table
from bench.leaderboard.board import method_kind
from bench.leaderboard.numbers import scale
from bench.metrics import METRICS
from bench.metrics.data import Value
from bench.runs.find import find_finished
from bench.runs.record import Record, read_record
from bench.training import log
from bench.training.log import best
from bench.training.needs import KINDS

if TYPE_CHECKING:
    import pandas as pd


# key of a record's cost -> how it is written, and the factor to that unit
COST = {
    "prepare_seconds": ("prepare {:.0f} s", 1),
    "prepare_flop": ("preparation {:.4g} TFLOP", 1e-12),
    "train_seconds": ("train {:.0f} s", 1),
    "train_cpu_seconds": ("{:.0f} s of the CPU", 1),
    "train_flop": ("training {:.4g} TFLOP", 1e-12),
    "images_per_second": ("{:.0f} images/s", 1),
    "parameters": ("{:,} parameters", 1),
    "peak_memory_bytes": ("peak {:.0f} MiB", 2**-20),
}


def show(run: str, results: Path) -> None:
    """Prints identity, metrics, cost and the files of one run; what its record lacks is left out."""
    from bench.runs import curves  # here, because pandas takes half a second to import

    folder = find_finished(results, run)
    record = read_record(folder / "record.json")
    console = fitting()
    _print(console, _before(record))
    print_table("", ("metric", "value", "95 % interval", "n", "better", "note"), _metrics(record.metrics))
    _print(console, _parts(record.metrics))
    for group, values in curves.logged_groups(folder).items():
        _print_last(group, values)
    _print(console, _validated(log.read(folder / log.VALIDATION)))
    _print(console, _after(record))
    _print(console, (f"  {path}" for path in sorted(folder.iterdir()) if not path.name.startswith(".")))


def _print(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _before(record: Record) -> Iterator[str]:
    """What the run was."""
    identity, task = record.identity, record.task
    yield (
        f"{identity.method} on {identity.dataset}: {task.source or '?'} -> {task.target or '?'}, "
        f"{identity.target_size} target images at {identity.resolution} px, seed {identity.seed}, "
        f"subset seed {identity.subset_seed}, {record.status} {record.finished}"
    )
    kind = method_kind(identity)
    if kind in ("paired", "generator"):
        yield f"{kind}: {KINDS[kind]}"
    if record.error:
        yield f"error: {record.error}"
    if record.config:
        yield "config: " + ", ".join(f"{k}={v}" for k, v in record.config.items())


def _metrics(metrics: dict[str, Value]) -> list[list[str]]:
    rows = []
    for name, value in metrics.items():
        better = METRICS[name].better if name in METRICS else None
        times = scale(name)
        note = value.reason or (f"shown x{times:g}" if times != 1 else "")
        counts = f"{value.n_gen}/{value.n_ref}"
        rows.append([name, _number(value.value, times), _interval(value, times), counts, better or "", note])
    return rows


def _parts(metrics: dict[str, Value]) -> Iterator[str]:
    for name, value in metrics.items():
        if value.parts:
            yield f"{name}: " + ", ".join(f"{part} {_number(x, scale(name))}" for part, x in value.parts.items())


def _validated(lines: list[log.Line]) -> Iterator[str]:
    """Where the curve that was measured on training images is best, beside its end; what was measured on held-out
    images plays no part in it."""
    named = {name: scale(name.removeprefix("validation/")) for name in (lines[-1].values if lines else {})}
    at_best = best(lines)
    for what, line in (("best", at_best), ("at the end", lines[-1] if lines else None)):
        if line is not None and at_best is not None:
            values = ", ".join(f"{name} {_number(line.values.get(name), times)}" for name, times in named.items())
            yield f"on training images, {what}, after {line.images:,} images: {values}"


def _after(record: Record) -> Iterator[str]:
    """What it cost, what was measured later, and where it comes from."""
    cost, provenance = record.cost, record.provenance
    parts = ((getattr(cost, key), text, unit) for key, (text, unit) in COST.items())
    said = [text.format(amount * unit) for amount, text, unit in parts if amount is not None]
    yield f"cost: {', '.join(said) or 'not recorded'}"
    for later in record.remeasured or []:
        replaced = f", replaced {', '.join(later.replaced)}" if later.replaced else ""
        yield f"remeasured {later.finished}: {', '.join(later.metrics)}{replaced}"
    yield ", ".join(
        [
            f"commit {provenance.commit or 'unknown'}",
            provenance.device or "unknown device",
            provenance.cpu or "unknown processor",
        ]
    )


def _print_last(group: str, values: "pd.DataFrame") -> None:
    """The last line of a group of the log: panels down and series across, or series down where it has no panels."""
    last = values.iloc[-1].to_dict()
    panels, series = (list(dict.fromkeys(names)) for names in zip(*last))
    if panels == [""]:
        last, panels, series = {(name, "last"): last["", name] for name in series}, series, ["last"]
    rows = [[panel, *(_number(last.get((panel, name)), 1.0) for name in series)] for panel in panels]
    print_numbers(f"{group}, after {values.index[-1][1]:,} images", ["", *series], rows)


def _number(value: float | None, scale: float) -> str:
    return "n/a" if value is None else f"{value * scale:.4g}"


def _interval(value: Value, scale: float) -> str:
    if value.low is None or value.high is None:
        return ""
    return f"{value.low * scale:.4g} .. {value.high * scale:.4g}"
