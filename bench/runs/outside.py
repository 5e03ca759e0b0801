"""Translations made by another program, matched to the held-out sources by name."""

from pathlib import Path, PurePosixPath

import numpy as np

from bench.core.errors import UserError
from bench.data.images import image_files, read_rgb, square
from bench.data.task import TaskData


def read_outputs(folder: Path, data: TaskData) -> np.ndarray:
    """uint8 (n, 3, R, R) in the order of the held-out sources.

    The translation of the source with id `a/b.jpg` is `a/b.png` (any image type), or `a__b.png`, below `folder`.
    """
    found: dict[str, Path] = {}
    for path in image_files(folder):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            raise UserError(f"{folder} has two images called {stem}; keep one of them")
        found[stem] = path
    outputs: list[np.ndarray] = []
    missing: list[str] = []
    for name in data.source_test.ids:
        stem = str(PurePosixPath(name).with_suffix(""))
        match = found.get(stem) or found.get(stem.replace("/", "__"))
        if match is None:
            missing.append(stem)
        else:
            outputs.append(square(read_rgb(match), data.resolution, str(match)))
    if missing:
        raise UserError(
            f"{folder} has no translation for {len(missing)} of {len(data.source_test)} held-out sources, the first is "
            f"{missing[0]!r}; the full list: python -m bench data subset {data.dataset} --part held-out-source"
        )
    return np.stack(outputs)
