"""Image files below a folder as items, with the folders that mean training, testing and classes."""

from collections.abc import Iterator
from pathlib import Path
from unicodedata import normalize

from bench import IMAGE_SUFFIXES, Item, UserError, image_files, unread_images

# What people call the level that says what is trained on, in any case of letters.
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing", "val", "valid", "validation", "eval", "held-out", "held_out"), "test"),
}


def items_below(
    root: Path, place: Path, domain: str, *, below: Path, split: str | None = None, label: str | None = None
) -> Iterator[Item]:
    """The images below `place`, at least one. `below` is the folder that ids start from.

    split  of all of them; None: by a level train/ and test/ right below `place`, else all are for training
    label  of all of them; None: the first folder below, if any
    """
    files = read_images(place)
    split_level = split is None and _is_split(place, files)
    for file in files:
        parts = file.relative_to(place).parts
        rest = parts[1:] if split_level else parts
        inner = rest[0] if len(rest) > 1 else None
        yield Item(
            id=normalize("NFC", file.relative_to(below).as_posix()),
            domain=domain,
            split=split or (SPLITS[parts[0].lower()] if split_level else "train"),
            label=label if label is not None or inner is None else normalize("NFC", inner),
            file=file.relative_to(root).as_posix(),
        )


def read_images(place: Path) -> list[Path]:
    """All image files below a folder; UserError where there are none, or some of kinds that are not read."""
    files = list(image_files(place))
    if not files:
        raise UserError(f"no images in {place}; put images there ({' '.join(IMAGE_SUFFIXES)})")
    if others := unread_images(place):
        kinds = ", ".join(f"{suffix}: {n}" for suffix, n in sorted(others.items()))
        raise UserError(f"{place} holds images of kinds that are not read ({kinds}); convert or remove them")
    return files


def folders_in(place: Path) -> list[Path]:
    """The folders right below a folder that are not hidden, sorted."""
    return sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))


def _is_split(place: Path, files: list[Path]) -> bool:
    """Whether the first folders below `place` are train/ and test/; a mixture with other things is an error."""
    first = {file.relative_to(place).parts[0] for file in files}
    known = [name for name in first if name.lower() in SPLITS]
    if not known:
        return False
    if strangers := sorted(first - set(known)):
        raise UserError(
            f"{place} holds {strangers[0]} beside {sorted(known)[0]}/; move it into a folder train/ or test/"
        )
    check_splits(place, known)
    return True


def check_splits(place: Path, names: list[str]) -> None:
    """UserError where two of these folders mean the same split."""
    for split in ("train", "test"):
        if len(same := sorted(name for name in names if SPLITS[name.lower()] == split)) > 1:
            raise UserError(f"{place} holds {same[0]}/ and {same[1]}/, which both mean {split}; keep one of them")
