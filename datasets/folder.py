"""Own images: `--dataset folder:DIR`."""

from collections.abc import Iterator
from pathlib import Path
from unicodedata import normalize

from bench import IMAGE_SUFFIXES, Dataset, Item, UserError, image_files, register

SPLITS = ("train", "test")


@register
class Folder(Dataset):
    """Own images in DIR/source and DIR/target; class sub-folders and a level train/ and test/ are optional.

    Without test/ a fifth of the domain is held out by hash. An image's id is its path below source/ or target/.
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
        self.argument = self.variant = str(Path(argument).expanduser().resolve())

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
    split_level = _is_split(place, files)
    for file in files:
        parts = file.relative_to(place).parts
        split = parts[0] if split_level else "train"
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
    if not first & set(SPLITS):
        return False
    if strangers := sorted(first - set(SPLITS)):
        raise UserError(f"{place} holds {strangers[0]} beside train/ and test/; move it into one of the two")
    return True
