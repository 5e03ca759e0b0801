"""`bench leaderboard --add DIR`: records from others, checked, cleaned and kept apart from ours.

They come to RESULTS/external/<hash>/: a record that holds known keys only, and its pictures decoded and encoded anew.
Nothing else of the folder is read, and what is read is never run: no pickle, no array, no markup.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.core.errors import UserError
from bench.core.files import digest, write_bytes, write_json
from bench.leaderboard.given import checked, pictures
from bench.leaderboard.pack import unpack
from bench.runs.record import Record, read_record

FOLDER = "external"


def add(source: Path, results: Path) -> tuple[list[Path], list[str]]:
    """Takes in a folder of records, or a file that `bench results pack` made.

    Returns the folders that were written (or were there already), and a line for each record or picture that was
    refused. Raises UserError where there is no record at all.
    """
    if source.is_file():
        with tempfile.TemporaryDirectory() as folder:
            unpack(source, Path(folder))
            added, refused = _add_below(Path(folder), results)
        return added, [line.replace(f"{folder}/", f"{source}/") for line in refused]
    if not source.is_dir():
        raise UserError(f"--add {source} is not there; name a pack, or a folder that holds record.json files")
    return _add_below(source, results)


def _add_below(source: Path, results: Path) -> tuple[list[Path], list[str]]:
    paths = sorted(source.rglob("record.json"))
    if not paths:
        raise UserError(f"--add {source} holds no record.json")
    added, refused = [], []
    for path in paths:
        try:
            folder, left_out = _add(path, results)
        except UserError as error:
            refused.append(str(error))
        else:
            added.append(folder)
            refused += left_out
    return added, refused


def _add(path: Path, results: Path) -> tuple[Path, list[str]]:
    """The folder that was written, and a line for each picture that was left out."""
    record = checked(path)
    folder = results / FOLDER / digest(record)[:16]
    if (folder / "record.json").exists():
        return folder, []
    taken, refused = pictures(path.parent)
    for name, pixels in taken.items():
        write_bytes(folder / name, pixels)
    write_json(folder / "record.json", record)
    return folder, refused


def read_added(results: Path) -> Iterator[Record]:
    """The records that were added, marked; a damaged one is passed over."""
    for path in sorted((results / FOLDER).glob("*/record.json")):
        try:
            yield msgspec.structs.replace(read_record(path), added=True)
        except UserError:
            continue
