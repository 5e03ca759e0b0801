"""What `bench compare` and `bench slopes` print."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import typer
from rich.console import Console

from bench.core.errors import UserError
from bench.core.markdown import escape, table_of_text
from bench.core.terminal import print_table
from bench.leaderboard.board import Board
from bench.leaderboard.cells import column, degradation
from bench.leaderboard.draw import read
from bench.leaderboard.numbers import scale
from bench.leaderboard.read import read_table
from bench.metrics import METRICS
from bench.statistics import compare
from bench.statistics.table import TABLE


def differences(results: Path, dataset: str | None, a: str, b: str, metrics: list[str] | None, form: str) -> None:
    """Prints bench.statistics.compare.compare; `form` is terminal, markdown, csv or json."""
    compared = compare.compare(_table(results, dataset), a, b, metrics)
    if form in WRITTEN:
        WRITTEN[form](compared)
        return
    columns = ["metric", "a", "b", "a - b", "95 %", "cells", "verdict", "note"]
    for (name, protocol, resolution, size), group in compared.groupby(TABLE, dropna=False):
        rows = [
            [
                _name(row),
                *_numbers(row, ["a", "b", "difference"]),
                _interval(row),
                str(row["cells"]) if row["draws"] == row["cells"] else f"{row['cells']} in {row['draws']} subsets",
                row["verdict"],
                row["note"],
            ]
            for row in group.to_dict("records")
        ]
        title = f"a = {a}, b = {b}: {name}, {size} target images, {resolution} px, protocol {protocol}"
        _print(title, columns, rows, form)
    shown = int((compared["verdict"] != "").sum())
    typer.echo(_how_many(shown))


def _how_many(shown: int) -> str:
    """What so many intervals side by side mean, or how to get one."""
    if not shown:
        return "No interval and no verdict: these need runs of both with two or more seeds, such as --seeds 0,1,2."
    return (
        f"Intervals: {shown}, each at 95 % for itself; of as many comparisons of two equals about {0.05 * shown:.1f} "
        "would show a difference by chance."
    )


def slopes(results: Path, dataset: str | None, metrics: list[str] | None, form: str) -> None:
    """Prints how much each metric changes with each doubling of the target set; `form` as above.

    The same lines as the leaderboard's column "per doubling", with the reason where there is none.
    """
    console = Console(stderr=True)
    lines = pd.DataFrame([line for board in read(results, dataset, console) for line in _slopes(board, metrics)])
    if lines.empty:
        raise UserError("none of these metrics has a value in the records; see: python -m bench remeasure --help")
    if form in WRITTEN:
        WRITTEN[form](lines)
        return
    columns = ["method", "metric", "per doubling", "95 %", "target sizes", "draws", "note"]
    for (name, protocol, resolution), group in lines.groupby(["dataset", "protocol", "resolution"], dropna=False):
        rows = [
            [
                line["method"],
                _name(line),
                *_numbers(line, ["slope"]),
                _interval(line),
                line["sizes"],
                "" if pd.isna(line["draws"]) else f"{line['draws']:.0f}",
                line["reason"],
            ]
            for line in group.sort_values("method", kind="stable").to_dict("records")
        ]
        _print(f"{name}, {resolution} px, protocol {protocol}", columns, rows, form)


def _slopes(board: Board, metrics: list[str] | None) -> Iterator[dict[str, Any]]:
    """A line for each row of the board and metric in which it has a value."""
    for metric in board.metrics(metrics):
        columns = [column(board, metric, size) for size in board.sizes]
        for row in board.rows:
            fit = degradation(columns, row)
            if fit.sizes:
                there = fit.estimate
                yield {
                    **{"dataset": board.dataset, "protocol": board.protocol, "resolution": board.resolution},
                    **{"method": row.label, "variant": row.variant, "metric": metric},
                    "slope": there.mean if there else None,
                    "low": there.low if there else None,
                    "high": there.high if there else None,
                    "draws": there.draws if there else None,
                    "runs": there.runs if there else None,
                    "sizes": ", ".join(map(str, fit.sizes)),
                    "reason": fit.reason,
                }


def _table(results: Path, dataset: str | None) -> pd.DataFrame:
    return read_table(results, dataset, lambda message: typer.echo(message, err=True))


def _csv(frame: pd.DataFrame) -> None:
    typer.echo(frame.to_csv(index=False, lineterminator="\n"), nl=False)


def _json(frame: pd.DataFrame) -> None:
    typer.echo(frame.to_json(orient="records", indent=2, double_precision=15))


WRITTEN = {"csv": _csv, "json": _json}  # forms for programs: values as stored


def _print(title: str, columns: list[str], rows: list[list[str]], form: str) -> None:
    if form == "markdown":
        typer.echo(f"## {escape(title)}\n\n{table_of_text(columns, rows)}\n")
    else:
        print_table(title, columns, rows)


def _name(row: dict) -> str:
    known = METRICS.get(row["metric"])
    if known is None:
        return str(row["metric"])
    arrow = {"lower": " ↓", "higher": " ↑"}.get(known.better or "", "")
    return f"{known.name}{arrow}" + (f" x{known.scale:g}" if known.scale != 1 else "")


def _numbers(row: dict, columns: Sequence[str]) -> list[str]:
    return ["n/a" if pd.isna(row[column]) else f"{row[column] * scale(row['metric']):.3g}" for column in columns]


def _interval(row: dict) -> str:
    low, high = _numbers(row, ["low", "high"])
    return "" if low == "n/a" else f"{low} .. {high}"
