"""`bench leaderboard`: tables in the terminal, and the same as Markdown and CSV."""

import io
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from bench.files import write_text
from bench.leaderboard.printing import escape
from bench.leaderboard.read import read_table
from bench.leaderboard.table import TABLE, best, summary
from bench.metrics import METRICS, find
from bench.metrics.anchors import ANCHORS

# The unbiased kernel distance stands first; a metric without any value is left out of a table.
MAIN = (
    "kid",
    "kd_effnet",
    "kd_effnet_gap",
    "fid",
    "fd_effnet",
    "precision_effnet",
    "recall_effnet",
    "target_share",
    "class_kept",
    "lpips_diversity",
    "lpips_truth",
    "nn_ratio",
)


def draw(results: Path, dataset: str | None, metrics: list[str] | None) -> None:
    """Reads every record below `results` and writes leaderboard.md and leaderboard.csv to results/leaderboard/."""
    for name in metrics or []:
        find(name)
    console = Console()
    table = read_table(results, dataset, lambda message: console.print(message, style="yellow", markup=False))
    chosen = metrics or list(MAIN)
    pages = [_page(key, group, chosen, console) for key, group in table.groupby(TABLE, dropna=False)]
    folder = results / "leaderboard"
    write_text(folder / "leaderboard.md", "\n".join(pages))
    buffer = io.StringIO()
    table.to_csv(buffer, index=False)
    write_text(folder / "leaderboard.csv", buffer.getvalue())
    console.print(f"written: {folder / 'leaderboard.md'}, {folder / 'leaderboard.csv'}", markup=False)


def _page(key: tuple, group: pd.DataFrame, metrics: list[str], console: Console) -> str:
    """Prints one table, metrics down and methods across, and returns it as Markdown, methods down."""
    dataset, protocol, resolution, size = key
    title = f"{dataset}, {size} target images, {resolution} px, protocol {protocol}"
    cells, headings = _cells(group, metrics)
    shown = Table(title=title, title_justify="left")
    shown.add_column("metric", no_wrap=True)
    for label, _ in cells:
        shown.add_column(label, justify="right", no_wrap=True)
    for number, heading in enumerate(headings):
        shown.add_row(heading, *(row[number] for _, row in cells))
    lines = [f"## {title}", "", "| method | " + " | ".join(headings) + " |", "|---" * (len(headings) + 1) + "|"]
    lines += [f"| {escape(label)} | " + " | ".join(row) + " |" for label, row in cells]
    needed = console.measure(shown, options=console.options.update(max_width=1000)).maximum
    Console(width=max(console.width, needed)).print(shown)
    return "\n".join([*lines, "", *_notes(group), ""])


def _cells(group: pd.DataFrame, metrics: list[str]) -> tuple[list[tuple[str, list[str]]], list[str]]:
    keys = group.drop_duplicates(["method", "variant"])[["method", "variant", "kind"]]
    keys = keys.assign(rank=[list(ANCHORS).index(m) if m in ANCHORS else len(ANCHORS) for m in keys["method"]])
    keys = keys.sort_values(["rank", "method", "variant"], kind="stable")
    variants = keys.groupby("method")["variant"].transform("nunique")
    columns, headings = [], []
    for metric in metrics:
        rows = summary(group, metric)
        if rows.empty:
            continue
        methods = rows[~rows["method"].isin(ANCHORS)]
        counted = methods if len(methods) else rows
        sizes = sorted({(a, b) for a, b in zip(counted["n_gen"], counted["n_ref"])})
        known = METRICS.get(metric)
        arrow = {"lower": " ↓", "higher": " ↑"}.get(known.better or "", "") if known else ""
        times = f" x{known.scale:g}" if known and known.scale != 1 else ""
        headings.append(f"{metric}{arrow}{times} n={'; '.join(f'{_n(a)}/{_n(b)}' for a, b in sizes)}")
        columns.append(_column(rows, metric, known.scale if known else 1.0, sizes))
    found = []
    for (_, key), several in zip(keys.iterrows(), variants):
        label = f"{key['method']} ({key['variant']})" if several > 1 else str(key["method"])
        runs = group[(group["method"] == key["method"]) & (group["variant"] == key["variant"])]
        if (runs["status"] == "diverged").all():
            found.append((label, ["diverged"] * len(headings)))
            continue
        found.append((label, [column.get((key["method"], key["variant"]), "n/a") for column in columns]))
    return found, headings


def _column(
    rows: pd.DataFrame, metric: str, scale: float, sizes: list[tuple[float, float]]
) -> dict[tuple[str, str], str]:
    """Cells by method and variant; one measured on other image counts than the heading's says so."""
    first = best(rows, metric)
    column = {}
    for _, row in rows.iterrows():
        text = f"{row['mean'] * scale:.3g}"
        if row["runs"] > 1:
            text += f" ± {(row['high'] - row['mean']) * scale:.2g}"
        if (row["n_gen"], row["n_ref"]) not in sizes:
            text += f" (n={_n(row['n_gen'])}/{_n(row['n_ref'])})"
        where = (row["method"], row["variant"])
        column[where] = f"**{text}**" if where == first else text
    return column


def _notes(group: pd.DataFrame) -> list[str]:
    runs = group.drop_duplicates("folder").groupby("method").size()
    counts = ", ".join(f"{escape(str(method))} {count}" for method, count in runs.items())
    notes = [
        f"Runs: {counts}. ± is half a 95 % t interval over target subsets (training seeds averaged), or over training "
        "seeds where there is one subset; a cell without it is one run."
    ]
    notes.append(
        "n = translations / images they are measured against; a Frechet distance falls with n, so compare equal n."
    )
    if not (group["metric"] == "fid").any() or group.loc[group["metric"] == "fid", "value"].isna().all():
        notes.append("`fid` and `kid` need the official Inception weights: python -m bench weights list")
    return notes


def _n(count: float) -> str:
    return "-" if pd.isna(count) else str(int(count))
