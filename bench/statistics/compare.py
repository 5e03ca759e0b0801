"""Is the difference between two methods real? Paired differences on equal cells."""

from typing import Any

import numpy as np
import pandas as pd

from bench.core.errors import UserError, unknown
from bench.metrics import METRICS
from bench.statistics.estimate import estimate
from bench.statistics.table import TABLE, newest

# Two values form a pair where all of these agree: one data set with one content, one target subset, one seed.
PAIR = ["dataset", "protocol", "resolution", "data", "target_size", "subset_seed", "seed"]
MEASURED = {"version": "metric versions", "n_gen": "numbers of translations", "n_ref": "numbers of reference images"}
COLUMNS = [*TABLE, "metric", "a", "b", "difference", "low", "high", "cells", "draws", "verdict", "note"]
WHOSE = "(of the records of our own runs; what was added from elsewhere is not compared)"


def compare(table: pd.DataFrame, a: str, b: str, metrics: list[str] | None = None) -> pd.DataFrame:
    """Long table -> one row a data set, target size and metric: the columns of COLUMNS.

    a, b        means over the cells that both have; None where there is no pair
    difference  mean of a - b over cells, with a 95 % t interval low, high (NaN for fewer than two draws)
    cells       equal (subset seed, training seed) that both have; draws: the independent ones
                (bench.statistics.estimate)
    verdict     "a is better", "b is better", "differs" (neither direction is a merit), "no difference shown" (the
                interval contains zero), or "" where no interval can be given
    note        what was left out, and why there is no verdict

    `a` and `b` are methods, or method:variant or method:preset as the leaderboard writes them. Values of other metric
    versions or of other numbers of images never form a pair. UserError: unknown or ambiguous names, nothing in common.
    """
    mine, theirs = choose(table, a), choose(table, b)
    if set(mine["folder"]) & set(theirs["folder"]):
        raise UserError(f"{a} and {b} are the same runs; name two methods or two variants")
    chosen = metrics or [name for name in METRICS if name in set(mine["metric"]) & set(theirs["metric"])]
    lines = []
    for key, left in mine.groupby(TABLE, dropna=False, sort=True):
        right = theirs[np.logical_and.reduce([theirs[column].isin([value]) for column, value in zip(TABLE, key)])]
        notes = _diverged(left, right)
        for metric in chosen:
            rows = left[left["metric"] == metric], right[right["metric"] == metric]
            if len(rows[0]) and len(rows[1]):
                lines.append({**dict(zip(TABLE, key)), "metric": metric, **_difference(*rows, metric, notes)})
    if not lines:
        raise UserError(
            f"{a} and {b} have no data set, target size and metric in common; see: python -m bench leaderboard"
        )
    return pd.DataFrame(lines, columns=COLUMNS)


def choose(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of `method`, `method:variant` or `method:preset`; one variant in each data set and size."""
    method, _, detail = (name, "", "") if (table["method"] == name).any() else name.rpartition(":")
    if not method:
        raise unknown("method", name, set(table["method"]), mend=WHOSE)
    rows = table[table["method"] == method]
    if rows.empty:
        raise unknown("method", method, set(table["method"]), mend=WHOSE)
    variants = sorted({f"{method}:{v} (preset {p or 'none'})" for v, p in zip(rows["variant"], rows["preset"])})
    if detail:
        rows = rows[(rows["variant"] == detail) | (rows["preset"] == detail)]
    if rows.empty:
        raise UserError(f"{method} has no variant or preset {detail!r} in the records; it has {', '.join(variants)}")
    if rows.groupby(TABLE, dropna=False)["variant"].nunique().max() > 1:
        raise UserError(f"{name} means several variants; name one of {', '.join(variants)}")
    return rows


def _difference(left: pd.DataFrame, right: pd.DataFrame, metric: str, notes: list[str]) -> dict[str, Any]:
    """The difference between the rows of one metric in one table."""
    pairs, notes = _comparable(_pairs(left, right), notes)
    if pairs.empty:
        missing = "no cell in common: other seeds, or data that changed"
        return {"cells": 0, "draws": 0, "verdict": "", "note": "; ".join(notes) or missing}
    cells = list(zip(pairs["subset_seed"], pairs["seed"]))
    a, b = (dict(zip(cells, pairs[side].astype(float))) for side in ("value_a", "value_b"))
    gap = estimate({cell: a[cell] - b[cell] for cell in cells})
    if gap.draws < 2:
        notes.append("one cell: no interval, so no verdict")
    return {
        "a": estimate(a).mean,
        "b": estimate(b).mean,
        "difference": gap.mean,
        "low": gap.low,
        "high": gap.high,
        "cells": gap.runs,
        "draws": gap.draws,
        "verdict": verdict(gap.low, gap.high, METRICS[metric].better if metric in METRICS else None),
        "note": "; ".join(notes),
    }


def _comparable(pairs: pd.DataFrame, notes: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """The pairs that were measured alike and have both numbers, and the notes with why others were left out."""
    notes = [*notes]
    for side in ("a", "b"):
        missing = pairs[f"value_{side}"].isna()
        if missing.any():
            reason = pairs.loc[missing, f"reason_{side}"].iloc[0] or "diverged"
            notes.append(f"{int(missing.sum())} left out: {side} has no value ({reason})")
        pairs = pairs[~missing]
    for column, what in MEASURED.items():
        unequal = pairs[f"{column}_a"].fillna(-1) != pairs[f"{column}_b"].fillna(-1)
        if unequal.any():
            first = pairs[unequal].iloc[0]
            values = f"{_whole(first[f'{column}_a'])} against {_whole(first[f'{column}_b'])}"
            notes.append(f"{int(unequal.sum())} left out: unequal {what} ({values})")
        pairs = pairs[~unequal]
    return pairs, notes


def _pairs(left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    """One row a cell that both have, of the newest run where seeds are repeated. An anchor row trains nothing, so its
    value stands for every training seed."""
    anchored = [bool((rows["kind"] == "anchor").all()) for rows in (left, right)]
    keys = [key for key in PAIR if key != "seed" or not any(anchored)]
    fields = [*PAIR, "value", "reason", "images", *MEASURED]
    pairs = newest(left)[fields].merge(newest(right)[fields], on=keys, suffixes=("_a", "_b"))
    pairs = pairs if "seed" in keys else pairs.rename(columns={"seed_b" if anchored[0] else "seed_a": "seed"})
    images = ["subset_seed", "images_a", "images_b"]
    return pairs[pairs[images].isna().any(axis=1) | ~pairs.duplicated(images)]  # equal outputs are one draw


def _whole(count: float) -> str:
    return "-" if pd.isna(count) else str(int(count))


def verdict(low: float, high: float, better: str | None) -> str:
    """What an interval of a - b says; nothing where it is NaN."""
    if np.isnan(low) or np.isnan(high):
        return ""
    if low <= 0 <= high:
        return "no difference shown"
    if better is None:
        return "differs"
    return "a is better" if (high < 0) == (better == "lower") else "b is better"


def _diverged(mine: pd.DataFrame, theirs: pd.DataFrame) -> list[str]:
    """Runs that have no numbers because they diverged: who compares only what is left should know."""
    return [
        f"{side}: {count} of {rows['folder'].nunique()} runs diverged, left out"
        for side, rows in (("a", mine), ("b", theirs))
        if (count := rows.loc[rows["status"] == "diverged", "folder"].nunique())
    ]
