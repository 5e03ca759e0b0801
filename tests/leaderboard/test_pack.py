"""Results as one file: what goes in comes out, and nothing else can be smuggled in."""

import json
import shutil
import zipfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from records import run, runs, write
from rich.console import Console
from typer.testing import CliRunner

from bench.cli.app import app
from bench.core.errors import UserError
from bench.leaderboard.add import add
from bench.leaderboard.draw import read
from bench.leaderboard.pack import LARGEST_PICTURE, faults, unpack, write_pack

TASK = {"manifest_sha256": "same", "source": "flat", "target": "ink"}


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """Two runs of a known method on a known data set, one with a picture, and an anchor."""
    identity = {"dataset": "ink"}
    records = runs("cyclegan", [0.001, 0.002], identity=identity)
    records.append(run("real", 0.0, identity=identity))
    for record in records:
        record["task"] = dict(TASK)
    folders = write(tmp_path / "theirs", records)
    Image.new("RGB", (20, 10), "blue").save(folders[0] / "samples.png")
    (folders[0] / "checkpoint-1.pt").write_bytes(b"x")
    assert write_pack(tmp_path / "theirs", tmp_path / "pack.zip") == (2, [])
    return tmp_path / "pack.zip"


def again(packed: Path, change: Any) -> Path:
    """The pack with its files changed by `change(files)`, and an index that fits them."""
    with zipfile.ZipFile(packed) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    index = json.loads(files["index.json"])
    index["files"] = {name: sha256(data).hexdigest() for name, data in files.items() if name != "index.json"}
    files["index.json"] = json.dumps(index).encode()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed


def test_a_pack_holds_records_and_pictures_and_nothing_else(packed: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        names = archive.namelist()
    assert names == ["index.json", "0000/record.json", "0000/samples.png", "0001/record.json"]


def test_the_same_results_give_the_same_bytes(packed: Path, tmp_path: Path) -> None:
    write_pack(tmp_path / "theirs", tmp_path / "second.zip")
    assert packed.read_bytes() == (tmp_path / "second.zip").read_bytes()


def test_a_pack_is_added_like_a_folder_and_stays_unranked(packed: Path, tmp_path: Path) -> None:
    results = tmp_path / "ours"
    write(results, runs("munit", [0.003], identity={"dataset": "ink"}))
    added, refused = add(packed, results)
    assert len(added) == 2 and not refused
    assert sum((folder / "samples.png").exists() for folder in added) == 1
    (board,) = read(results, "ink", Console(quiet=True))
    assert [(row.label, row.added) for row in board.rows] == [("munit", False), ("cyclegan [external]", True)]
    assert add(packed, results)[0] == added


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("../evil.py", b"x", "is no file of a pack"),
        ("/etc/passwd", b"x", "is no file of a pack"),
        ("0000/evil.pkl", b"x", "is no file of a pack"),
        ("0000/nearest.png", b"\0" * (LARGEST_PICTURE + 1), "too large"),
        ("0002/record.json", b" " * 1_000_001, "too large"),
    ],
)
def test_what_is_no_part_of_a_pack_is_refused(packed: Path, tmp_path: Path, name: str, data: bytes, why: str) -> None:
    again(packed, lambda files: files.update({name: data}))
    with pytest.raises(UserError, match=why):
        add(packed, tmp_path / "ours")
    assert not (tmp_path / "ours").exists() and not (tmp_path / "evil.py").exists()


def test_a_changed_file_is_noticed(packed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["0001/record.json"] = files["0001/record.json"].replace(b"0.002", b"0.001")
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    with pytest.raises(UserError, match=r"0001/record\.json has another sha256"):
        unpack(packed, tmp_path / "out")
    packed.write_bytes(b"no archive")
    with pytest.raises(UserError, match="is no pack of results"):
        unpack(packed, tmp_path / "out")


def change_record(**parts: Any) -> Any:
    def change(files: dict[str, bytes]) -> None:
        record = json.loads(files["0000/record.json"])
        for key, value in parts.items():
            record[key] = record[key] | value if isinstance(value, dict) else value
        files["0000/record.json"] = json.dumps(record).encode()

    return change


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({}, None),
        ({"identity": {"method": "madeup"}}, "'madeup' is not known here"),
        ({"identity": {"dataset": "folder:x"}}, "not one that others have"),
        ({"identity": {"kind": "external", "method": "my program"}}, None),
        ({"identity": {"kind": "external", "method": "mine [1]"}}, "holds more than letters"),
        ({"config": {"note": "see [this](http://x)"}}, "holds markup"),
        ({"metrics": {"mine": {"value": 1.0, "low": None, "high": None, "n_gen": 1, "n_ref": 1, "version": 1,
                               "reason": None}}}, "'mine' is not known here"),
        ({"status": "fine"}, "status"),
    ],
)  # fmt: skip
def test_what_could_not_stand_in_a_public_table_is_named(
    packed: Path, tmp_path: Path, parts: dict[str, Any], why: str | None
) -> None:
    again(packed, change_record(**parts))
    unpack(packed, tmp_path / "out")
    found = faults(tmp_path / "out")
    assert [why in line and line.startswith("0000: ") for line in found] == ([True] if why else [])


def test_a_picture_that_cannot_be_decoded_is_named(packed: Path, tmp_path: Path) -> None:
    again(packed, lambda files: files.update({"0000/samples.png": b"x"}))
    unpack(packed, tmp_path / "out")
    said = "a picture is left out: cannot decode the image {}0000/samples.png: not an image"
    (line,) = faults(tmp_path / "out")
    assert line.startswith(f"0000: {said.format('')}")
    added, (line,) = add(packed, tmp_path / "results")
    assert len(added) == 2 and line.startswith(said.format(f"{packed}/"))
    (tmp_path / "theirs" / "runs").rename(tmp_path / "out" / "runs")
    assert len(write_pack(tmp_path / "out", tmp_path / "third.zip")[1]) == 1


def test_the_commands(packed: Path, tmp_path: Path) -> None:
    runner, out = CliRunner(), tmp_path / "by-command.zip"
    done = runner.invoke(app, ["results", "pack", str(tmp_path / "theirs"), "--out", str(out)])
    assert done.exit_code == 0 and "2 runs" in done.output
    assert "nothing to object to" in runner.invoke(app, ["results", "check", str(out)]).output
    again(out, change_record(identity={"method": "madeup"}))
    done = runner.invoke(app, ["results", "check", str(out)])
    assert isinstance(done.exception, UserError) and "0000: the method 'madeup'" in done.output
    shutil.rmtree(tmp_path / "theirs" / "runs")
    with pytest.raises(UserError, match="no record below"):
        write_pack(tmp_path / "theirs", out)


def test_a_pack_is_one_line_wherever_it_is_damaged(packed: Path, tmp_path: Path) -> None:
    whole = packed.read_bytes()
    for place in range(0, len(whole), 41):
        broken = bytearray(whole)
        broken[place] ^= 0xFF
        (tmp_path / "broken.zip").write_bytes(broken)
        with suppress(UserError):
            unpack(tmp_path / "broken.zip", tmp_path / str(place))


def test_a_file_that_is_no_pack_is_not_overwritten(packed: Path, tmp_path: Path) -> None:
    record = next(tmp_path.rglob("record.json"))
    before = record.read_bytes()
    with pytest.raises(UserError, match="is there already and no pack of results; choose another --out"):
        write_pack(record.parent, record)
    assert record.read_bytes() == before
    write_pack(record.parent, packed)
