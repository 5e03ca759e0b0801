"""Plots of metrics: against target size, their slopes, against cost, against memorisation, by class."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import isnan
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.core.colours import COLOURS
from bench.leaderboard.bent import bend
from bench.leaderboard.board import Board, Row
from bench.leaderboard.cells import Column, column, comparable, degradation, stretches
from bench.leaderboard.cost import cpu_seconds, tflop
from bench.leaderboard.numbers import name, scale
from bench.leaderboard.plots.style import (
    GREY,
    HATCHES,
    bend_y,
    finite,
    legend,
    logarithmic_x,
    panels,
    sizes_axis,
    styles,
)
from bench.runs.record import Record

MEMORY = "nn_ratio"
COSTS: tuple[tuple[str, str, Callable[[Record], float | None]], ...] = (
    ("cost", "TFLOP of training and preparing", tflop),
    ("cost-cpu", "CPU seconds of training", cpu_seconds),
)


def by_size(board: Board, metrics: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """Each metric against log target size, intervals as bars and bands, cut at the panel's edge; anchors in grey."""
    columns_of = {metric: [column(board, metric, size) for size in board.sizes] for metric in metrics}
    means = [
        cell.mean for columns in columns_of.values() for one in columns for cell in one.cells.values() if cell.mean
    ]
    said = "Mean (one run a cell)" if all(isnan(mean.half) for mean in means) else "Mean and 95 % interval"
    with panels(len(columns_of), f"{said}: {board.title}") as (figure, axes):
        for (metric, columns), one in zip(columns_of.items(), axes):
            shown = [mean for row in board.rows for mean in _size_line(one, columns, row, board)]
            room = 0.15 * (max(shown) - min(shown)) or 0.1 * abs(shown[0]) or 1.0
            one.set_ylim(min(shown) - room, max(shown) + room)
            _bend(one, board, metric, columns, shown)
            sizes_axis(one, board.sizes)
            one.set_title(name(metric), loc="left")
            one.set_xlabel("target images")
        legend(figure, axes)
        yield "size", figure


def _size_line(axes: Axes, columns: Sequence[Column], row: Row, board: Board) -> list[float]:
    """Draws a row, a line for each stretch of sizes that were measured alike; returns its means."""
    times = scale(columns[0].metric)
    means = []
    for alike in stretches(columns, row):
        estimates = {one.size: estimate for one in alike if (estimate := one.cells[row].mean)}
        mean, low, high = ([getattr(e, part) * times for e in estimates.values()] for part in ("mean", "low", "high"))
        look = _look(board, row, comparable=comparable(alike[0], row))
        axes.plot(list(estimates), mean, **look)
        axes.fill_between(list(estimates), low, high, color=look["color"], alpha=0.15, linewidth=0)
        for size, ends in zip(estimates, zip(low, high)):
            if not isnan(ends[0]):
                axes.plot([size, size], ends, color=look["color"], linewidth=0.8)
        if row.anchor and len(columns) == 1:
            axes.axhline(mean[0], color=look["color"], linestyle=look["linestyle"], linewidth=1)
        means += mean
    return means


def _bend(axes: Axes, board: Board, metric: str, columns: Sequence[Column], shown: Sequence[float]) -> None:
    """Bends the axis where a far row would flatten the others, with a little room around all means."""
    linear = bend(board, metric, columns)
    if linear is not None:
        linear *= scale(metric)
        axes.set_ylim(min(0.0, 1.5 * min(shown)) - 0.2 * linear, 1.4 * max(shown))
        bend_y(axes, linear)


def _look(board: Board, row: Row, comparable: bool) -> dict[str, Any]:
    """Label, colour, marker and line of a row."""
    if comparable:
        return {"label": row.label, **styles(board)[row]}
    return {"label": f"{row.label} (not comparable)", **styles(board)[row], "markerfacecolor": "white"}


def slopes(board: Board, metrics: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """Change of each metric for each doubling of the target set, with its interval."""
    rows = [row for row in board.rows if not row.anchor]
    by_metric = {}
    for metric in metrics:
        columns = [column(board, metric, size) for size in board.sizes]
        slopes = {row: slope for row in rows if (slope := degradation(columns, row).estimate)}
        if slopes:
            by_metric[metric] = slopes
    if not by_metric:
        return
    title = f"Change for each doubling of the target set: {board.title}"
    with panels(len(by_metric), title, height=0.8 + 0.16 * len(rows)) as (figure, axes):
        for number, (metric, one) in enumerate(zip(by_metric, axes)):
            for row, slope in by_metric[metric].items():
                place, times, look = rows.index(row), scale(metric), styles(board)[row]
                one.plot([slope.low * times, slope.high * times], [place, place], color=look["color"])
                one.plot(slope.mean * times, place, marker=look["marker"], color=look["color"])
            one.axvline(0, color=GREY, linewidth=1)
            one.set_yticks(range(len(rows)), [_cut(row.label) for row in rows] if number % 3 == 0 else [""] * len(rows))
            one.set_ylim(len(rows) - 0.5, -0.5)
            one.set_title(name(metric), loc="left")
        yield "slopes", figure


def cost(board: Board, metrics: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """The first metric against the compute of training and against its CPU time, a panel a target size; what no run
    recorded is not drawn."""
    for kind, label, spent in COSTS:
        if any(spent(record) for record in board.records):
            yield from _against(board, metrics[0], kind, label, partial(_mean_of_done, spent))


def memorisation(board: Board, metrics: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """The first metric against nn_ratio, a panel a target size: left of 1 is nearer to the training images than real
    held-out images are."""
    if MEMORY in board.metrics():
        yield from _against(board, metrics[0], "memorisation", f"{MEMORY} (1 is fair, 0 a copier)", _memory)


def _against(board: Board, metric: str, kind: str, label: str, place: Any) -> Iterator[tuple[str, Figure]]:
    """A point a row, with the interval of the metric, a panel for each target size."""
    with panels(len(board.sizes), f"{name(metric)} against {kind}: {board.title}", height=2.6, columns=2) as (
        figure,
        axes,
    ):
        for size, one in zip(board.sizes, axes):
            at_size = column(board, metric, size)
            drawn_x: list[float] = []
            means: list[float] = []
            for row, cell in at_size.cells.items():
                x = place(board, row, size)
                if cell.mean is None or x is None:
                    continue
                drawn_x.append(x)
                means.append(cell.mean.mean * scale(metric))
                y, half = cell.mean.mean * scale(metric), cell.mean.half * scale(metric)
                look = _look(board, row, comparable(at_size, row)) | {"linestyle": ""}
                one.errorbar(x, y, yerr=None if isnan(half) else half, capsize=2, elinewidth=1, **look)
            if means:
                _bend(one, board, metric, [at_size], means)
            if place is _memory:
                one.axvline(1, color=GREY, linewidth=1, linestyle=":")
            elif one.has_data():
                if max(drawn_x) > 5 * min(drawn_x):
                    logarithmic_x(one)
                else:
                    one.set_xlim(left=0)
            one.set_title(f"{size} target images", loc="left")
            one.set_xlabel(label)
            one.set_ylabel(name(metric))
        legend(figure, axes)
        yield kind, figure


def _mean_of_done(spent: Callable[[Record], float | None], board: Board, row: Row, size: int) -> float | None:
    """Mean over the runs that are done: one that diverged stopped early."""
    done = [record for record in board.runs.get((row, size), []) if record.status == "done"]
    amounts = [amount for record in done if (amount := spent(record))]
    return float(np.mean(amounts)) if amounts else None


def _memory(board: Board, row: Row, size: int) -> float | None:
    mean = column(board, MEMORY, size).cells[row].mean
    return mean.mean if mean else None


def by_class(board: Board, metrics: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """Bars of the parts of each metric that has some, a group a class; means over runs, smallest size with any."""
    by_metric = {metric: smallest for metric in board.metrics() if (smallest := _smallest(board, metric))}
    if not by_metric:
        return
    with panels(len(by_metric), f"By class: {board.title}", columns=1, narrow=1) as (figure, axes):
        for (metric, (size, parts)), one in zip(by_metric.items(), axes):
            _bars(one, board, parts, scale(metric))
            one.set_title(f"{name(metric)}, {size} target images", loc="left")
        legend(figure, axes)
        yield "classes", figure


def _bars(axes: Axes, board: Board, parts: dict[Row, dict[str, float]], times: float) -> None:
    classes = list(dict.fromkeys(label for values in parts.values() for label in values))
    width = 0.8 / len(parts)
    for place, (row, values) in enumerate(parts.items()):
        x = np.arange(len(classes)) + (place - (len(parts) - 1) / 2) * width
        colour = styles(board)[row]["color"]
        hatch = HATCHES[place // len(COLOURS) % len(HATCHES)]
        heights = finite([values.get(label) for label in classes]) * times
        axes.bar(x, heights, width * 0.95, label=row.label, color=colour, hatch=hatch, edgecolor="white", linewidth=0.3)
    axes.set_xticks(range(len(classes)), [_cut(label, 14) for label in classes], rotation=30 if len(classes) > 6 else 0)
    axes.grid(axis="x", visible=False)


def _smallest(board: Board, metric: str) -> tuple[int, dict[Row, dict[str, float]]] | None:
    """The smallest target size at which the metric has parts, and those of each row that has some."""
    for size in board.sizes:
        parts = {row: values for row in board.rows if (values := _parts(board, row, size, metric))}
        if parts:
            return size, parts
    return None


def _parts(board: Board, row: Row, size: int, metric: str) -> dict[str, float]:
    """The mean over runs of each part of a value (a class, say)."""
    by_label: dict[str, list[float]] = {}
    for record in board.runs.get((row, size), []):
        value = record.metrics.get(metric)
        for label, part in (value.parts if value and value.parts else {}).items():
            if part is not None:
                by_label.setdefault(label, []).append(part)
    return {label: float(np.mean(values)) for label, values in by_label.items()}


def _cut(text: str, most: int = 24) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
