"""The HTML page: one file that works from disk, with its data, styles, scripts and small pictures inside."""

import base64
import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

from bench.core.errors import UserError
from bench.leaderboard import published
from bench.leaderboard.bent import bend
from bench.leaderboard.board import Board, Row, Waiting
from bench.leaderboard.cells import Cell, Column, column, degradation, fitted, stretches
from bench.leaderboard.evidence import Budget, data_uri, evidence
from bench.leaderboard.looks import look, looks
from bench.leaderboard.numbers import name, scale
from bench.leaderboard.strips import strips
from bench.leaderboard.tables import READING, published_table
from bench.leaderboard.verdict import verdict
from bench.metrics import METRICS
from bench.runs.record import Provenance, Record
from bench.statistics.estimate import Estimate

HERE = Path(__file__).parent
# Files of script/ in the order in which they are put together: one function, whose names none outside can see.
SCRIPT = (
    "elements",
    "numbers",
    "state",
    "cells",
    "tip",
    "sorting",
    "pictures",
    "board",
    "runs",
    "plot",
    "details",
    "main",
)
LINES = 32  # of curves in one plot that look different
COST = ("train_flop", "prepare_flop", "train_cpu_seconds", "images_seen", "peak_memory_bytes", "parameters")


def page(boards: Sequence[Board], citation: str) -> str:
    """The page as HTML; scripts run only if their hash is that of ours, and nothing can reach a network."""
    script, style, plotly = _script(), _read("page.css"), _plotly()
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(_read("page.html.j2"))
    hashes = {"script_hash": _hash(script), "plotly_hash": _hash(plotly)}
    return template.render(data=payload(boards, citation), script=script, style=style, plotly=plotly, **hashes)


def payload(boards: Sequence[Board], citation: str) -> dict[str, Any]:
    """Everything that the page shows, JSON-able; numbers as stored, with five digits."""
    budget = Budget()
    used = {metric for board in boards for metric in board.metrics()}
    shown = {board.dataset for board in boards}
    return {
        "citation": citation,
        "reading": READING,
        "metrics": {metric: _metric(metric) for metric in sorted(used)},
        "boards": [_board(board, budget) for board in boards],
        "published": {name: _published(name, boards) for name in sorted(_data_sets() | shown)},
        "left_out": budget.left_out,
        "lines": [_line(number) for number in range(LINES)],
    }


def _line(number: int) -> dict[str, str]:
    """The look of the number-th of several curves."""
    curve = look(number)
    return {"colour": curve["colour"], "dash": curve["dashes"][1]}


def _metric(metric: str) -> dict[str, Any]:
    known = METRICS.get(metric)
    return {
        "label": name(metric),
        "summary": known.summary if known else "not a metric of this version of i2i-bench",
        "better": known.better if known else None,
        "scale": scale(metric),
    }


def _board(board: Board, budget: Budget) -> dict[str, Any]:
    metrics = board.metrics()
    task = board.records[0].task
    return {
        "title": board.title,
        "dataset": board.dataset,
        "task": {key: getattr(task, key) for key in ("source", "target", "n_source", "n_source_test", "n_target_test")},
        "sizes": board.all_sizes,
        "rows": [_row(board, row) for row in board.rows],
        "metrics": metrics,
        "primary": next(iter(board.metrics(board.main_metrics)), None),
        "pictures": _pictures(board, budget),
        "tables": {metric: _table(board, metric) for metric in metrics},
        "runs": _runs(board, metrics),
        "evidence": evidence(board, budget),
    }


def _row(board: Board, row: Row) -> dict[str, Any]:
    runs: list[tuple[Row, Record | Waiting]] = [(key[0], several[0]) for key, several in board.runs.items()]
    runs += [(key[0], several[0]) for key, several in board.unfinished.items()]
    first = next(run for other, run in runs if other == row)
    facts = {key: said for key in ("preset", "amp") if (said := getattr(first.identity, key))}
    own = looks(board)[row]
    drawn = {"colour": own["colour"], "symbol": own["mark"][1], "dash": own["dashes"][1]}
    return {
        "label": row.label,
        "kind": row.kind,
        "added": row.added,
        "look": drawn,
        "config": {**facts, **first.config},
    }


def _pictures(board: Board, budget: Budget) -> dict[str, Any] | None:
    """Sources, translations of the same by each method, truth, at the smallest target size that has them."""
    for size in board.sizes:
        rows = strips(board, size)
        if len(rows) > 1:
            shown = [
                {"label": label, "run": run, "image": data_uri(Image.fromarray(strip))} for label, run, strip in rows
            ]
            if budget.take("pictures", sum(len(one["image"]) for one in shown)):
                return {"size": size, "rows": shown}
    return None


def _table(board: Board, metric: str) -> dict[str, Any]:
    columns = [column(board, metric, size) for size in board.all_sizes]
    return {
        "columns": [_column(board, c) for c in columns],
        "bend": None if (linear := bend(board, metric, columns)) is None else _short(linear * scale(metric)),
        "cells": [[_cell(c.cells[row], c) for c in columns] for row in board.rows],
        "slopes": [_slope(columns, row) for row in board.rows],
        "lines": [[[columns.index(one) for one in line] for line in stretches(columns, row)] for row in board.rows],
    }


def _slope(columns: Sequence[Column], row: Row) -> list[float | str | None] | None:
    """The numbers of the slope, then the sizes that it is fitted to where they are not all ("" where they are)."""
    numbers = _numbers(degradation(columns, row).estimate)
    return [*numbers, fitted(columns, row)] if numbers else None


def _column(board: Board, drawn: Column) -> dict[str, Any]:
    condition = drawn.condition
    return {
        "n_gen": condition.n_gen if condition else None,
        "n_ref": condition.n_ref if condition else None,
        "version": condition.version if condition else None,
        "verdict": verdict(drawn),
    }


def _cell(cell: Cell, drawn: Column) -> dict[str, Any]:
    """Only what is not the default, to keep thousands of cells small."""
    values: dict[str, Any] = {"s": cell.state}
    if cell.mean is not None:
        values |= {"m": _numbers(cell.mean), "k": cell.rank}
    if cell.gap is not None:
        values["g"] = _numbers(cell.gap)
    if cell.note:
        values["n"] = cell.note
    if cell.partial:
        values["p"] = cell.partial
    if cell.diverged:
        values["d"] = cell.diverged
    if cell.condition and cell.condition != drawn.condition:
        values["c"] = [cell.condition.n_gen, cell.condition.n_ref, cell.condition.version]
    return values


def _runs(board: Board, metrics: Sequence[str]) -> dict[str, Any]:
    """Columns of equal length, an entry a run."""
    position = {row: number for number, row in enumerate(board.rows)}
    runs = [(position[row], size, record) for (row, size), several in board.runs.items() for record in several]
    records = [record for *_, record in runs]
    return {
        "row": [row for row, *_ in runs],
        "size": [size for _, size, _ in runs],
        "seed": [record.identity.seed for record in records],
        "subset": [record.identity.subset_seed for record in records],
        "status": [record.status for record in records],
        "finished": [record.finished[:16].replace("T", " ") for record in records],
        "commit": [str(record.provenance.commit or "unknown")[:10] for record in records],
        "device": [_device(record.provenance) for record in records],
        "cost": {key: [_short(getattr(record.cost, key)) for record in records] for key in COST},
        "values": {metric: [_value(record, metric) for record in records] for metric in metrics},
        "parts": {metric: parts for metric in metrics if any(parts := [_parts(record, metric) for record in records])},
    }


def _value(record: Record, metric: str) -> list[float | None] | None:
    value = record.metrics.get(metric)
    if not value or value.value is None:
        return None
    return [_short(value.value), _short(value.low), _short(value.high)]


def _parts(record: Record, metric: str) -> dict[str, float | None] | None:
    """What a value is made of (a number a class), where it is made of some."""
    value = record.metrics.get(metric)
    return {part: _short(x) for part, x in value.parts.items()} if value and value.parts else None


def _device(provenance: Provenance) -> str:
    device = str(provenance.device or "unknown")
    return f"{device}: {provenance.cpu}" if device == "cpu" else device


def _numbers(estimate: Estimate | None) -> list[float | None] | None:
    """mean, low, high, draws, runs"""
    return (
        [_short(estimate.mean), _short(estimate.low), _short(estimate.high), estimate.draws, estimate.runs]
        if estimate
        else None
    )


def _short(x: Any) -> float | None:
    if not isinstance(x, (int, float)) or x != x:
        return None
    return x if isinstance(x, int) else float(f"{x:.5g}")


def _data_sets() -> set[str]:
    return {figure.dataset for figure in published.figures()}


def _published(dataset: str, boards: Sequence[Board]) -> dict[str, Any] | None:
    measured = {metric for board in boards if board.dataset == dataset for metric in board.metrics()}
    table = published_table(dataset, measured)
    if table is None:
        return None
    rows = []
    for label, cells in table.rows:
        said = [table.notes[cell.note - 1] for cell in cells if cell.note]
        rows.append([": ".join([label, *said]), *(cell.text for cell in cells)])
    return {"headings": ["method", *table.headings], "rows": rows, "note": table.notes[0]}


def _script() -> str:
    parts = "\n".join(_read(f"script/{name}.js") for name in SCRIPT)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _plotly() -> str:
    """plotly.min.js of the plotly package, read without importing the package."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise UserError("the page needs plotly: pip install plotly")
    text = (Path(spec.origin).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
