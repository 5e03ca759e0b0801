"""Where things that are not results lie; each place can be moved by an environment variable."""

import os
from pathlib import Path

from bench.core.errors import UserError


def cache_root() -> Path:
    """Image banks, artifacts, features, weights: I2I_BENCH_CACHE, by default ~/.cache/i2i-bench."""
    return _named("I2I_BENCH_CACHE") or expand_home(Path("~/.cache/i2i-bench"), "I2I_BENCH_CACHE")


def artifacts_folder() -> Path:
    """Results of slow stages that runs share: I2I_BENCH_ARTIFACTS, by default the folder `artifacts` of the cache."""
    return _named("I2I_BENCH_ARTIFACTS") or cache_root() / "artifacts"


def weights_folder() -> Path:
    """Pre-trained networks: I2I_BENCH_WEIGHTS, by default the folder `weights` of the cache."""
    return _named("I2I_BENCH_WEIGHTS") or cache_root() / "weights"


def data_folder() -> Path:
    """Original files of data sets: I2I_BENCH_DATA, by default the folder `data` of the cache."""
    return _named("I2I_BENCH_DATA") or cache_root() / "data"


def expand_home(path: Path, mend: str) -> Path:
    """The path with the home folder in place of ~. Raises UserError where this user, or the one that is named, has
    none.

    mend  the variable or option that names a place without ~
    """
    try:
        return path.expanduser()
    except RuntimeError:
        raise UserError(f"{path}: there is no such home folder; name a folder with {mend}") from None


def _named(variable: str) -> Path | None:
    """The place that an environment variable names, if it is set."""
    value = os.environ.get(variable)
    return expand_home(Path(value), variable) if value else None
