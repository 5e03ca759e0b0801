"""Translations made by another program, matched to the held-out sources by name."""

from collections import Counter, defaultdict
from pathlib import Path, PurePosixPath
from unicodedata import normalize

import numpy as np

from bench.core.errors import UserError
from bench.data.images import image_files, read_rgb, square
from bench.data.task import TaskData


def read_outputs(folder: Path, data: TaskData) -> np.ndarray:
    """uint8 (n, 3, R, R) in the order of the held-out sources.

    The translation of the source with id `a/b.jpg` is `a/b.jpg` or `a__b.jpg` below `folder`, or has one of these names
    with the ending of another kind of image. No file stands for two sources: raises UserError where names leave open
    which is meant, or where one is missing.
    """
    files = match(list(data.source_test.ids), list(image_files(folder)), folder)
    missing = [name for name in data.source_test.ids if name not in files]
    if missing:
        raise UserError(
            f"{folder} has no translation for {len(missing)} of {len(data.source_test)} held-out sources, the first is "
            f"{missing[0]!r}; the full list: python -m bench data subset {data.dataset} --part held-out-source"
        )
    paths = [files[name] for name in data.source_test.ids]
    return np.stack([square(read_rgb(path), data.resolution, str(path)) for path in paths])


def match(ids: list[str], files: list[Path], folder: Path) -> dict[str, Path]:
    """The file of each id that has one: by its whole name first, then by its name without the ending.

    Raises UserError where two files have the name of one id, or two ids the name of one file.
    """
    left, by_id = dict.fromkeys(ids), dict[str, Path]()
    for call in (_whole, _flat, _stem, _flat_stem):
        by_name: dict[str, list[Path]] = defaultdict(list)
        for file in files:
            name = _whole(file.relative_to(folder).as_posix())
            by_name[name if call in (_whole, _flat) else _stem(name)].append(file)
        sharing = Counter(map(call, ids))
        for one in list(left):
            named = by_name.get(call(one), [])
            if not named:
                continue
            if len(named) > 1:
                raise UserError(f"{folder} has two images called {call(one)}; keep one, or call it {one!r}")
            if sharing[call(one)] > 1:
                others = [other for other in ids if call(other) == call(one) and other != one]
                raise UserError(f"{named[0]} could be the translation of {one!r} or of {others[0]!r}; use whole names")
            by_id[one] = named[0]
            del left[one]
    return by_id


def _whole(name: str) -> str:
    return normalize("NFC", name)


def _stem(name: str) -> str:
    return PurePosixPath(_whole(name)).with_suffix("").as_posix()


def _flat(name: str) -> str:
    return _whole(name).replace("/", "__")


def _flat_stem(name: str) -> str:
    return _stem(name).replace("/", "__")
