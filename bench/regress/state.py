"""Which code, libraries and grid a run belongs to."""

import hashlib
import importlib.util
import platform
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from bench.core.files import digest
from bench.core.provenance import source_sha256
from bench.core.registry import find
from bench.regress.baseline import Grid


def state_of(grid: Grid) -> str:
    """12 hex digits: our sources and those of packages whose methods are in the grid, torch, Python, and the grid
    without its seeds and its rule. Runs of one state may be shared; those of two must never be mixed."""
    left_out = ("seeds", "confirm_seeds", "baseline_seeds", "family_error", "tolerance")
    judged_alike = {key: value for key, value in asdict(grid).items() if key not in left_out}
    others = {
        entry.module.split(".")[0] for entry in (find("methods", m) for m in grid.methods) if entry.origin != "built in"
    }
    sources = [source_sha256(), *(_sources(name) for name in sorted(others))]
    versions = [platform.python_version(), *(metadata.version(name) for name in ("torch", "numpy"))]
    return digest([sources, versions, judged_alike])[:12]


def _sources(name: str) -> str:
    """sha256 over every Python file of a package or module."""
    spec = importlib.util.find_spec(name)
    total = hashlib.sha256()
    if spec is not None:
        folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
        files = [path for folder in folders for path in sorted(folder.rglob("*.py"))] or [Path(spec.origin or "")]
        for path in files:
            total.update(f"{path.name}\n".encode() + path.read_bytes())
    return total.hexdigest()
