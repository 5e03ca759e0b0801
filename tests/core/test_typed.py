"""The typed layer: whatever is wrong with a file is one line that names the file, the place in it and the mend."""

import json
import os
from pathlib import Path
from typing import Any, Literal

import pytest
from msgspec import UNSET, Struct, UnsetType

from bench.core.errors import UserError
from bench.core.typed import LARGEST, Count, decode, read_lines, read_typed, write_typed


class Inner(Struct, forbid_unknown_fields=True):
    number: float
    names: list[str] = []


class Outer(Struct):
    schema: Literal[1, 2]
    count: Count
    parts: dict[str, Inner]
    word: Literal["done", "failed"] = "done"
    note: str | UnsetType = UNSET


GOOD: dict[str, Any] = {"schema": 2, "count": 3, "parts": {"a.b": {"number": 1.5}}}


def said(path: Path, kind: type = Outer) -> str:
    with pytest.raises(UserError) as error:
        read_typed(path, kind, "make it anew")
    text = str(error.value)
    assert str(path) in text and "\n" not in text
    return text


def test_written_and_read_again_is_the_same(tmp_path: Path) -> None:
    value = Outer(1, 3, {"x": Inner(0.1 + 0.2, ["é"])}, note="n")
    write_typed(tmp_path / "a.json", value)
    assert read_typed(tmp_path / "a.json", Outer, "") == value
    with pytest.raises(ValueError, match="JSON"):
        write_typed(tmp_path / "a.json", Inner(float("nan")))
    assert read_typed(tmp_path / "a.json", Outer, "") == value


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b'{"schema": 2', "it is not JSON"),
        (b"\xff\xfe", "it is not"),
        (b'{"note": "\xff"}', "it is not UTF-8"),
        (b'{"note": "\\ud800"}', "it is not JSON"),
        (b'{"count": NaN}', "it is not JSON"),
        (b'{"schema": 1, "count": 1e999}', "count"),
        (b'{"schema": 1, "count": ' + b"9" * 30 + b"}", "count must be a whole number <="),
        (b'{"schema": 1, "count": ' + b"9" * 9999 + b"}", "out of range"),
        (b"[" * 100_000, "must be a table of keys, not a list"),
        (b'{"x": ' + b"[" * 100_000, "recursion"),
        (b"null", "it must be a table of keys, not null"),
    ],
)
def test_what_is_not_even_json(content: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    text = said(path)
    assert expected in text and text.endswith("; make it anew")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"count": "3"}, "count must be a whole number, not text"),
        ({"count": True}, "count must be a whole number, not true or false"),
        ({"count": -1}, "count must be a whole number >= 0"),
        ({"parts": []}, "parts must be a table of keys, not a list"),
        ({"parts": {"ok": {"number": 1}, "a.b": {"number": "1"}}}, "parts.a.b.number must be a number, not text"),
        ({"parts": {"a": {}}}, "parts.a.number is missing"),
        ({"parts": {"a": {"number": 1, "names": ["x", 5]}}}, "parts.a.names.1 must be text, not a whole number"),
        ({"word": "fine"}, "word cannot be 'fine'"),
    ],
)
def test_the_place_of_a_wrong_value_is_named(change: dict[str, Any], expected: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({**GOOD, **change}))
    assert f"is damaged: {expected}; make it anew" in said(path)


def test_a_newer_version_is_told_from_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"schema": 3, "counts": []}))
    assert said(path).endswith("has schema 3, which this program does not know; update i2i-bench")


def test_folders_pipes_missing_and_huge_files(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    assert "cannot be read (Is a directory); make it anew" in said(tmp_path / "folder.json")
    os.mkfifo(tmp_path / "pipe.json")
    assert "is damaged: it is not a file" in said(tmp_path / "pipe.json")
    assert "cannot be read (No such file or directory); make it anew" in said(tmp_path / "none.json")
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(LARGEST + 1)
    assert "it is larger than" in said(tmp_path / "huge.json")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("number = nan", "it holds the number nan"),
        ("number = [", "it is not TOML"),
        ("number = '1'", "number must be a number, not text"),
        ("number = 1\nname = 'x'", "did you mean 'names'"),
        ("number = 2030-01-01", "number must be a number"),
    ],
)
def test_toml_is_read_the_same_way(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    assert expected in said(path, Inner)
    path.write_text("number = 1\nnames = ['x']")
    assert read_typed(path, Inner, "") == Inner(1.0, ["x"])


def test_bytes_from_elsewhere_are_read_the_same_way() -> None:
    with pytest.raises(UserError, match=r"^the answers is damaged: number is missing; send them again$"):
        decode(b"{}", Inner, "the answers", "send them again")


def test_a_log_keeps_the_lines_that_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"number": 1}\n\xff\n[]\nnull\n{"number": 1e999}\n{"number": 2}\n{"number": 3')
    assert read_lines(path, Inner) == [Inner(1), Inner(2)]
    assert read_lines(tmp_path, Inner) == read_lines(tmp_path / "none", Inner) == []


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_a_name_that_no_file_can_have_is_one_line(name: str) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_typed(Path(name), dict[str, int], "mend it")
