"""Records -> one long pandas table, for `bench compare` and for people who work with pandas."""

import pandas as pd

from bench.runs.record import Record, variant
from bench.statistics.conditions import images_of

# Rows that differ in any of these stand in different tables and are never ranked together.
TABLE = ["dataset", "protocol", "resolution", "target_size"]
VALUE = ("version", "value", "low", "high", "n_gen", "n_ref", "reason")


def long(records: list[Record]) -> pd.DataFrame:
    """One row a record and metric: the columns of TABLE, method, variant, kind, preset, data (sha256 of the bank's
    manifest), seed, subset_seed, status, finished, train_seconds, folder, images (sha256 of the translations), metric
    and those of VALUE. A record without metrics (diverged) gives one row with metric None."""
    rows = []
    for record in records:
        identity = record.identity
        base = {
            **{key: getattr(identity, key) for key in TABLE},
            **{key: getattr(identity, key) for key in ("method", "kind", "preset", "seed", "subset_seed")},
            "variant": variant(identity, record.config),
            "data": record.task.manifest_sha256,
            "status": record.status,
            "finished": record.finished,
            "train_seconds": record.cost.train_seconds,
            "folder": record.folder,
            "images": images_of(record),
        }
        for name, value in record.metrics.items():
            rows.append({**base, "metric": name, **{key: getattr(value, key) for key in VALUE}})
        if not record.metrics:
            rows.append({**base, "metric": None})
    return pd.DataFrame(rows)


def newest(rows: pd.DataFrame) -> pd.DataFrame:
    """The newest of those rows of one method, variant, metric and data set that are one draw: that repeat a
    subset and a training seed, or a subset where the rows are an anchor's, which trains nothing."""
    keys = [*TABLE, "data", "subset_seed", *([] if (rows["kind"] == "anchor").all() else ["seed"])]
    return rows.sort_values("finished", kind="stable").drop_duplicates(keys, keep="last")
