"""Where the files of a data set lie on this machine, and the bank that is made of them."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from bench.core import registry
from bench.core.errors import UserError
from bench.core.paths import cache_root, data_folder
from bench.core.typed import read_typed, write_typed
from bench.data.archives import is_archive, unpack
from bench.data.bank import ImageBank, Report, open_bank, prepare, silent
from bench.data.dataset import Dataset


class Memory(Struct, frozen=True):
    """cache/banks/<data set>.json: where its files were found last, and the bank of each resolution (and variant)."""

    root: str | None = None
    banks: dict[str, str] = {}


def make(name: str) -> Dataset:
    """The data set of a name or alias; what follows the first colon (`folder:DIR`, `afhq:cat-wild`) is its argument."""
    argument = name.split(":", 1)[1] if ":" in name else None
    return registry.find("datasets", name).load()(argument)


def with_held_out(name: str, held_out: str | None) -> str:
    """The name of own data with what is held out of each domain, a number of images or a share; None changes nothing.

    Raises UserError for data of which it is not for the user to say.
    """
    if held_out is None:
        return name
    if registry.find("datasets", name).name != "folder":
        raise UserError(f"--held-out is for own data (folder:DIR); what {name} holds out is a part of its protocol")
    return f"{name}:held-out={held_out}"


def find_bank(dataset: Dataset, resolution: int | None = None, report: Report = silent) -> ImageBank:
    """The bank of a data set at a resolution (None: its own), prepared now if the files are at hand.

    Raises UserError for a resolution that is not offered, or in one line what is missing and which command mends it.
    """
    resolution = checked_resolution(dataset, resolution)
    root = find_root(dataset)
    if root is not None:
        return prepare(dataset, root, resolution, report)
    bank = prepared_at(dataset, resolution)
    if bank is not None:
        return bank
    raise UserError(
        f"the data of {dataset.name} are missing: get them from {dataset.homepage} (DIR holds {dataset.layout}), "
        f"then: python -m bench data prepare {full_name(dataset)} --from DIR"
        + (f" --resolution {resolution}" if resolution != dataset.resolution else "")
    )


def full_name(dataset: Dataset) -> str:
    """The name that makes this data set again, with its argument."""
    return dataset.name if dataset.argument is None else f"{dataset.name}:{dataset.argument}"


def find_root(dataset: Dataset) -> Path | None:
    """The original files: shipped, or where `prepare_from` last found them, or in the data folder; else None."""
    own = dataset.embedded()
    if own is not None:
        return own
    remembered = _remembered(dataset).root
    places = [Path(remembered)] if remembered else []
    return next((place for place in [*places, data_folder() / dataset.name] if place.exists()), None)


def prepared_at(dataset: Dataset, resolution: int) -> ImageBank | None:
    """The bank that `prepare_from` made at this resolution, whether or not its files are still there."""
    folder = _remembered(dataset).banks.get(_key(dataset, resolution))
    return open_bank(_banks() / folder) if folder else None


def prepare_from(
    dataset: Dataset, source: Path | Sequence[Path], resolution: int | None = None, report: Report = silent
) -> ImageBank:
    """Prepares the bank of the files below a folder, or in official archives, and remembers both.

    As long as the folder exists its files are checked for changes; once it is gone the bank alone serves. Archives are
    unpacked into the data folder, once.
    """
    resolution = checked_resolution(dataset, resolution)
    if dataset.embedded() is not None:
        raise UserError(f"the data of {full_name(dataset)} are at {dataset.embedded()}; leave out --from")
    sources = [source] if isinstance(source, Path) else list(source)
    root = _root(dataset, sources, report)
    bank = prepare(dataset, root, resolution, report)
    known = _remembered(dataset)
    banks = known.banks if known.root == str(root.resolve()) else {}
    new = Memory(str(root.resolve()), {**banks, _key(dataset, resolution): bank.folder.name})
    write_typed(_memory(dataset), new)
    return bank


def checked_resolution(dataset: Dataset, resolution: int | None) -> int:
    if resolution is None:
        return dataset.resolution
    if not 1 <= resolution <= dataset.resolution:
        raise UserError(
            f"{dataset.name} is offered at up to {dataset.resolution}x{dataset.resolution}; "
            f"--resolution {resolution} must be between 1 and {dataset.resolution}"
        )
    return resolution


def _root(dataset: Dataset, sources: list[Path], report: Report) -> Path:
    """The folder that --from means: itself, or the one that its archives are unpacked into."""
    for source in sources:
        if not source.exists():
            raise UserError(f"there is no folder {source}; --from names the folder that holds {dataset.layout}")
    if len(sources) == 1 and sources[0].is_dir():
        return sources[0]
    for source in sources:
        if not is_archive(source):
            raise UserError(
                f"{source} is no whole .zip or .tar archive; --from takes one folder, or the official archives"
            )
    return _descend(dataset, _unpacked(dataset, sources, report))


def _unpacked(dataset: Dataset, archives: list[Path], report: Report) -> Path:
    """Unpacks into the data folder, unless that was done with the same archives before."""
    target = data_folder() / dataset.name
    marker = target / ".unpacked.json"
    facts = [(str(a.resolve()), a.stat().st_size, a.stat().st_mtime_ns) for a in sorted(archives)]
    if target.exists():
        if not marker.exists():
            raise UserError(f"{target} is there already: leave out --from to use it, or remove it to unpack anew")
        if read_typed(marker, list[tuple[str, int, int]], f"remove {target} to unpack anew") == facts:
            return target
        shutil.rmtree(target)
    unpack(archives, target, report)
    write_typed(marker, facts)
    return target


def _descend(dataset: Dataset, folder: Path) -> Path:
    """The unpacked folder, or the only folder in it where that has the layout (many archives hold `name/...`)."""
    inner = [place for place in folder.iterdir() if not place.name.startswith(".")]
    try:
        dataset.scan(folder)
    except UserError:
        if len(inner) == 1 and inner[0].is_dir():
            with suppress(UserError):
                dataset.scan(inner[0])
                return inner[0]
        raise
    return folder


def _banks() -> Path:
    return cache_root() / "banks"


def _key(dataset: Dataset, resolution: int) -> str:
    return f"{resolution} {dataset.variant}".strip()


def _memory(dataset: Dataset) -> Path:
    return _banks() / f"{dataset.name}.json"


def _remembered(dataset: Dataset) -> Memory:
    path = _memory(dataset)
    return read_typed(path, Memory, "delete it and prepare the data set again") if path.exists() else Memory()
