"""Translations made by another program, matched to the held-out sources by name."""

from pathlib import Path

import numpy as np

from bench.core.errors import UserError
from bench.data.images import read_rgb, square
from bench.data.names import TRANSLATIONS, images_in, match
from bench.data.task import TaskData


def read_outputs(folder: Path, data: TaskData, suffix: str | None = None) -> np.ndarray:
    """uint8 (n, 3, R, R) in the order of the held-out sources, which `bench.data.names.match` finds by their ids.

    suffix  what the program added to the names; None: what CycleGAN's and CUT's add is known

    Raises UserError where names leave open which source is meant, or where a translation is missing.
    """
    given = images_in(folder, TRANSLATIONS, suffix)
    files = match(data.source_test.ids, given.files, str(folder))
    missing = [name for name in data.source_test.ids if name not in files]
    if missing:
        looked_at = f"{folder} ({given.only})" if given.only else str(folder)
        raise UserError(
            f"{looked_at} has no translation for {len(missing)} of {len(data.source_test)} held-out sources, the first "
            f"is {missing[0]!r}; the full list: python -m bench data subset {data.dataset} --part held-out-source"
        )
    paths = [files[name] for name in data.source_test.ids]
    return np.stack([square(read_rgb(path), data.resolution, str(path)) for path in paths])
