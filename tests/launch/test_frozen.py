"""A run as a sweep froze it: what is carried out is that file, and a source that changed since is seen and recorded."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.core.errors import UserError
from bench.runs import commands, frozen
from bench.runs.frozen import Frozen, this_code
from bench.runs.request import Request, specify
from bench.runs.state import CANCELLED


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, Frozen]:
    spec = specify(Request("identity", "emoji", 20, resolution=32), gpu=False, say=lambda _: None)
    folder = spec.folder(tmp_path)
    folder.mkdir(parents=True)
    return folder / frozen.NAME, Frozen(spec, "cpu", 1, "l1_truth", False, 60.0, False, this_code())


def test_a_source_that_changed_is_said_and_recorded(
    run: tuple[Path, Frozen], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path, whole = run
    submitted = {"commit": "abc", "source_sha256": "another"}
    path.write_text(json.dumps(replace(whole, submitted=submitted).as_json()))
    commands.run_frozen(path, tmp_path)
    assert "the source changed between submission (abc) and start" in capsys.readouterr().out
    record = json.loads((path.parent / "record.json").read_text())
    assert record["provenance"]["submitted"] == submitted
    assert record["provenance"]["source_sha256"] == this_code()["source_sha256"]
    assert list(record["metrics"]) == ["l1_truth"]


def test_the_same_source_is_passed_over_in_silence(
    run: tuple[Path, Frozen], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path, whole = run
    path.write_text(json.dumps(whole.as_json()))
    assert Frozen.read(path) == whole
    commands.run_frozen(path, tmp_path)
    assert "changed" not in capsys.readouterr().out


def test_what_is_cancelled_or_damaged_does_not_start(run: tuple[Path, Frozen], tmp_path: Path) -> None:
    path, whole = run
    path.write_text(json.dumps(whole.as_json()))
    (path.parent / CANCELLED).touch()
    with pytest.raises(UserError, match="--retry cancelled"):
        commands.run_frozen(path, tmp_path)
    (path.parent / CANCELLED).unlink()
    path.write_text(path.read_text()[:100])
    with pytest.raises(UserError, match="cannot be read"):
        commands.run_frozen(path, tmp_path)
    assert not (path.parent / "record.json").exists()
