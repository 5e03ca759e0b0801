"""Which file is the translation of which source: by whole names first, and never one file for two sources."""

from pathlib import Path
from unicodedata import normalize

import pytest
from PIL import Image

from bench.core.errors import UserError
from bench.data.names import SOURCES, TRANSLATIONS, flat_names, images_in, match

OUT = Path("/out")


def matched(ids: list[str], *names: str) -> dict[str, str]:
    found = match(ids, {name: OUT / name for name in names}, str(OUT))
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


def test_the_ending_of_an_exported_image_may_be_added_to_the_whole_name() -> None:
    ids = ["a.bmp", "a.jpg", "x/b.jpg", "c"]
    assert flat_names(ids) == ["a.bmp.png", "a.jpg.png", "x__b.png", "c.png"]
    assert matched(ids, *flat_names(ids)) == dict(zip(ids, flat_names(ids)))


def test_the_last_part_of_a_path_is_enough_where_it_is_the_only_one() -> None:
    assert matched(["testA/1.jpg", "testA/2.jpg"], "1.png", "images/2.png") == {
        "testA/1.jpg": "1.png",
        "testA/2.jpg": "images/2.png",
    }
    with pytest.raises(UserError, match=r"could be the translation of 'cat/1\.png' or of 'dog/1\.png'"):
        matched(["cat/1.png", "dog/1.png"], "1.png")
    assert matched(["cat/1.png", "dog/1.png"], "cat/1.png") == {"cat/1.png": "cat/1.png"}


def folder_of(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(root / name)
    return root


def names(folder: Path, suffix: str | None = None) -> dict[str, str]:
    found = images_in(folder, TRANSLATIONS, suffix).files
    return {name: path.relative_to(folder).as_posix() for name, path in found.items()}


@pytest.mark.parametrize("word", ["_fake_B", "_fake"])
def test_names_of_cyclegans_test_script_are_known(tmp_path: Path, word: str) -> None:
    real = word.replace("fake_B", "real_A").replace("fake", "real")
    folder_of(tmp_path, f"n1{word}.png", f"n1{real}.png", f"n2{word}.png", "n2_rec_A.png")
    assert names(tmp_path) == {"n1.png": f"n1{word}.png", "n2.png": f"n2{word}.png"}
    assert f"names end in {word}" in images_in(tmp_path, TRANSLATIONS).only
    assert len(names(tmp_path, "")) == 4
    assert list(images_in(tmp_path, SOURCES).files) == ["n1.png"]


def test_the_folder_of_cuts_test_script_is_known(tmp_path: Path) -> None:
    folder_of(tmp_path, "fake_B/1.png", "real_A/1.png", "real_B/1.png")
    assert names(tmp_path) == {"1.png": "fake_B/1.png"}
    assert images_in(tmp_path, SOURCES).files == {"1.png": tmp_path / "real_A" / "1.png"}


def test_another_suffix_can_be_said_and_must_be_there(tmp_path: Path) -> None:
    folder_of(tmp_path, "a/1-out.jpg", "a/1-in.jpg")
    assert names(tmp_path, "-out") == {"a/1.jpg": "a/1-out.jpg"}
    with pytest.raises(UserError, match=r"no image in .* has a name that ends in '_x'; the first is 1-in.jpg"):
        names(tmp_path, "_x")
