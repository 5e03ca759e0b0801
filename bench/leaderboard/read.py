"""The records below a results folder as the long table."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from bench.core.errors import UserError, unknown
from bench.runs.record import read_records
from bench.statistics.table import long


def read_table(results: Path, dataset: str | None, say: Callable[[str], None]) -> pd.DataFrame:
    """bench.statistics.table.long of all records, or of one data set's; `say` gets a line for each damaged one.

    Raises UserError where there is none.
    """
    records = read_records(results, say)
    if not records:
        raise UserError(f"no records below {results / 'runs'}; make one with: python -m bench run --help")
    known = {record.identity.dataset for record in records}
    if dataset is not None and dataset not in known:
        raise unknown("dataset", dataset, known, mend="(of the records)")
    table = long(records)
    return table if dataset is None else table[table["dataset"] == dataset]
