"""TensorBoard: event files in the folder `tensorboard` of a run; `tensorboard --logdir results/runs` shows all runs."""

import shutil
from collections.abc import Mapping

import numpy as np
from PIL import Image

from bench.runs.loggers import About
from bench.training.log import Line

FOLDER = "tensorboard"


class TensorBoard:
    """Writes the event files anew at each start of a run: what the last start wrote after its checkpoint is gone."""

    def __init__(self, about: About, goes_on: bool) -> None:
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams

        folder = about.folder / FOLDER
        shutil.rmtree(folder, ignore_errors=True)
        self._writer = SummaryWriter(str(folder), purge_step=0)  # a TensorBoard that looks on forgets the old files
        parameters = {
            name: value if isinstance(value, (bool, int, float)) else str(value)
            for name, value in about.parameters.items()
        }
        begin, facts, self._end = hparams(parameters, {f"metrics/{name}": None for name in about.metrics})
        self._write(begin, facts)

    def line(self, line: Line) -> None:
        for name, value in line.values.items():
            if value is not None:
                self._writer.add_scalar(name, value, line.step)
        self._writer.flush()

    def picture(self, step: int, picture: Image.Image) -> None:
        self._writer.add_image("samples", np.asarray(picture.convert("RGB")), step, dataformats="HWC")
        self._writer.flush()

    def finish(self, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(f"metrics/{name}", value, step)
        self._write(self._end)

    def close(self) -> None:
        self._writer.close()

    def _write(self, *summaries: object) -> None:
        for summary in summaries:
            self._writer._get_file_writer().add_summary(summary)
