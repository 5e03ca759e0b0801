"""Which slow stage a run will need first, found without doing it, so that a sweep makes each once."""

import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from bench.core.paths import artifacts_folder
from bench.core.progress import Reporter
from bench.core.registry import find
from bench.data.task import TaskData
from bench.runs.build import task_of
from bench.runs.spec import RunSpec
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.config import from_json
from bench.training.loop import Loop
from bench.training.method import Method


class _Missing(Exception):
    """The first artifact that is not there."""


class _Dry(Artifacts):
    """Finds what is there and makes nothing."""

    def make(self, kind: str, key: dict[str, Any], build: Callable[[Path], None]) -> Path:
        final = self.place(kind, key)
        if not self.whole(final):
            raise _Missing(f"{kind}-{final.name}")
        return final


def missing(spec: RunSpec, data: TaskData) -> str | None:
    """A name for the first artifact that the run would have to make; runs with equal names wait for one job.

    None where the run needs none, where all are there, or where its method cannot say without training: then the run
    makes its own, as ever.
    """
    if spec.kind != "method" or not _prepares(spec.method):
        return None
    method_class = find("methods", spec.method).load()
    loop = Loop(Compute(torch.device("cpu"), spec.amp), _Silent())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of every weight that is loaded into a network without memory
            with torch.device("meta"), _NoInitialisation():
                method = method_class(task_of(data), from_json(method_class.Config, spec.config or {}))
            method.prepare(data, _Dry(artifacts_folder(), loop))
    except _Missing as artifact:
        return str(artifact)
    except Exception:  # whatever a method does in prepare; a plan is not worth failing for
        return None
    return None


@cache
def _prepares(method: str) -> bool:
    return find("methods", method).load().prepare is not Method.prepare


class _NoInitialisation(TorchFunctionMode):
    """Leaves weights as they are; on the meta device, drawing none of them would cost a second a network."""

    _DRAWS = ("normal_", "uniform_", "trunc_normal_", "kaiming_normal_", "kaiming_uniform_", "orthogonal_")

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in self._DRAWS:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


class _Silent(Reporter):
    def say(self, message: str) -> None:
        pass
