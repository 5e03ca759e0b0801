"""`bench results pack` and `check`: the records of a results folder as one file that others can add to their tables.

A pack is a zip archive: index.json with the sha256 of every other file, and for each run NNNN/record.json with its
small pictures. Nothing in it is ever run, and nothing but these names is read: no pickle, no array, no code.
"""

import re
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from bench import __version__
from bench.core.errors import UserError
from bench.core.files import write_bytes
from bench.core.registry import entries
from bench.data.archives import BROKEN
from bench.leaderboard.evidence import PICTURES
from bench.leaderboard.given import LARGEST_RECORD, checked, pictures
from bench.metrics import METRICS

INDEX = "index.json"
MEMBER = re.compile(rf"\d{{4}}/(record\.json|{'|'.join(map(re.escape, PICTURES.values()))})")
MOST_RUNS = 2000
LARGEST_PICTURE = 2_000_000  # bytes; a larger one is left out
LARGEST_INDEX = 2_000_000
LARGEST = 100_000_000  # bytes of all files together
DATE = (1980, 1, 1, 0, 0, 0)  # of every file in the archive, so that the same results give the same pack
MARKUP = re.compile(r"<[A-Za-z/!]|&#|\]\(|javascript:", re.IGNORECASE)
NAME = re.compile(r"[\w .,+()=:-]{1,60}")
ASK = "ask its author to make it anew with: python -m bench results pack"


class Index(Struct, frozen=True, forbid_unknown_fields=True):
    """What a pack says of itself: the version that made it, and the sha256 (hex) of each file by its name."""

    schema: Literal[1]
    i2i_bench: str
    files: dict[str, str]


def write_pack(results: Path, out: Path) -> tuple[int, list[str]]:
    """Packs every record below a folder; returns how many, and a line for each record or picture that was left out.

    Anchors are left out without a word: they are measured where tables are drawn. Raises UserError where none is left,
    and where `out` is a file that is no pack.
    """
    if out.exists() and not zipfile.is_zipfile(out):
        raise UserError(f"{out} is there already and no pack of results; choose another --out")
    files: dict[str, bytes] = {}
    refused, runs = [], 0
    for path in sorted(results.rglob("record.json")):
        try:
            record = checked(path)
        except UserError as error:
            if "of kind 'anchor'" not in str(error):
                refused.append(str(error))
            continue
        taken, left_out = pictures(path.parent)
        refused += left_out
        files[f"{runs:04d}/record.json"] = msgspec.json.format(msgspec.json.encode(record))
        files |= {f"{runs:04d}/{name}": data for name, data in taken.items() if len(data) <= LARGEST_PICTURE}
        runs += 1
    if not runs:
        raise UserError(f"no record below {results} can be packed" + (f": {refused[0]}" if refused else ""))
    if runs > MOST_RUNS or sum(map(len, files.values())) > LARGEST:
        raise UserError(f"{runs} runs are too many for one pack; pack the folder of each data set by itself")
    hashes = {name: sha256(data).hexdigest() for name, data in files.items()}
    index = msgspec.json.format(msgspec.json.encode(Index(1, __version__, hashes)))
    write_bytes(out, _archive({INDEX: index, **files}))
    return runs, refused


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)
    return buffer.getvalue()


def unpack(path: Path, folder: Path) -> None:
    """Writes the files of a pack below an empty folder. Raises UserError, before anything is written, where the pack
    holds a name that is not one of ours, a file that is too large, or one whose sha256 is not that of the index."""
    try:
        with zipfile.ZipFile(path) as archive:
            files = dict(_members(path, archive))
    except (*BROKEN, OSError, RuntimeError) as error:
        raise UserError(f"{path} is no pack of results ({error}); {ASK}") from None
    index = _index(path, files.pop(INDEX, b""))
    if set(index.files) != set(files):
        raise UserError(f"{path}: {INDEX} names other files than the pack holds; {ASK}")
    for name, data in files.items():
        if sha256(data).hexdigest() != index.files[name]:
            raise UserError(f"{path}: {name} has another sha256 than {INDEX} says; {ASK}")
    for name, data in files.items():
        write_bytes(folder / name, data)


def _members(path: Path, archive: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file; sizes are those that are read, whatever the archive says of them."""
    whole = 0
    names: set[str] = set()
    for info in archive.infolist():
        name = info.filename
        if name in names or (name != INDEX and not MEMBER.fullmatch(name)):
            raise UserError(f"{path} holds {name[:80]!r}, which is no file of a pack; {ASK}")
        largest = {INDEX: LARGEST_INDEX}.get(name, LARGEST_RECORD if name.endswith(".json") else LARGEST_PICTURE)
        with archive.open(info) as file:
            data = file.read(largest + 1)
        whole += len(data)
        if len(data) > largest or whole > LARGEST or len(names) > MOST_RUNS * (1 + len(PICTURES)):
            raise UserError(f"{path}: {name} is too large, or there are too many files; {ASK}")
        names.add(name)
        yield name, data


def _index(path: Path, data: bytes) -> Index:
    try:
        return msgspec.json.decode(data, type=Index)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {INDEX} cannot be read ({error}); {ASK}") from None


def faults(folder: Path) -> list[str]:
    """What keeps the records of an unpacked pack out of a public table, beyond what `checked` refuses: methods, data
    sets and metrics that are not known here, texts with markup, and damaged pictures. A line each."""
    lines = []
    for path in sorted(folder.glob("*/record.json")):
        run = path.parent.name
        try:
            record = checked(path)
        except UserError as error:
            lines.append(f"{run}: {error}")
        else:
            lines += [f"{run}: {line}" for line in [*_faults(record), *pictures(path.parent)[1]]]
    return [line.replace(f"{folder}/", "") for line in lines]


def _faults(record: dict[str, Any]) -> Iterator[str]:
    identity = record["identity"]
    method, dataset = identity["method"], identity["dataset"].partition(":")[0]
    if identity["kind"] == "method" and method not in entries("methods"):
        yield f"the method {method!r} is not known here; add it in the same pull request, or send its outputs' record"
    if not NAME.fullmatch(method):
        yield f"the name {method!r} holds more than letters, digits and .,+()=:-"
    if dataset not in entries("datasets") or dataset == "folder":
        yield f"the data set {identity['dataset']!r} is not one that others have; bench list datasets prints those"
    for name, value in record["metrics"].items():
        if name not in METRICS:
            yield f"the metric {name!r} is not known here"
        elif value["version"] > METRICS[name].version:
            yield f"{name} is of version {value['version']}, here it is {METRICS[name].version}"
    yield from (f"a text holds markup: {text[:60]!r}" for text in _texts(record) if MARKUP.search(text))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(key)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
