"""A run as a sweep froze it: what is carried out is that file, and a source that changed since is seen and recorded."""

import json
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from bench.core.errors import UserError
from bench.core.typed import write_typed
from bench.runs import frozen, start
from bench.runs.frozen import Frozen, this_code
from bench.runs.record import Code
from bench.runs.request import RunRequest, specify
from bench.runs.settings import RunSettings
from bench.runs.state import CANCELLED


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, Frozen]:
    spec = specify(RunRequest("identity", "emoji", 20, resolution=32), gpu=False, say=lambda _: None)
    folder = spec.folder(tmp_path)
    folder.mkdir(parents=True)
    return folder / frozen.NAME, Frozen(
        spec=spec, settings=RunSettings(device="cpu", metrics=("l1_truth",)), submitted=this_code(spec)
    )


def test_a_source_that_changed_is_said_and_recorded(
    run: tuple[Path, Frozen], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path, whole = run
    write_typed(path, replace(whole, submitted=Code("abc", "another")))
    start.run_frozen(path, tmp_path)
    assert "the source changed between submission (abc) and start" in capsys.readouterr().out
    record = json.loads((path.parent / "record.json").read_text())
    assert record["provenance"]["submitted"] == {"commit": "abc", "source_sha256": "another"}
    assert record["provenance"]["source_sha256"] == this_code(whole.spec).source_sha256
    assert list(record["metrics"]) == ["l1_truth"]


def test_the_same_source_is_passed_over_in_silence(
    run: tuple[Path, Frozen], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path, whole = run
    write_typed(path, whole)
    assert Frozen.read(path) == whole
    start.run_frozen(path, tmp_path)
    assert "changed" not in capsys.readouterr().out


def test_what_is_cancelled_or_damaged_does_not_start(run: tuple[Path, Frozen], tmp_path: Path) -> None:
    path, whole = run
    write_typed(path, whole)
    (path.parent / CANCELLED).touch()
    with pytest.raises(UserError, match="--retry cancelled"):
        start.run_frozen(path, tmp_path)
    (path.parent / CANCELLED).unlink()
    path.write_text(path.read_text()[:100])
    with pytest.raises(UserError, match=r"is damaged: it is not JSON .*submit the sweep again"):
        start.run_frozen(path, tmp_path)
    assert not (path.parent / "record.json").exists()


def test_a_seed_that_is_a_path_writes_nothing_outside_the_results(run: tuple[Path, Frozen], tmp_path: Path) -> None:
    path, whole = run
    values = msgspec.to_builtins(whole)
    values["spec"]["seed"] = "../../../../../outside/x"
    path.write_text(json.dumps(values))
    before = sorted(tmp_path.parent.iterdir())
    with pytest.raises(UserError, match=r"seed must be a whole number"):
        start.run_frozen(path, tmp_path)
    assert sorted(tmp_path.parent.iterdir()) == before and list(path.parent.iterdir()) == [path]


def test_a_file_from_before_the_settings_had_a_type_is_read(run: tuple[Path, Frozen]) -> None:
    path, whole = run
    old = {
        "device": "cpu",
        "threads": 2,
        "metrics": "l1_truth,nn_ratio",
        "channels_last": True,
        "checkpoint_seconds": 5.0,
    }
    values = msgspec.to_builtins(whole)
    path.write_text(json.dumps({"spec": values["spec"], **old, "stage": False, "submitted": values["submitted"]}))
    settings = RunSettings("cpu", 2, ("l1_truth", "nn_ratio"), channels_last=True, checkpoint_seconds=5.0)
    assert Frozen.read(path) == replace(whole, settings=settings)
    path.write_text(json.dumps({**json.loads(path.read_text()), "metrics": "none", "compile": True}))
    assert Frozen.read(path).settings == replace(settings, metrics=(), compile=True)


@pytest.mark.parametrize(
    ("key", "value"), [("seed", -1), ("target_size", 0), ("resolution", 10**12), ("amp", "fp64"), ("kind", "anchors")]
)
def test_a_spec_that_no_run_can_have_is_one_line(key: str, value: int | str, run: tuple[Path, Frozen]) -> None:
    path, whole = run
    content = msgspec.to_builtins(whole)
    content["spec"][key] = value
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=f"frozen.json is damaged: spec.{key} must be"):
        Frozen.read(path)
