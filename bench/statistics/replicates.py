"""Which of several runs count as independent: subset seeds and training seeds are nested, not exchangeable."""

import pandas as pd


def replicates(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one method, variant and metric (columns target_size, subset_seed, seed, value) -> the values that an
    interval may count as independent draws: the same columns without `seed`, and `runs`, how many stand behind each.

    Runs on one target subset share what is good or bad about that subset. With two or more subsets the runs of each
    are averaged first, and the subsets are the draws: as many as there are subsets, however many training seeds each
    has. With one subset the training seeds are the draws, and an interval speaks of that subset alone.
    """
    nested = rows["subset_seed"].nunique() > 1
    keys = ["target_size", "subset_seed"] if nested else ["target_size", "subset_seed", "seed"]
    groups = rows.assign(value=rows["value"].astype(float)).groupby(keys, sort=True, dropna=False)["value"]
    return groups.agg(value="mean", runs="size").reset_index()
