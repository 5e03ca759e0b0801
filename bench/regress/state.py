"""Which code, libraries and grid a run belongs to."""

import hashlib
import importlib
import importlib.util
import platform
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from bench.files import digest
from bench.registry import find
from bench.regress.baseline import Grid


def state_of(grid: Grid) -> str:
    """12 hex digits: the sources of the harness, the methods and the data sets, torch, Python, the grid but its seeds.

    Methods of other packages count with the whole of their package.
    """
    seeds = {"seeds": None, "baseline_seeds": None, "family_error": None, "tolerance": None}
    packages = ["bench", "bench.methods", "bench.datasets"]
    for name in grid.methods:
        entry = find("methods", name)
        if entry.origin != "built in":
            packages.append(entry.module.split(".")[0])
    parts = {name: _sources(name) for name in packages}
    versions = [platform.python_version(), metadata.version("torch"), metadata.version("numpy")]
    return digest([parts, versions, {**asdict(grid), **seeds}])[:12]


def _sources(name: str) -> str:
    """sha256 over every file of a package or module, by its path within it."""
    total = hashlib.sha256()
    for root in _roots(name):
        files = [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.is_file())
        for path in files:
            if "__pycache__" not in path.parts:
                total.update(f"{path.relative_to(root.parent)}\n".encode() + path.read_bytes())
    return total.hexdigest()


def _roots(name: str) -> list[Path]:
    if name in ("bench.methods", "bench.datasets"):
        return [Path(folder) for folder in importlib.import_module(name).__path__]
    spec = importlib.util.find_spec(name)
    if spec is None:
        return []
    return [Path(f) for f in spec.submodule_search_locations or ()] or [Path(spec.origin or "")]
