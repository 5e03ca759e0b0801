"""Records -> one long pandas table, for `bench compare` and `bench slopes`."""

from typing import Any

import numpy as np
import pandas as pd

from bench.leaderboard.board import variant
from bench.statistics.estimate import quantile

# Rows that differ in any of these stand in different tables and are never ranked together.
TABLE = ["dataset", "protocol", "resolution", "target_size"]


def long(records: list[dict[str, Any]]) -> pd.DataFrame:
    """One row a record and metric: the columns of TABLE, method, variant, kind, preset, data (sha256 of the bank's
    manifest), seed, subset_seed, status, finished, metric, version, value, low, high, n_gen, n_ref. A record without
    metrics (diverged) gives one row with metric None."""
    rows = []
    for record in records:
        identity = record["identity"]
        base = {
            **{key: identity.get(key) for key in ("dataset", "protocol", "resolution", "target_size")},
            **{key: identity.get(key) for key in ("method", "kind", "preset", "seed", "subset_seed")},
            "variant": variant(record),
            "data": record["task"].get("manifest_sha256"),
            "status": record["status"],
            "finished": record["finished"],
            "train_seconds": record["cost"].get("train_seconds"),
            "folder": record.get("folder"),
        }
        for name, value in record["metrics"].items():
            fields = ("version", "value", "low", "high", "n_gen", "n_ref", "reason")
            rows.append({**base, "metric": name, **{key: value.get(key) for key in fields}})
        if not record["metrics"]:
            rows.append({**base, "metric": None})
    return pd.DataFrame(rows)


def newest(rows: pd.DataFrame) -> pd.DataFrame:
    """Of rows of one method, variant and metric in one data set the newest of those that are one draw: that repeat a
    subset and a training seed, or a subset where the rows are an anchor's, which trains nothing."""
    keys = [*TABLE, "data", "subset_seed", *([] if (rows["kind"] == "anchor").all() else ["seed"])]
    return rows.sort_values("finished", kind="stable").drop_duplicates(keys, keep="last")


def t_interval(values: np.ndarray) -> tuple[float, float]:
    """Student's t interval of the mean; (nan, nan) for fewer than two values."""
    n = len(values)
    if n < 2:
        return float("nan"), float("nan")
    half = quantile(n - 1) * values.std(ddof=1) / np.sqrt(n)
    return float(values.mean() - half), float(values.mean() + half)
