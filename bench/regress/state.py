"""Which code, libraries and grid a run belongs to."""

import platform
from dataclasses import asdict
from importlib import metadata

from bench.core.files import digest
from bench.core.sources import source_sha256
from bench.regress.baseline import CheckGrid


def state_of(grid: CheckGrid) -> str:
    """12 hex digits: our sources and those of packages whose methods are in the grid, torch, Python, and the grid
    without its seeds and its rule. Runs of one state may be shared; those of two must never be mixed."""
    left_out = ("seeds", "confirm_seeds", "baseline_seeds", "family_error", "tolerance")
    judged_alike = {key: value for key, value in asdict(grid).items() if key not in left_out}
    sources = [source_sha256(method, grid.dataset) for method in sorted(grid.methods)]
    versions = [platform.python_version(), *(metadata.version(name) for name in ("torch", "numpy"))]
    return digest([sources, versions, judged_alike])[:12]
