"""Imbalance: how much a metric changes with each doubling of the target training set."""

import numpy as np
import pandas as pd

from bench.statistics.estimate import line
from bench.statistics.replicates import replicates
from bench.statistics.table import TABLE, newest

# A line runs through the target sizes, so a size does not part one table from the other here.
LINE = [key for key in TABLE if key != "target_size"]


def slopes(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The long table (bench.statistics.table.long) -> one row a data set, method and variant: the columns of LINE,
    method, variant, slope, low, high (change of the stored value per doubling; NaN where there is none), draws, runs,
    sizes (target sizes by comma) and reason (why there is no slope, or no interval, else None).

    Only the newest version of the metric that occurs is used. n_ref may differ between target sizes, not within one:
    where a classifier is trained, it counts the target subset.
    """
    rows = table[(table["metric"] == metric) & table["value"].notna()]
    rows = rows[rows["version"] == rows["version"].max()]
    columns = [*LINE, "method", "variant"]
    found = [
        {**dict(zip(columns, key)), **_slope(group)}
        for key, group in rows.groupby(columns, sort=True, dropna=False)
    ]  # fmt: skip
    return pd.DataFrame(found, columns=[*columns, "slope", "low", "high", "draws", "runs", "sizes", "reason"])


def _slope(rows: pd.DataFrame) -> dict[str, object]:
    rows = newest(rows)
    draws = replicates(rows)
    sizes = sorted(int(size) for size in draws["target_size"].unique())
    facts = {"draws": len(draws), "runs": len(rows), "sizes": ", ".join(map(str, sizes))}
    if len(sizes) < 2:
        return {**facts, "reason": "one target size; a slope needs two"}
    if rows["data"].nunique(dropna=False) > 1:
        return {**facts, "reason": "measured on data that changed"}
    at_one_size = rows.groupby("target_size")["n_ref"].nunique(dropna=False)
    if rows["n_gen"].nunique(dropna=False) > 1 or at_one_size.max() > 1:
        return {**facts, "reason": "measured on unequal numbers of images"}
    slope, low, high = line(np.log2(draws["target_size"].to_numpy(float)).tolist(), draws["value"].tolist())
    reason = "three draws or more are needed for an interval" if np.isnan(low) else None
    return {**facts, "slope": slope, "low": low, "high": high, "reason": reason}
