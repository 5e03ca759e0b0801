"""`bench show`: one run for people."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench import store
from bench.errors import UserError
from bench.metrics import METRICS

if TYPE_CHECKING:
    import pandas as pd


def show(run: str, results: Path) -> None:
    """Prints identity, metrics, cost and the files of one run."""
    from bench import figures  # here, because pandas takes half a second to import

    folder = find(run, results)
    record = store.read(folder / "record.json")
    console = Console()
    identity, task = record["identity"], record["task"]
    console.print(
        f"{identity['method']} on {identity['dataset']}: {task['source']} -> {task['target']}, "
        f"{identity['target_size']} target images at {task['resolution']} px, seed {identity['seed']}, "
        f"subset seed {identity['subset_seed']}, {record['status']} {record['finished']}",
        markup=False,
    )
    if record["error"]:
        console.print(f"error: {record['error']}", markup=False)
    if record["config"]:
        console.print("config: " + ", ".join(f"{k}={v}" for k, v in record["config"].items()), markup=False)
    table = Table()
    for column in ("metric", "value", "95 % interval", "n", "better", "note"):
        table.add_column(column)
    for name, value in record["metrics"].items():
        known = METRICS.get(name)
        scale = known.scale if known else 1.0
        note = value.get("reason") or (f"shown x{scale:g}" if scale != 1 else "")
        table.add_row(
            name, _number(value["value"], scale), _interval(value, scale), f"{value['n_gen']}/{value['n_ref']}",
            (known.better or "") if known else "", note,
        )  # fmt: skip
    console.print(table)
    for name, value in record["metrics"].items():
        if value.get("parts"):
            scale = METRICS[name].scale if name in METRICS else 1.0
            parts = ", ".join(f"{part} {_number(number, scale)}" for part, number in value["parts"].items())
            console.print(f"{name}: {parts}", markup=False)
    for group, values in figures.groups(folder).items():
        console.print(_last(group, values))
    cost = record["cost"]
    console.print(
        f"cost: prepare {cost['prepare_seconds']:.0f} s, train {cost['train_seconds']:.0f} s, "
        f"{cost['images_per_second']:.0f} images/s, {cost['parameters']:,} parameters, "
        f"peak {cost['peak_memory_bytes'] / 2**20:.0f} MiB",
        markup=False,
    )
    provenance = record["provenance"]
    for later in record.get("remeasured", []):
        replaced = f", replaced {', '.join(later['replaced'])}" if later["replaced"] else ""
        console.print(f"remeasured {later['finished']}: {', '.join(later['metrics'])}{replaced}", markup=False)
    console.print(f"commit {provenance['commit']}, {provenance['device']}, {provenance['cpu']}", markup=False)
    for path in sorted(folder.iterdir()):
        if not path.name.startswith("."):
            console.print(f"  {path}", markup=False)


def find(run: str, results: Path) -> Path:
    """The folder of the run that a folder or a part of its path names. Raises UserError if none or several do."""
    if (Path(run) / "record.json").exists():
        return Path(run)
    folders = [path.parent for path in store.record_paths(results) if run in str(path.parent)]
    if len(folders) == 1:
        return folders[0]
    if not folders:
        raise UserError(f"no finished run below {results} has {run!r} in its path; see: python -m bench leaderboard")
    raise UserError(
        f"{len(folders)} runs have {run!r} in their path, among them {folders[0]} and {folders[1]}; say more"
    )


def _last(group: str, values: "pd.DataFrame") -> Table:
    """The last line of a group of the log: panels down and series across, or series down where it has no panels."""
    last = values.iloc[-1].to_dict()
    panels, series = (list(dict.fromkeys(names)) for names in zip(*last))
    if panels == [""]:
        last, panels, series = {(name, "last"): last["", name] for name in series}, series, ["last"]
    table = Table(title=Text(f"{group}, after {values.index[-1][1]:,} images"))
    for column in ("", *series):
        table.add_column(Text(column))
    for panel in panels:
        table.add_row(Text(panel), *(_number(last.get((panel, name)), 1.0) for name in series))
    return table


def _number(value: float | None, scale: float) -> str:
    return "n/a" if value is None else f"{value * scale:.4g}"


def _interval(value: dict, scale: float) -> str:
    if value.get("low") is None or value.get("high") is None:
        return ""
    return f"{value['low'] * scale:.4g} .. {value['high'] * scale:.4g}"
