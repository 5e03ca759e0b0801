"""Records of tests, written as dictionaries."""

from typing import Any

import msgspec

from bench.runs.record import Record


def as_record(values: dict[str, Any]) -> Record:
    """What a record.json with these values is when it is read; the schema may be left out."""
    return msgspec.convert({"schema": 1, **values}, Record)
