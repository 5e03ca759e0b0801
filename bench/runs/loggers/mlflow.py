"""MLflow: one store for all runs, the folder `mlflow` of the results; an experiment is a data set."""

import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct
from PIL import Image

from bench.core.typed import read_typed, write_typed
from bench.runs.loggers import About
from bench.training.log import Line

FOLDER = "mlflow"
FILE = "mlflow.json"  # in the folder of the run
FORBIDDEN = re.compile(r"[^\w\-./ ]")  # in the name of a series


class Known(Struct, frozen=True):
    """mlflow.json: what MLflow calls the run."""

    run_id: str


class MLflow:
    """Goes on with the run that MLflow has: of each series it takes only what lies after the last step there."""

    def __init__(self, about: About, goes_on: bool) -> None:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow.entities import Metric
        from mlflow.tracking import MlflowClient

        self._metric = Metric
        self._client = MlflowClient(tracking_uri=(about.results / FOLDER).resolve().as_uri())
        self._id = self._known(about.folder / FILE, goes_on) or self._begin(about)
        known = self._client.get_run(self._id).data.metrics
        self._last = {
            name: max(point.step for point in self._client.get_metric_history(self._id, name)) for name in known
        }
        self._client.update_run(self._id, status="RUNNING")

    def line(self, line: Line) -> None:
        self._log(line.step, {**line.values, "images": line.images})

    def picture(self, step: int, picture: Image.Image) -> None:
        self._client.log_image(self._id, picture, f"samples/{step:09d}.png")

    def finish(self, step: int, metrics: Mapping[str, float]) -> None:
        self._log(step, {f"metrics/{name}": value for name, value in metrics.items()})
        self._client.set_terminated(self._id)

    def close(self) -> None:
        with suppress(AttributeError):  # not opened
            if self._client.get_run(self._id).info.status == "RUNNING":
                self._client.set_terminated(self._id, "KILLED")

    def _known(self, file: Path, goes_on: bool) -> str | None:
        """The run that an earlier start began. Where training begins anew, that one goes to MLflow's bin."""
        from mlflow.exceptions import MlflowException

        if not file.exists():
            return None
        known = read_typed(file, Known, "delete it: the run then begins anew in MLflow").run_id
        with suppress(MlflowException):  # the store may be gone
            self._client.get_run(known)
            if goes_on:
                return known
            self._client.delete_run(known)
        return None

    def _begin(self, about: About) -> str:
        experiment = self._experiment(str(about.parameters["dataset"]))
        made: Any = self._client.create_run(experiment, run_name=about.name)
        write_typed(about.folder / FILE, Known(made.info.run_id))
        for name, value in about.parameters.items():
            self._client.log_param(made.info.run_id, name, value)
        return str(made.info.run_id)

    def _experiment(self, name: str) -> str:
        """Runs that begin at the same moment may both try to make it."""
        from mlflow.exceptions import MlflowException

        known = self._client.get_experiment_by_name(name)
        if known is None:
            with suppress(MlflowException):
                return str(self._client.create_experiment(name))
            known = self._client.get_experiment_by_name(name)
        if known is None:
            raise OSError(f"MLflow has no experiment {name!r} and cannot make it")
        return str(known.experiment_id)

    def _log(self, step: int, values: Mapping[str, float | None]) -> None:
        now = int(time.time() * 1000)
        new = [
            self._metric(name, float(value), now, step)
            for name, value in ((FORBIDDEN.sub("_", name), value) for name, value in values.items())
            if value is not None and step > self._last.get(name, -1)
        ]
        self._client.log_batch(self._id, metrics=new)
