"""Tiny finished runs, trained for two steps, that the tests of this folder share."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import bench

RESULTS = Path(mkdtemp(prefix="i2i-bench-use-"))


@cache
def tiny_run(method: str = "cyclegan", **fields: Any) -> bench.Run:
    """A finished run on ink at 32 px."""
    return bench.run(
        method=method, dataset="ink", target_size=20, preset="smoke", resolution=32, budget_kimg=0.004, device="cpu",
        metrics=[], results=RESULTS, quiet=True, fields=fields,
    )  # fmt: skip
