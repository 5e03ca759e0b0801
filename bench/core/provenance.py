"""Where a number comes from: commit, versions, hardware."""

import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from bench import __version__

_PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "lpips", "efficientnet-lite-pytorch", "pillow")


def collect(device: str, threads: int, manifest_sha256: str, weights: dict[str, str]) -> dict[str, Any]:
    """JSON-able facts. `weights` maps each pre-trained network that was used to its sha256."""
    return {
        "i2i_bench": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "cpu": _cpu(),
        "device": device,
        "gpu": _gpu(device),
        "threads": threads,
        "manifest_sha256": manifest_sha256,
        "weights": weights,
    }


@cache
def commit() -> str | None:
    """The commit of the checkout that this code runs from, with "+changes" if it has any; None outside one.

    "+unknown" where git could not tell within 10 seconds: a checkout never counts as unchanged unless git says so.

    Asked once in a process, at its start: an edit while a run trains changes nothing that it does.
    """
    folder = Path(__file__).resolve().parent
    head = _git(folder, "rev-parse", "HEAD")
    if head is None or _git(folder, "ls-files", "--error-unmatch", __file__) is None:
        return None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    if changes is None:
        return head + "+unknown"
    return head + ("+changes" if changes else "")


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _gpu(device: str) -> dict[str, Any] | None:
    """Model, memory, driver and libraries of a CUDA device; None for others."""
    if not device.startswith("cuda"):
        return None
    import torch

    properties = torch.cuda.get_device_properties(torch.device(device))
    return {
        "name": properties.name,
        "memory_bytes": properties.total_memory,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "driver": _driver(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def _driver() -> str | None:
    """The version of NVIDIA's driver, as nvidia-smi tells it."""
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return next(iter(done.stdout.split()), None)


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()} x {os.cpu_count()}"
    except OSError:
        pass
    return f"{platform.processor() or platform.machine()} x {os.cpu_count()}"
