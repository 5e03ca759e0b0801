"""What is worth keeping of a finished run for years: its record, its curves and, packed, its translations."""

import shutil
from pathlib import Path

from bench.core.files import write_bytes
from bench.runs.outputs import STORED, read_translations
from bench.runs.packed import PACKED, pack
from bench.runs.record import read_record

COPIED = ("record.json", "train.jsonl")


def keep_run(folder: Path, to: Path) -> None:
    """Copies record and curves of a finished run to another folder, and its translations as one picture without loss.

    The copy can be measured again by every metric that needs the translations alone; the record, which is copied last,
    has their checksum.
    """
    record = read_record(folder / "record.json")
    to.mkdir(parents=True, exist_ok=True)
    if record.status == "done" and STORED["images"] in record.outputs:
        write_bytes(to / PACKED, pack(read_translations(folder)))
    for name in reversed(COPIED):
        if (folder / name).exists():
            shutil.copyfile(folder / name, to / name)
