"""Which file is the translation of which source: by whole names first, and never one file for two sources."""

from pathlib import Path
from unicodedata import normalize

import pytest

from bench.core.errors import UserError
from bench.runs.outside import match

OUT = Path("/out")


def matched(ids: list[str], *names: str) -> dict[str, str]:
    found = match(ids, [OUT / name for name in names], OUT)
    return {one: path.relative_to(OUT).as_posix() for one, path in found.items()}


def test_the_whole_name_comes_before_the_stem() -> None:
    assert matched(["a.bmp", "a.png"], "a.bmp", "a.png") == {"a.bmp": "a.bmp", "a.png": "a.png"}
    assert matched(["x/a.jpg"], "x/a.png") == {"x/a.jpg": "x/a.png"}
    assert matched(["x/a.jpg"], "x__a.png") == {"x/a.jpg": "x__a.png"}


def test_one_file_never_stands_for_two_sources() -> None:
    with pytest.raises(UserError, match=r"could be the translation of 'a\.bmp' or of 'a\.jpg'; use whole names"):
        matched(["a.bmp", "a.jpg"], "a.png")
    with pytest.raises(UserError, match="could be the translation of"):
        matched(["a/b__c.png", "a__b/c.png"], "a__b__c.png")


def test_two_files_of_one_name_are_refused() -> None:
    with pytest.raises(UserError, match=r"two images called a; keep one, or call it 'a\.jpg'"):
        matched(["a.jpg"], "a.png", "a.webp")


def test_names_with_dots_and_composed_letters_find_their_own() -> None:
    ids = ["img.v1.png", "img.v2.png", "img.0.5.png"]
    assert matched(ids, *ids) == dict(zip(ids, ids))
    decomposed = normalize("NFD", "über.png")
    assert matched([normalize("NFC", "über.png")], decomposed) == {normalize("NFC", "über.png"): decomposed}


def test_what_is_missing_is_missing() -> None:
    assert matched(["a.png", "b.png"], "a.png") == {"a.png": "a.png"}
