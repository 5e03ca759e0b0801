"""Own images: `--dataset folder:DIR`."""

from collections.abc import Iterator
from pathlib import Path
from unicodedata import normalize

from bench import IMAGE_SUFFIXES, Dataset, Item, UserError, expand_home, image_files, register, unread_images

# What people call the level above the classes, in any case of letters.
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing", "val", "valid", "validation", "eval", "held-out", "held_out"), "test"),
}


@register
class Folder(Dataset):
    """Own images in DIR/source and DIR/target; class sub-folders and a level train/ and test/ are optional.

    train/ may also be called training/, test/ also testing/, val/, valid/, validation/ or eval/, in any case of
    letters. Without test/ a fifth of the domain is held out by hash. An image's id is its path below source/ or
    target/.
    """

    name = "folder"
    domains = ("source", "target")
    resolution = 256
    homepage = "your own images"
    license = "your own"
    layout = "source/[train|test/][<class>/]<image> and target/[train|test/][<class>/]<image>"

    def __init__(self, argument: str | None = None) -> None:
        if not argument:
            raise UserError(
                "the data set folder needs a path: --dataset folder:DIR, where DIR holds source/ and target/"
            )
        super().__init__()
        place = str(expand_home(Path(argument), "folder:DIR").resolve())
        if place.encode(errors="ignore").decode() != place:
            raise UserError(f"the path {place!r} is not UTF-8, so no record could hold it; rename the folder")
        self.argument = self.variant = place

    def embedded(self) -> Path:
        assert self.argument is not None
        return Path(self.argument)

    def scan(self, root: Path) -> list[Item]:
        return [item for domain in self.domains for item in _domain(root, domain)]


def _domain(root: Path, domain: str) -> Iterator[Item]:
    place = root / domain
    if not place.is_dir():
        raise UserError(f"there is no folder {place}; folder:DIR needs DIR/source and DIR/target with images in them")
    files = list(image_files(place))
    if not files:
        raise UserError(f"no images in {place}; put images there ({' '.join(IMAGE_SUFFIXES)})")
    if others := unread_images(place):
        kinds = ", ".join(f"{suffix}: {n}" for suffix, n in sorted(others.items()))
        raise UserError(f"{place} holds images of kinds that are not read ({kinds}); convert or remove them")
    split_level = _is_split(place, files)
    for file in files:
        parts = file.relative_to(place).parts
        split = SPLITS[parts[0].lower()] if split_level else "train"
        below = parts[1:] if split_level else parts
        yield Item(
            id=normalize("NFC", "/".join(parts)),
            domain=domain,
            split=split,
            label=normalize("NFC", below[0]) if len(below) > 1 else None,
            file=file.relative_to(root).as_posix(),
        )


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
    for split in ("train", "test"):
        if len(same := sorted(name for name in known if SPLITS[name.lower()] == split)) > 1:
            raise UserError(f"{place} holds {same[0]}/ and {same[1]}/, which both mean {split}; keep one of them")
    return True
