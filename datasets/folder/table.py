"""A CSV of paths: columns path, domain and, if wanted, class and split; the images lie below the folder of the CSV."""

import csv
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from bench import Item, UserError
from bench.datasets.folder.argument import Choice
from bench.datasets.folder.images import SPLITS

COLUMNS = ("path", "domain", "class", "split")
MEND = "the columns are path, domain and, if wanted, class and split"


def recognises(root: Path) -> bool:
    return root.is_file() and root.suffix.lower() == ".csv"


def scan(file: Path, choice: Choice) -> list[Item]:
    """Ids are the paths. Rows of domains that are not chosen are left out; a row without a split is for training."""
    rows = list(_rows(file))
    domains = choice.domains({row["domain"] for _, row in rows}, str(file))
    return [_item(file, line, row, domains[row["domain"]]) for line, row in rows if row["domain"] in domains]


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(number of the line, its cells without blanks around them)."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, skipinitialspace=True)
            names = [name.strip().lower() for name in reader.fieldnames or ()]
            for name in ("path", "domain"):
                if name not in names:
                    raise UserError(f"{file} has no column {name!r}; {MEND}")
            reader.fieldnames = names
            for row in reader:
                if any(row.get(name) in (None, "") for name in ("path", "domain")):
                    raise UserError(f"line {reader.line_num} of {file} has no path or no domain; {MEND}")
                yield reader.line_num, {name: (row.get(name) or "").strip() for name in COLUMNS}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot read {file} ({error}); save it as CSV with commas, in UTF-8") from None


def _item(file: Path, line: int, row: dict[str, str], domain: str) -> Item:
    path = PurePosixPath(row["path"].replace("\\", "/"))
    where = f"line {line} of {file}"
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"{where} names {row['path']}; give paths below {file.parent}, the folder of the CSV")
    if not (file.parent / path).is_file():
        raise UserError(f"{where} names {row['path']}, which is not below {file.parent}; mend the path or remove it")
    split = row["split"].lower() or "train"
    if split not in SPLITS:
        raise UserError(f"{where} has the split {row['split']!r}; write train or test")
    return Item(
        id=normalize("NFC", path.as_posix()),
        domain=domain,
        split=SPLITS[split],
        label=normalize("NFC", row["class"]) or None,
        file=path.as_posix(),
    )
