"""The files of CelebA (Liu et al. 2015), which two data sets read. No data set by itself."""

from pathlib import Path

from bench import UserError
from bench.datasets.layouts import images_of, inside, read_columns, read_text, require_file, require_listed

HOMEPAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
MEND = f"get img_align_celeba.zip and the two lists from {HOMEPAGE}"
PARTS = {"0": "train", "1": "val", "2": "test"}


def image_folder(root: Path) -> Path:
    """The folder of the aligned images, 178x218, once or twice nested as unzipping leaves it."""
    folder = inside(root / "img_align_celeba", "img_align_celeba")
    images_of(folder, MEND)
    return folder


def attribute_table(path: Path) -> dict[str, frozenset[str]]:
    """File name -> the attributes marked 1, of list_attr_celeba.txt: a count, the 40 names, then name and -1 or 1s."""
    if (commas := path.with_suffix(".csv")).is_file() and not path.exists():
        return _attributes_of_csv(commas)
    lines = read_text(require_file(path, MEND), MEND)
    if len(lines) < 3 or not lines[0].isdigit():
        raise UserError(f"{path} does not begin with the number of images: it is another version; {MEND}")
    names = lines[1].split()
    rows = read_columns(path, len(names) + 1, MEND, skip=2)
    if len(rows) != int(lines[0]):
        raise UserError(f"{path} lists {len(rows)} images but announces {lines[0]}: it is cut off; {MEND}")
    table = {}
    for name, *values in rows:
        if strange := set(values) - {"1", "-1"}:
            raise UserError(f"{path} says {min(strange)!r} of {name} where 1 or -1 is expected; {MEND}")
        table[name] = frozenset(attribute for attribute, value in zip(names, values) if value == "1")
    return table


def _attributes_of_csv(path: Path) -> dict[str, frozenset[str]]:
    """The same table as some mirrors have it: a heading with the names, then lines with commas."""
    heading, *rows = [line.split(",") for line in read_text(path, MEND)]
    if any(len(row) != len(heading) or set(row[1:]) - {"1", "-1"} for row in rows):
        raise UserError(f"{path} has a line that is no name with {len(heading) - 1} values of 1 or -1; {MEND}")
    names = heading[1:]
    return {row[0]: frozenset(n for n, value in zip(names, row[1:]) if value == "1") for row in rows}


def attribute_names(path: Path) -> list[str]:
    if (table := path.with_suffix(".csv")).is_file() and not path.exists():
        return read_text(table, MEND)[0].split(",")[1:]
    return read_text(path, MEND)[1].split()


def partition(path: Path) -> dict[str, str]:
    """File name -> "train", "val" or "test", of list_eval_partition.txt."""
    if (table := path.with_suffix(".csv")).is_file() and not path.exists():
        parts = dict(line.split(",", 1) for line in read_text(table, MEND)[1:])
    else:
        parts = dict(read_columns(path, 2, MEND))
    if strange := {name: part for name, part in parts.items() if part not in PARTS}:
        name, part = next(iter(strange.items()))
        raise UserError(f"{path} puts {name} in the part {part!r}; known: 0, 1, 2; {MEND}")
    return {name: PARTS[part] for name, part in parts.items()}


def check_complete(folder: Path, listed: list[str], listed_in: Path) -> None:
    """The list and the folder name the same images."""
    require_listed([folder / name for name in listed], listed_in)
    extra = sorted({file.name for file in images_of(folder, MEND)} - set(listed))
    if extra:
        raise UserError(f"{listed_in} does not list {len(extra)} images of {folder}, the first is {extra[0]}; {MEND}")
