"""Where things that are not results lie; each place can be moved by an environment variable."""

import os
from pathlib import Path


def cache_root() -> Path:
    """Image banks, artifacts, features, weights: I2I_BENCH_CACHE, by default ~/.cache/i2i-bench."""
    return Path(os.environ.get("I2I_BENCH_CACHE") or Path.home() / ".cache" / "i2i-bench").expanduser()


def artifacts_folder() -> Path:
    """Results of slow stages that runs share: I2I_BENCH_ARTIFACTS, by default the folder `artifacts` of the cache."""
    return Path(os.environ.get("I2I_BENCH_ARTIFACTS") or cache_root() / "artifacts").expanduser()


def weights_folder() -> Path:
    """Pre-trained networks: I2I_BENCH_WEIGHTS, by default the folder `weights` of the cache."""
    return Path(os.environ.get("I2I_BENCH_WEIGHTS") or cache_root() / "weights").expanduser()


def data_folder() -> Path:
    """Original files of data sets: I2I_BENCH_DATA, by default the folder `data` of the cache."""
    return Path(os.environ.get("I2I_BENCH_DATA") or cache_root() / "data").expanduser()
