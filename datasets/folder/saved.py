"""A data set that Hugging Face's `datasets` wrote with save_to_disk: Arrow files, read with pyarrow alone.

Nothing of it is executed: no loading script, no pickle, only the Arrow files and the JSON beside them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from bench import Item, UserError, read_typed
from bench.datasets.folder.argument import Choice
from bench.datasets.folder.images import SPLITS

MEND = "save the data set again with save_to_disk"
OLDEST = 15  # of pyarrow: older ones can unpickle what a file names as a type


@dataclass(frozen=True)
class Columns:
    """Which column holds what: the image, what tells the domains apart, and the class, if any."""

    image: str
    domain: str
    label: str | None


def recognises(root: Path) -> bool:
    return (root / "dataset_dict.json").is_file() or _is_dataset(root)


def scan(root: Path, choice: Choice) -> list[Item]:
    """Ids are the split and the number of the row (train/000012). Rows of domains that are not chosen are left out.

    Domains are the values of the column `domain`, else those of `label`; a class is read from `class` or `label`.
    """
    parts = _parts(root)
    names = {name for _, place in parts for name in _values(place, _columns(place).domain) if name is not None}
    domains = choice.domains(names, str(root))
    return [item for split, place in parts for item in _items(root, place, split, domains)]


def left_out(root: Path, choice: Choice) -> list[str]:
    """The ids of rows whose domain is not chosen, or that have none, with the name of the domain."""
    used = {item.id for item in scan(root, choice)}
    return [
        f"{number} ({name})"
        for _, place in _parts(root)
        for row, name in enumerate(_values(place, _columns(place).domain))
        if (number := (place / f"{row:06}").relative_to(root).as_posix()) not in used
    ]


def holds(item: Item) -> bool:
    """Whether the item is a row of such a data set."""
    return item.file.endswith(".arrow")


def content(root: Path, item: Item) -> bytes:
    """The bytes of the image file that a row holds."""
    place = (root / item.file).parent
    cell = _column(place, _columns(place).image)[int(PurePosixPath(item.id).name)].as_py()
    if not isinstance(cell, dict) or not cell.get("bytes") or not isinstance(cell["bytes"], bytes):
        raise UserError(f"row {item.id} of {root} holds the path of an image and not the image; {MEND}")
    return cell["bytes"]


def _items(root: Path, place: Path, split: str, domains: dict[str, str]) -> Iterator[Item]:
    columns = _columns(place)
    labels = _values(place, columns.label) if columns.label else None
    files = [name for name, table in _shards(place) for _ in range(table.num_rows)]
    for row, name in enumerate(_values(place, columns.domain)):
        if name in domains:
            number = (place / f"{row:06}").relative_to(root).as_posix()
            file = (place / files[row]).relative_to(root).as_posix()
            yield Item(number, domains[name], split, labels[row] if labels else None, file)


def _parts(root: Path) -> list[tuple[str, Path]]:
    """(train or test, folder) of each split; a data set without splits is all for training."""
    if _is_dataset(root):
        return [("train", root)]
    splits = read_typed(root / "dataset_dict.json", dict[str, list[str]], MEND).get("splits", [])
    for name in splits:
        if name.lower() not in SPLITS or not _is_dataset(root / name):
            raise UserError(f"the split {name!r} of {root} is none of train and test, or is not there; remove it")
    return [(SPLITS[name.lower()], root / name) for name in splits]


def _is_dataset(place: Path) -> bool:
    return (place / "state.json").is_file() and (place / "dataset_info.json").is_file()


def _columns(place: Path) -> Columns:
    features = _features(place)
    images = [name for name, kind in features.items() if kind.get("_type") == "Image"]
    if len(images) != 1:
        raise UserError(f"{place} has {len(images)} columns of images ({', '.join(images) or 'none'}); keep one")
    domain = next((name for name in ("domain", "label") if name in features), None)
    if domain is None:
        raise UserError(f"{place} has no column domain or label that tells source and target apart; add one")
    label = next((name for name in ("class", "label") if name in features and name != domain), None)
    return Columns(images[0], domain, label)


def _features(place: Path) -> dict[str, dict[str, Any]]:
    features = read_typed(place / "dataset_info.json", dict[str, Any], MEND).get("features")
    columns = features.items() if isinstance(features, dict) else ()
    return {name: kind for name, kind in columns if isinstance(kind, dict)}


@lru_cache(maxsize=8)
def _values(place: Path, column: str) -> list[str | None]:
    """The names in a column of texts or of numbered classes, one a row; None where there is none."""
    names = _features(place)[column].get("names")
    cells = _column(place, column).to_pylist()
    if names is None:
        return [None if cell in (None, "") else str(cell) for cell in cells]
    numbers = [cell for cell in cells if cell is not None]
    if not isinstance(names, list) or not all(type(cell) is int and -1 <= cell < len(names) for cell in numbers):
        raise UserError(f"the column {column} of {place} has numbers without a name; {MEND}")
    return [None if cell is None or cell < 0 else str(names[cell]) for cell in cells]


def _column(place: Path, name: str) -> Any:
    if name not in _read(place).column_names:
        raise UserError(f"the Arrow files of {place} have no column {name}, which dataset_info.json names; {MEND}")
    return _read(place).column(name)


@lru_cache(maxsize=8)
def _read(place: Path) -> Any:
    """The whole table, mapped from disk."""
    return _pyarrow(place).concat_tables([table for _, table in _shards(place)])


@lru_cache(maxsize=8)
def _shards(place: Path) -> list[tuple[str, Any]]:
    """(file name, table) of the Arrow files that state.json lists, in their order."""
    pyarrow = _pyarrow(place)
    state = read_typed(place / "state.json", dict[str, Any], MEND)
    if state.get("_indices_data_files"):
        raise UserError(f"{place} is a selection of rows of another table; call flatten_indices(), then save it again")
    files = state.get("_data_files")
    names = (
        [str(file.get("filename", "")) for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    )
    if not names or any(PurePosixPath(name).name != name or not name.endswith(".arrow") for name in names):
        raise UserError(f"{place / 'state.json'} lists no Arrow files beside it; {MEND}")
    shards = []
    for name in names:
        if not (place / name).is_file():  # a pipe would be waited for
            raise UserError(f"cannot read {place / name} (it is missing, or not a file); {MEND}")
        try:
            shards.append((name, pyarrow.ipc.open_stream(pyarrow.memory_map(str(place / name))).read_all()))
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            raise UserError(f"cannot read {place / name} ({str(error).splitlines()[0]}); {MEND}") from None
    return shards


def _pyarrow(place: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        raise UserError(f"{place} is read with pyarrow: pip install 'i2i-bench[datasets]'") from None
    if int(pyarrow.__version__.split(".")[0]) < OLDEST:
        raise UserError(f"pyarrow {pyarrow.__version__} is too old to read files of others: pip install -U pyarrow")
    return pyarrow
