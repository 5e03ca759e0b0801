"""`bench doctor`: is all there that runs need on this machine, and what mends what is not. Imports no torch."""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from msgspec import Struct
from packaging.requirements import Requirement

import bench
from bench.core.errors import UserError
from bench.core.paths import cache_root, weights_folder
from bench.launch.environment import clean
from bench.metrics import weights

DISTRIBUTION = "i2i-bench"
OLDEST = (3, 10)  # Python
PATIENCE = 20.0  # seconds for a program of the machine to answer
NO_ROOM, LITTLE_ROOM = 1e9, 10e9  # bytes: a run with its bank needs some hundred megabytes, a grid some gigabytes
SKEW = 5.0  # seconds between the clock of the machine and that of a file system
SLURM = ("sbatch", "squeue", "scancel", "sacct", "scontrol")

State = Literal["fine", "note", "wrong"]


class Finding(Struct, frozen=True):
    """One thing that was looked at. note: something is missing that not everybody needs; wrong: runs will fail."""

    subject: str
    state: State
    said: str
    mend: str = ""


def examine(results: Path) -> list[Finding]:
    """Looks at everything; a check that itself fails is a finding too."""
    checks: tuple[tuple[str, Callable[[Path], Iterator[Finding]]], ...] = (
        ("interpreter", _interpreter), ("packages", _packages), ("weights", _weights), ("cache", _cache),
        ("results", _results), ("disk", _disk), ("GPU", _gpu), ("SLURM", _slurm), ("clock", _clock),
    )  # fmt: skip
    findings: list[Finding] = []
    for subject, check in checks:
        try:
            findings += check(results)
        except (UserError, OSError) as error:
            findings.append(Finding(subject, "wrong", str(error), "mend what the message names, and ask again"))
    return findings


def _interpreter(results: Path) -> Iterator[Finding]:
    said = f"Python {platform.python_version()}, {sys.executable}"
    if sys.version_info[:2] < OLDEST:
        needed = ".".join(map(str, OLDEST))
        yield Finding("interpreter", "wrong", said, f"make an environment with Python {needed} or newer")
    elif sys.prefix == sys.base_prefix:
        yield Finding("interpreter", "note", f"{said}, no environment of its own", "python -m venv .venv")
    else:
        yield Finding("interpreter", "fine", said)


def _packages(results: Path) -> Iterator[Finding]:
    try:
        named = [Requirement(text) for text in metadata.requires(DISTRIBUTION) or ()]
    except metadata.PackageNotFoundError:
        where = Path(bench.__file__).parent.parent
        said = f"{DISTRIBUTION} is not installed, only its source is on the path"
        yield Finding("packages", "note", said, f"pip install -e {where}")
        return
    needed = [one for one in named if one.marker is None or one.marker.evaluate({"extra": ""})]
    bad = {str(one): said for one in needed if (said := _lacking(one))}
    for requirement, said in bad.items():
        yield Finding("packages", "wrong", said, f"pip install '{requirement.split(';')[0].strip()}'")
    if not bad:
        versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "torchvision", "numpy"))
        yield Finding("packages", "fine", f"{DISTRIBUTION} {bench.__version__}; all {len(needed)} needed: {versions}")


def _lacking(needed: Requirement) -> str:
    """Why a requirement is not met; "" where it is."""
    try:
        version = metadata.version(needed.name)
    except metadata.PackageNotFoundError:
        return f"{needed.name} is not installed"
    met = needed.specifier.contains(version, prereleases=True)
    return "" if met else f"{needed.name} is {version}, needed is {needed.specifier}"


def _weights(results: Path) -> Iterator[Finding]:
    here = []
    for name, entry in weights.WEIGHTS.items():
        needed = entry.by_default or name == "effnet-lite0"
        try:
            weights.pretrained_weights(name)
            here.append(name)
        except weights.MissingWeights as error:
            if needed:
                yield Finding("weights", "wrong", str(error).split("; ")[0], entry.how)
        except UserError as error:
            yield Finding("weights", "wrong", str(error), f"delete the file, then: {entry.how}")
    others = [name for name in weights.WEIGHTS if name not in here]
    if here:
        more = f"; not here, for some metrics only: {', '.join(others)} (bench weights list)" if others else ""
        yield Finding("weights", "fine", f"as published, in {weights_folder()} and packages: {', '.join(here)}{more}")


def _cache(results: Path) -> Iterator[Finding]:
    yield _writable("cache", cache_root(), "I2I_BENCH_CACHE=FOLDER names another")


def _results(results: Path) -> Iterator[Finding]:
    yield _writable("results", results.resolve(), "--results FOLDER names another")


def _writable(subject: str, folder: Path, mend: str) -> Finding:
    """Whether files can be made there, and linked: by links a run owns its folder."""
    there = _nearest(folder)
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=there) as trial:
            first = Path(trial) / "first"
            first.touch()
            first.with_name("second").hardlink_to(first)
    except OSError as error:
        why = error.strerror or str(error)
        return Finding(subject, "wrong", f"{folder}: cannot make and link files in {there} ({why})", mend)
    return Finding(subject, "fine", f"{folder} {'can be written' if there == folder else 'can be made'}")


def _nearest(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _disk(results: Path) -> Iterator[Finding]:
    places = {"cache": cache_root(), "results": results.resolve(), "temporary files": Path(tempfile.gettempdir())}
    for name, folder in places.items():
        free = shutil.disk_usage(_nearest(folder)).free
        state: State = "wrong" if free < NO_ROOM else "note" if free < LITTLE_ROOM else "fine"
        mend = "" if state == "fine" else "free some space, or name another disk (I2I_BENCH_CACHE, --results, TMPDIR)"
        yield Finding("disk", state, f"{name}: {free / 1e9:,.0f} GB free at {_nearest(folder)}", mend)


def _gpu(results: Path) -> Iterator[Finding]:
    cards = _ask(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"])
    built = _cuda_of_torch()
    if cards is None:
        yield Finding("GPU", "fine", "no NVIDIA GPU here (nvidia-smi does not answer): runs use the processor")
    elif built is None:
        said = f"{'; '.join(cards.splitlines())}, but this torch is built for the processor only"
        yield Finding("GPU", "wrong", said, "pip install --force-reinstall torch torchvision   (the builds for CUDA)")
    else:
        works = _ask([sys.executable, "-c", "import torch; torch.zeros(1).cuda(); print('works')"], patience=120)
        said = f"{'; '.join(cards.splitlines())}, torch built for CUDA {built}"
        if works is None:
            yield Finding(
                "GPU", "wrong", f"{said}, but torch cannot use it", "a newer driver, or torch for an older CUDA"
            )
        else:
            yield Finding("GPU", "fine", said)


def _cuda_of_torch() -> str | None:
    """The CUDA that the installed torch is built for, from its version.py; None for a build without."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    version = Path(spec.origin).with_name("version.py")
    matched = re.search(r"^cuda\b[^=]*= *'([\d.]+)'", version.read_text(encoding="utf-8"), re.MULTILINE)
    return matched[1] if matched else None


def _slurm(results: Path) -> Iterator[Finding]:
    here = [command for command in SLURM if shutil.which(command)]
    if not here:
        yield Finding("SLURM", "fine", "not on this machine: sweeps run here (--launcher local)")
        return
    if missing := [command for command in SLURM if command not in here]:
        yield Finding("SLURM", "wrong", f"{', '.join(missing)} not on the path", "module load slurm, or a login node")
    if _ask(["scontrol", "show", "config"]) is None:
        said = "the controller does not answer (scontrol show config)"
        yield Finding("SLURM", "note", said, "ask the cluster's staff; only sweeps with --launcher slurm need it")
    elif "sacct" in here and _ask(["sacct", "-n", "-X"]) is None:
        said = "sacct does not answer: states of runs come from their folders alone"
        yield Finding("SLURM", "note", said, "nothing; accounting is optional")
    else:
        yield Finding("SLURM", "fine", f"answers; {', '.join(here)}")


def _clock(results: Path) -> Iterator[Finding]:
    now = time.time()
    if (written := _newest_source()) > now + SKEW:
        said = f"the clock says {_date(now)}, but the code was written {_date(written)}"
        yield Finding("clock", "wrong", said, "set the clock: timedatectl set-ntp true")
    for name, folder in {"results": results.resolve(), "cache": cache_root()}.items():
        with tempfile.NamedTemporaryFile(prefix=".doctor-", dir=_nearest(folder)) as file:
            apart = Path(file.name).stat().st_mtime - time.time()
        if abs(apart) > SKEW:
            said = f"the file system of {name} is {apart:+.0f} s from this machine's clock"
            yield Finding("clock", "note", said, "let both follow one time server; runs are right all the same")
            return
    yield Finding("clock", "fine", f"{_date(now)}, alike on this machine and on the file systems")


def _newest_source() -> float:
    return max(path.stat().st_mtime for path in Path(bench.__file__).parent.rglob("*.py"))


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="seconds")


def _ask(command: list[str], patience: float = PATIENCE) -> str | None:
    """What a program prints; None where it is not there, fails, or does not end in time."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=patience, check=True, env=clean(os.environ)
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
