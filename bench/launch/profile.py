"""A profile: what a sweep asks of a cluster for each job. A TOML file; examples lie in slurm/."""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from bench.core.errors import UserError, unknown
from bench.launch import toml


@dataclass(frozen=True)
class Profile:
    """The keys of the file. Values of None are not asked for, so the cluster's own defaults hold."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None  # features of the node: "a100|h100"
    gpus: int = 0  # of one job: 0 or 1
    cpus: int = 1
    memory: str | None = None  # as sbatch writes it: "16G"
    time: str = "24:00:00"  # limit of one job: minutes, H:M:S, D-H, D-H:M or D-H:M:S
    signal_seconds: int = 90  # before the limit a job is told to save its state
    setup: tuple[str, ...] = ()  # lines of shell that run in the job before anything else: "module load cuda"
    environment: tuple[tuple[str, str], ...] = ()  # a table of variables; never seen by a shell
    container: tuple[str, ...] = ()  # command before the run's: "apptainer exec --nv bench.sif", or a list of words
    python: str | None = None  # in the job (in the container if there is one); None: the one that submits
    max_parallel: int = 256  # jobs of one array that run at the same time
    pack: int = 1  # runs in one job
    at_once: int = 1  # of these, how many side by side
    weights: str | None = None  # folder of pre-trained networks (I2I_BENCH_WEIGHTS)
    data: str | None = None  # folder of original files (I2I_BENCH_DATA)
    cache: str | None = None  # folder of prepared data and artifacts (I2I_BENCH_CACHE); all nodes must see it

    @property
    def minutes(self) -> int:
        return minutes(self.time)

    @property
    def places(self) -> dict[str, str]:
        """Where weights and data lie, as environment variables: for the jobs, and for whoever submits them."""
        named = {"I2I_BENCH_WEIGHTS": self.weights, "I2I_BENCH_DATA": self.data, "I2I_BENCH_CACHE": self.cache}
        return {key: str(Path(place).expanduser().resolve()) for key, place in named.items() if place is not None}

    @property
    def variables(self) -> dict[str, str]:
        """Environment of the job's runs."""
        return {**self.places, **dict(self.environment)}


def read(path: Path | None) -> Profile:
    """The profile of a file; the defaults where there is none. A UserError names the key that is wrong."""
    if path is None:
        return Profile()
    values = toml.read(path, "profile")
    known = [field.name for field in fields(Profile)]
    for key, value in values.items():
        if key not in known:
            raise unknown("key", key, known, f"(profile {path})")
        try:
            values[key] = _READ.get(key, _text)(value)
        except ValueError as error:
            raise UserError(f"profile {path}: {key} = {value!r}: {error}") from None
    return Profile(**values)


def minutes(text: str) -> int:
    """ "90" -> 90, "1:30:00" -> 90, "1-0" -> 1440; seconds are rounded up. Raises ValueError."""
    matched = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if not matched:
        raise ValueError("expected minutes, H:M:S, D-H, D-H:M or D-H:M:S")
    days, a, b, c = (int(group or 0) for group in matched.groups())
    if matched[1] is not None or matched[4] is not None:
        seconds = days * 86400 + a * 3600 + b * 60 + c
    else:
        seconds = a * 60 + b
    if seconds < 60:
        raise ValueError("SLURM counts whole minutes: at least 1")
    return -(-seconds // 60)


def _text(value: Any) -> str:
    """One line: it becomes a line of the batch script, where a line feed would begin another."""
    if not isinstance(value, str) or not value:
        raise ValueError("expected text")
    if not value.isprintable():
        raise ValueError("line feeds and other control characters are not allowed")
    return value


def _count(least: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"expected a whole number from {least}")
        return value

    return read


def _gpus(value: Any) -> int:
    if _count(0)(value) > 1:
        raise ValueError("a run uses one GPU: 0 or 1")
    return value


def _time(value: Any) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)
    minutes(text)
    return text


def _lines(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("expected a list of lines")
    return tuple(_text(line) for line in value)


def _words(value: Any) -> tuple[str, ...]:
    return tuple(shlex.split(value)) if isinstance(value, str) else _lines(value)


def _variables(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise ValueError("expected a table: environment = { NAME = 'value' }")
    for name, text in value.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"{name!r} is no name of a variable")
        if not isinstance(text, str) or "\0" in text:
            raise ValueError(f"{name} must be text")
    return tuple(value.items())


_READ: dict[str, Callable[[Any], Any]] = {
    "gpus": _gpus,
    "cpus": _count(1),
    "time": _time,
    "signal_seconds": _count(1),
    "setup": _lines,
    "environment": _variables,
    "container": _words,
    "max_parallel": _count(1),
    "pack": _count(1),
    "at_once": _count(1),
}
