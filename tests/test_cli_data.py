"""`bench data`, as a user types it."""

import hashlib
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from bench.cli_data import app
from bench.errors import UserError
from bench.locate import find_bank, make


def bench_data(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list_says_what_is_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("I2I_BENCH_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    rows = {line.split("│")[1].strip(): line for line in bench_data("list").splitlines() if line.startswith("│")}
    assert "ships" in rows["emoji"]
    assert "3812" in rows["emoji"]  # 1,906 emoji in two styles
    assert "64x64" in rows["emoji"]
    assert "CC-BY 4.0" in rows["emoji"]
    assert " no " in rows["afd"]
    assert "folder" in rows


def test_subset_prints_the_ids_and_pipes_into_sha256sum() -> None:
    result = CliRunner().invoke(app, ["subset", "emoji", "--target-size", "20", "--resolution", "32"])
    assert len(result.stdout.splitlines()) == 20
    assert result.stderr.strip() == f"sha256 {hashlib.sha256(result.stdout.encode()).hexdigest()}"


def test_prepare_then_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path / "cache"))
    for domain, breeds in (("dog", 16), ("wolf", 3)):
        for breed in range(breeds):
            (tmp_path / domain / f"b{breed}").mkdir(parents=True)
            for i in range(2):
                Image.new("RGB", (16, 16), (breed, i, 0)).save(tmp_path / domain / f"b{breed}" / f"{i}.png")
    assert "38 images at" in bench_data("prepare", "afd", "--from", str(tmp_path), "--resolution", "16")
    verified = bench_data("verify", "afd", "--resolution", "16")
    assert "as prepared" in verified
    assert "wolf" in verified

    images = find_bank(make("afd"), 16).folder / "images.npy"
    data = bytearray(images.read_bytes())
    data[-1] ^= 1
    images.write_bytes(data)
    with pytest.raises(UserError, match="is damaged"):
        bench_data("verify", "afd", "--resolution", "16")


def test_show_has_the_same_emoji_in_both_rows(tmp_path: Path) -> None:
    output = tmp_path / "sheet.png"
    bench_data("show", "emoji", "--resolution", "32", "--count", "5", "--output", str(output))
    assert Image.open(output).size == (2 + 5 * 34, 2 + 2 * 34)  # gaps of two pixels
    with pytest.raises(UserError, match="cannot write"):
        bench_data("show", "emoji", "--resolution", "32", "--output", "/dev/null/x.png")
