"""Weights & Biases, offline: files in the folder `wandb` of a run, for `wandb sync RUN/wandb/offline-run-*`."""

import shutil
from collections.abc import Mapping

from PIL import Image

from bench.core.files import digest
from bench.runs.loggers import About
from bench.training.log import Line

FOLDER = "wandb"
PROJECT = "i2i-bench"


class WandB:
    """Writes the run anew at each start, under an id that depends on its name alone."""

    def __init__(self, about: About, goes_on: bool) -> None:
        import wandb

        shutil.rmtree(about.folder / FOLDER, ignore_errors=True)
        quiet = wandb.Settings(
            silent=True, console="off", disable_git=True, save_code=False, x_disable_stats=True, x_disable_meta=True
        )
        self._image = wandb.Image
        self._run = wandb.init(
            mode="offline",
            dir=str(about.folder),
            project=PROJECT,
            name=about.name,
            id=digest(about.name)[:16],
            config=dict(about.parameters),
            reinit="create_new",
            settings=quiet,
        )

    def line(self, line: Line) -> None:
        self._run.log({**line.values, "images": line.images}, step=line.step)

    def picture(self, step: int, picture: Image.Image) -> None:
        self._run.log({"samples": self._image(picture)}, step=step)

    def finish(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.summary.update({f"metrics/{name}": value for name, value in metrics.items()})

    def close(self) -> None:
        self._run.finish()
