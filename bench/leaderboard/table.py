"""Records -> one long pandas table -> a summary: a row a method, a column a metric."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bench.files import digest
from bench.leaderboard.replicates import replicates
from bench.metrics import METRICS
from bench.metrics.anchors import ANCHORS

# Rows that differ in any of these stand in different tables and are never ranked together.
TABLE = ["dataset", "protocol", "resolution", "target_size"]
CONFIDENCE = 0.95


def long(records: list[dict[str, Any]]) -> pd.DataFrame:
    """One row a record and metric: the columns of TABLE, method, variant, kind, preset, data (sha256 of the bank's
    manifest), seed, subset_seed, status, metric, version, value, low, high, n_gen, n_ref. A record without metrics
    (diverged) gives one row with metric None."""
    rows = []
    for record in records:
        identity = record["identity"]
        base = {
            **{key: identity.get(key) for key in ("dataset", "protocol", "resolution", "target_size")},
            **{key: identity.get(key) for key in ("method", "kind", "preset", "seed", "subset_seed")},
            "variant": _variant(record),
            "data": record["task"].get("manifest_sha256"),
            "status": record["status"],
            "train_seconds": record["cost"].get("train_seconds"),
            "folder": record.get("folder"),
        }
        for name, value in record["metrics"].items():
            fields = ("version", "value", "low", "high", "n_gen", "n_ref", "reason")
            rows.append({**base, "metric": name, **{key: value.get(key) for key in fields}})
        if not record["metrics"]:
            rows.append({**base, "metric": None})
    return pd.DataFrame(rows)


def _variant(record: dict[str, Any]) -> str:
    """Equal for runs that differ in their seeds alone; only those are averaged."""
    identity = record["identity"]
    return digest([record["config"], identity.get("amp"), identity.get("preset")])[:6]


def summary(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One row a method and variant within one table: mean, low, high (95 % t interval over independent draws, see
    replicates; NaN for fewer than two), runs, n_gen, n_ref. Only the newest version of the metric that occurs is kept.

    Runs of one method that were measured on unequal numbers of images are not averaged: the rarer ones are left out.
    """
    rows = table[(table["metric"] == metric) & table["value"].notna()]
    if rows.empty:
        return pd.DataFrame(columns=["method", "variant", "mean", "low", "high", "runs", "n_gen", "n_ref"])
    rows = rows[rows["version"] == rows["version"].max()]
    found = []
    for (method, variant), group in rows.groupby(["method", "variant"], sort=False):
        group = _most_common_size(group)
        values = replicates(group)["value"].to_numpy()
        low, high = t_interval(values)
        found.append(
            {
                "method": method,
                "variant": variant,
                "mean": values.mean(),
                "low": low,
                "high": high,
                "runs": len(group),
                "n_gen": group["n_gen"].iloc[0],
                "n_ref": group["n_ref"].iloc[0],
            }
        )
    return pd.DataFrame(found)


def _most_common_size(rows: pd.DataFrame) -> pd.DataFrame:
    sizes = rows.groupby(["n_gen", "n_ref"], dropna=False, sort=False)["value"].transform("size")
    first = rows[sizes == sizes.max()].iloc[0]
    return rows[rows["n_gen"].isin([first["n_gen"]]) & rows["n_ref"].isin([first["n_ref"]])]


def t_interval(values: np.ndarray) -> tuple[float, float]:
    """Student's t interval of the mean; (nan, nan) for fewer than two values."""
    n = len(values)
    if n < 2:
        return float("nan"), float("nan")
    half = stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)
    return float(values.mean() - half), float(values.mean() + half)


def best(rows: pd.DataFrame, metric: str) -> tuple[str, str] | None:
    """(method, variant) of the best mean, only if its interval lies apart from that of every other method and all
    were measured on equally many images."""
    better = METRICS[metric].better if metric in METRICS else None
    rows = rows[~rows["method"].isin(ANCHORS)]
    if better is None or len(rows) < 2 or rows[["low", "high"]].isna().to_numpy().any():
        return None
    if rows["n_gen"].nunique() > 1 or rows["n_ref"].nunique() > 1:
        return None
    ordered = rows.sort_values("mean", ascending=better == "lower")
    first, rest = ordered.iloc[0], ordered.iloc[1:]
    apart = (rest["low"] > first["high"]).all() if better == "lower" else (rest["high"] < first["low"]).all()
    return (str(first["method"]), str(first["variant"])) if apart else None
