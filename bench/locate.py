"""Where the files of a data set lie on this machine, and the bank that is made of them."""

import json
from pathlib import Path
from typing import Any

from bench import registry
from bench.bank import ImageBank, Report, open_bank, prepare, silent
from bench.dataset import Dataset
from bench.errors import UserError
from bench.files import write_json
from bench.paths import cache_root, data_folder


def make(name: str) -> Dataset:
    """The data set of a name or alias; what follows the first colon (`folder:DIR`) is its argument."""
    argument = name.split(":", 1)[1] if ":" in name else None
    return registry.find("datasets", name).load()(argument)


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
        f"then: python -m bench data prepare {dataset.name} --from DIR"
        + (f" --resolution {resolution}" if resolution != dataset.resolution else "")
    )


def find_root(dataset: Dataset) -> Path | None:
    """The original files: shipped, or where `prepare_from` last found them, or in the data folder; else None."""
    own = dataset.embedded()
    if own is not None:
        return own
    remembered = _remembered(dataset).get("root")
    places = [Path(remembered)] if remembered else []
    return next((place for place in [*places, data_folder() / dataset.name] if place.exists()), None)


def prepared_at(dataset: Dataset, resolution: int) -> ImageBank | None:
    """The bank that `prepare_from` made at this resolution, whether or not its files are still there."""
    folder = _remembered(dataset).get("banks", {}).get(str(resolution))
    return open_bank(_banks() / folder) if folder else None


def prepare_from(dataset: Dataset, root: Path, resolution: int | None = None, report: Report = silent) -> ImageBank:
    """Prepares the bank of the files below `root` and remembers both: later runs need no path.

    As long as `root` exists its files are checked for changes; once it is gone the bank alone serves.
    """
    resolution = checked_resolution(dataset, resolution)
    if dataset.embedded() is not None:
        raise UserError(f"the data of {dataset.name} are at {dataset.embedded()}; leave out --from")
    if not root.is_dir():
        raise UserError(f"there is no folder {root}; --from names the folder that holds {dataset.layout}")
    bank = prepare(dataset, root, resolution, report)
    known = _remembered(dataset)
    banks = known.get("banks", {}) if known.get("root") == str(root.resolve()) else {}
    banks[str(resolution)] = bank.folder.name
    write_json(_memory(dataset), {"root": str(root.resolve()), "banks": banks})
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


def _banks() -> Path:
    return cache_root() / "banks"


def _memory(dataset: Dataset) -> Path:
    return _banks() / f"{dataset.name}.json"


def _remembered(dataset: Dataset) -> dict[str, Any]:
    try:
        return json.loads(_memory(dataset).read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {_memory(dataset)} ({error}); delete it and prepare the data set again") from None
