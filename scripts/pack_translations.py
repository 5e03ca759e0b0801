"""Packs the translations of finished runs into one picture each, beside them: what a repository can keep.

python scripts/pack_translations.py [--results results/reference]
"""

import argparse
from pathlib import Path

from bench.core.files import write_bytes
from bench.runs.outputs import STORED, read_translations
from bench.runs.packed import PACKED, pack
from bench.runs.record import read_records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--results", type=Path, default=Path("results") / "reference")
    results = parser.parse_args().results
    packed = 0
    for record in read_records(results, print):
        folder = Path(record.folder)
        if (folder / STORED["images"]).exists() and not (folder / PACKED).exists():
            write_bytes(folder / PACKED, pack(read_translations(folder)))
            packed += 1
    print(f"packed {packed} runs below {results}")


if __name__ == "__main__":
    main()
