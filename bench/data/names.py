"""Which image file belongs to which image of a data set: other programs keep the name and change what is around it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from bench.core.errors import UserError
from bench.data.images import image_files


@dataclass(frozen=True)
class Marks:
    """How test scripts set one kind of image apart from the others that they write: CycleGAN's adds to the names, CUT's
    writes a folder of each kind. Of several suffixes the first that occurs counts."""

    suffixes: tuple[str, ...]
    folder: str


TRANSLATIONS = Marks(("_fake_B", "_fake"), "fake_B")
SOURCES = Marks(("_real_A", "_real"), "real_A")


@dataclass(frozen=True)
class Named:
    """The images of one kind in a folder.

    files  by name: the path below the folder, without what the program added
    only   which images of the folder these are, for messages; empty where it is all of them
    """

    files: dict[str, Path]
    only: str = ""


def images_in(folder: Path, marks: Marks, suffix: str | None = None) -> Named:
    """The images of one kind, such as TRANSLATIONS, in a folder that another program wrote.

    suffix  what the program added to their names (before the ending): only such files count; "" takes all files.
            None: where marks are there, the files that bear them, else all.

    Raises UserError where no image has the suffix.
    """
    inner = folder / marks.folder
    if suffix is None and all((folder / known.folder).is_dir() for known in (TRANSLATIONS, SOURCES)):
        return Named(_without_suffix(inner, list(image_files(inner)), ""), f"those in {marks.folder}/")
    files = list(image_files(folder))
    if suffix is None:
        suffix = next((s for s in marks.suffixes if any(file.stem.endswith(s) for file in files)), "")
    chosen = [file for file in files if file.stem.endswith(suffix)]
    if files and not chosen:
        raise UserError(f"no image in {folder} has a name that ends in {suffix!r}; the first is {files[0].name}")
    return Named(_without_suffix(folder, chosen, suffix), f"those whose names end in {suffix}" if suffix else "")


def _without_suffix(folder: Path, files: list[Path], suffix: str) -> dict[str, Path]:
    names = (file.relative_to(folder).with_name(file.stem.removesuffix(suffix) + file.suffix) for file in files)
    return {_whole(name.as_posix()): file for name, file in zip(names, files)}


def match(ids: Iterable[str], files: dict[str, Path], where: str) -> dict[str, Path]:
    """The file of each id that has one.

    ids    of the images; the file of `a/b.jpg` is called `a/b.jpg` or `a__b.jpg`, or has one of these names with the
           ending of another kind of image, or ends in `b.jpg` or `b` where no other image does
    files  by their names
    where  the files come from, for messages

    Whole names come first, and no file stands for two ids. Raises UserError where two files have the name of one id, or
    two ids the name of one file.
    """
    left, matched = dict.fromkeys(ids), dict[str, Path]()
    ids = list(left)
    for of_id, of_file in RULES:
        by_name: dict[str, list[Path]] = defaultdict(list)
        used = set(matched.values())
        for name, file in files.items():
            if file not in used:
                by_name[of_file(name)].append(file)
        sharing = Counter(map(of_id, ids))
        for one in list(left):
            named = by_name.get(of_id(one), [])
            if not named:
                continue
            if len(named) > 1:
                raise UserError(f"{where} has two images called {of_id(one)}; keep one, or call it {one!r}")
            if sharing[of_id(one)] > 1:
                others = [other for other in ids if of_id(other) == of_id(one) and other != one]
                raise UserError(f"{named[0]} could be the translation of {one!r} or of {others[0]!r}; use whole names")
            matched[one] = named[0]
            del left[one]
    return matched


def flat_names(ids: list[str], ending: str = ".png") -> list[str]:
    """A file name for each id, without folders, from which `match` finds the id again."""
    sharing = Counter(map(_flat_stem, ids))
    return [(_flat_stem(one) if sharing[_flat_stem(one)] == 1 else _flat(one)) + ending for one in ids]


def _whole(name: str) -> str:
    return normalize("NFC", name)


def _stem(name: str) -> str:
    return PurePosixPath(_whole(name)).with_suffix("").as_posix()


def _flat(name: str) -> str:
    return _whole(name).replace("/", "__")


def _flat_stem(name: str) -> str:
    return _stem(name).replace("/", "__")


def _last(name: str) -> str:
    return PurePosixPath(_whole(name)).name


def _last_stem(name: str) -> str:
    return PurePosixPath(_whole(name)).stem


# What an id is called, and what a file must be called to be its own; the first rule that finds a file counts.
RULES: tuple[tuple[Callable[[str], str], Callable[[str], str]], ...] = (
    (_whole, _whole),
    (_flat, _whole),
    (_whole, _stem),
    (_flat, _stem),
    (_stem, _stem),
    (_flat_stem, _stem),
    (_last, _last),
    (_last_stem, _last_stem),
)
