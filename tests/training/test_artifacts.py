"""Artifacts: what is read back is what was written."""

from pathlib import Path

import pytest

from bench.core.errors import UserError
from bench.core.progress import Quiet
from bench.training import artifacts
from bench.training.artifacts import HASHES, Artifacts
from bench.training.compute import Compute
from bench.training.loop import Loop


def make(root: Path) -> Path:
    def build(folder: Path) -> None:
        (folder / "weights").write_bytes(b"0123")
        (folder / "modes").write_bytes(b"45")

    return Artifacts(root, Loop(Compute.choose("cpu"), Quiet())).make("kind", {"version": 1}, build)


@pytest.mark.parametrize("content", [b"0223", b"012", b""])
def test_a_file_that_changed_is_named_with_its_mend(content: bytes, tmp_path: Path) -> None:
    folder = make(tmp_path)
    assert make(tmp_path) == folder
    (folder / "weights").write_bytes(content)
    with pytest.raises(UserError, match=f"{folder / 'weights'} is damaged: .*; delete {folder}: it is then made again"):
        make(tmp_path)


def test_a_missing_file_and_damaged_hashes(tmp_path: Path) -> None:
    folder = make(tmp_path)
    (folder / "modes").unlink()
    with pytest.raises(UserError, match=f"{folder / 'modes'} is missing"):
        make(tmp_path)
    (folder / HASHES).write_text("{")
    with pytest.raises(UserError, match=f"{folder / HASHES} is damaged"):
        make(tmp_path)


def test_an_artifact_of_an_older_version_has_no_hashes_and_serves(tmp_path: Path) -> None:
    folder = make(tmp_path)
    (folder / HASHES).unlink()
    (folder / "weights").write_bytes(b"other")
    assert make(tmp_path) == folder


def test_an_artifact_that_ships_is_taken_and_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(tmp_path / "made")
    monkeypatch.setattr(artifacts, "SHIPPED", tmp_path / "made")
    assert make(tmp_path / "cache") == made
    assert not (tmp_path / "cache").exists()
    (made / "weights").write_bytes(b"other")
    with pytest.raises(UserError, match=r"weights is damaged: .*; install i2i-bench again"):
        make(tmp_path / "cache")
