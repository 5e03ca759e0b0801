"""A profile: what a sweep asks of a cluster for each job. A TOML file; examples lie in slurm/."""

import re
import shlex
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from bench.core.paths import expand_home
from bench.core.typed import read_typed

Text = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=1, le=10**9)]
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Profile(Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of the file. Values of None are not asked for, so the cluster's own defaults hold."""

    partition: Text | None = None
    account: Text | None = None
    qos: Text | None = None
    constraint: Text | None = None  # features of the node: "a100|h100"
    gpus: Annotated[int, Meta(ge=0, le=64)] = 0  # of one job: a run trains on all of them
    cpus: Count = 1
    memory: Text | None = None  # as sbatch writes it: "16G"
    time: Text | Count = "24:00:00"  # limit of one job: minutes, H:M:S, D-H, D-H:M or D-H:M:S
    signal_seconds: Count = 90  # before the limit a job is told to save its state
    setup: tuple[Text, ...] = ()  # lines of shell that run in the job before anything else: "module load cuda"
    environment: dict[str, str] = {}  # variables; never seen by a shell
    container: Text | tuple[Text, ...] = ()  # command before the run's: "apptainer exec --nv bench.sif", or its words
    python: Text | None = None  # in the job (in the container if there is one); None: the one that submits
    max_parallel: Count = 256  # jobs of one array that run at the same time
    pack: Count = 1  # runs in one job
    at_once: Count = 1  # of these, how many side by side
    notify: Text | tuple[Text, ...] = ()  # command run once all runs of a sweep have ended; no shell sees its words
    weights: Text | None = None  # folder of pre-trained networks (I2I_BENCH_WEIGHTS)
    data: Text | None = None  # folder of original files (I2I_BENCH_DATA)
    cache: Text | None = None  # folder of prepared data and artifacts (I2I_BENCH_CACHE); all nodes must see it

    def __post_init__(self) -> None:
        """Raises ValueError for what the types cannot say."""
        minutes(str(self.time))
        if self.gpus > 1 and self.at_once > 1:
            raise ValueError("gpus above 1 and at_once above 1: each run takes all GPUs of its job; set at_once = 1")
        for name in self.__struct_fields__:
            value = getattr(self, name)
            for text in value if isinstance(value, tuple) else (value,):
                if isinstance(text, str) and not text.isprintable():  # it becomes a line of the batch script
                    raise ValueError(f"{name}: line feeds and other control characters are not allowed")
        for name, text in self.environment.items():
            if not VARIABLE.fullmatch(name):
                raise ValueError(f"environment: {name!r} is no name of a variable")
            if "\0" in text:
                raise ValueError(f"environment: {name} holds a zero byte")

    @property
    def minutes(self) -> int:
        return minutes(str(self.time))

    @property
    def container_words(self) -> tuple[str, ...]:
        return _words(self.container)

    @property
    def notify_words(self) -> tuple[str, ...]:
        return _words(self.notify)

    @property
    def places(self) -> dict[str, str]:
        """Where weights and data lie, as environment variables: for the jobs, and for whoever submits them."""
        named = {"I2I_BENCH_WEIGHTS": self.weights, "I2I_BENCH_DATA": self.data, "I2I_BENCH_CACHE": self.cache}
        return {
            key: str(expand_home(Path(place), f"{key} in the profile").resolve())
            for key, place in named.items()
            if place is not None
        }

    @property
    def variables(self) -> dict[str, str]:
        """Environment of the job's runs."""
        return {**self.places, **self.environment}


def _words(command: str | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(shlex.split(command)) if isinstance(command, str) else command


def read(path: Path | None) -> Profile:
    """The profile of a file; the defaults where there is none. A UserError names the key that is wrong."""
    return Profile() if path is None else read_typed(path, Profile, "see slurm/README.md for the keys of a profile")


def minutes(text: str) -> int:
    """ "90" -> 90, "1:30:00" -> 90, "1-0" -> 1440; seconds are rounded up. Raises ValueError."""
    matched = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if not matched:
        raise ValueError(f"time = {text!r}: expected minutes, H:M:S, D-H, D-H:M or D-H:M:S")
    days, a, b, c = (int(group or 0) for group in matched.groups())
    if matched[1] is not None or matched[4] is not None:
        seconds = days * 86400 + a * 3600 + b * 60 + c
    else:
        seconds = a * 60 + b
    if seconds < 60:
        raise ValueError(f"time = {text!r}: SLURM counts whole minutes, at least 1")
    return -(-seconds // 60)
