"""What a process needs to find this very code, from a checkout or an installed package."""

import os
from pathlib import Path

import bench


def root() -> str:
    """The folder that holds the package."""
    return str(Path(bench.__file__).resolve().parent.parent)


def checkout() -> dict[str, str]:
    others = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": root() + (os.pathsep + others if others else "")}
