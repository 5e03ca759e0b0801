"""What a process needs to find this very code, and what SLURM's commands must not see of the submitting shell."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import bench


def root() -> str:
    """The folder that holds the package."""
    return str(Path(bench.__file__).resolve().parent.parent)


def checkout() -> dict[str, str]:
    others = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": root() + (os.pathsep + others if others else "")}


# Variables with which a shell (a job that `salloc` began, a line in .bashrc) changes what SLURM's commands do.
STEERING = ("SLURM_", "SBATCH_", "SRUN_", "SALLOC_", "SQUEUE_", "SACCT_", "SCANCEL_", "SUBMITIT_")
KEPT = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_SACK_KEY", "SLURM_SACK_JWKS", "SLURM_JWT")  # where SLURM is, who asks


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what steers SLURM's commands, so that the profile alone says what is asked for."""
    return {name: value for name, value in environment.items() if not name.startswith(STEERING) or name in KEPT}


@contextmanager
def clean_environment() -> Iterator[None]:
    """While entered, programs that this process starts see the clean environment."""
    before = dict(os.environ)
    for name in before.keys() - clean(before).keys():
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(before)
