"""Metrics that are added to finished runs: nothing trained, nothing lost, and clear words where it cannot be done."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.core.errors import Busy, Interrupted, UserError
from bench.core.progress import Reporter
from bench.core.signals import Signals
from bench.data.task import TaskData, load_task
from bench.metrics import METRICS, Value, weights
from bench.metrics.measurement import Undefined
from bench.runs import lifecycle, remeasure
from bench.runs.context import RunContext
from bench.runs.record import read_record
from bench.runs.settings import RunSettings
from bench.runs.spec import RunSpec

SPEC = RunSpec("identity", "emoji", 20, 32, kind="anchor")


@pytest.fixture(scope="module")
def data(bank_cache: Path) -> TaskData:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_BENCH_CACHE", str(bank_cache))
        return load_task("emoji", 20, 32)


def settings(*metrics: str) -> RunSettings:
    return RunSettings(device="cpu", metrics=metrics or None)


def run(results: Path, data: TaskData, spec: RunSpec, outside: Any = None) -> Path:
    """The folder of a run that was measured by l1_truth alone."""
    folder = spec.folder(results)
    lifecycle.run(RunContext(folder, spec, data, settings("l1_truth"), Reporter()), outside)
    return folder


@pytest.fixture
def folder(tmp_path: Path, data: TaskData) -> Path:
    """A finished run of another program: the negatives of the sources, measured by l1_truth alone."""
    spec = replace(SPEC, method="negatives", kind="external", config={"images_sha256": "0"})
    return run(tmp_path, data, spec, 255 - data.source_test.images())


def record_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "record.json").read_text())


def newer(monkeypatch: pytest.MonkeyPatch, name: str, **changes: Any) -> None:
    monkeypatch.setitem(METRICS, name, replace(METRICS[name], version=METRICS[name].version + 1, **changes))


def test_a_missing_metric_is_measured_from_the_stored_images(folder: Path, data: TaskData) -> None:
    before = record_of(folder)
    remeasure.remeasure([folder], settings("l1_truth", "psnr_truth"), Reporter())
    after = record_of(folder)
    outputs, truth = np.load(folder / "translated.npy").astype(float), data.target_test.images(data.truth).astype(float)
    expected = (10 * np.log10(255**2 / ((outputs - truth) ** 2).mean((1, 2, 3)))).mean()
    assert after["metrics"]["psnr_truth"]["value"] == pytest.approx(expected, rel=1e-9)
    assert after["metrics"]["l1_truth"] == before["metrics"]["l1_truth"]
    (entry,) = after.pop("remeasured")
    assert (entry["metrics"], entry["replaced"]) == (["psnr_truth"], {})
    assert entry["provenance"]["manifest_sha256"] == data.manifest_sha256
    after["metrics"].pop("psnr_truth")
    assert after == before


def test_what_is_there_is_not_measured_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def never(record: dict) -> TaskData:
        raise AssertionError("the data were loaded")

    before = (folder / "record.json").read_bytes()
    remeasure.complete(folder, settings("l1_truth"), Reporter(), never)
    assert (folder / "record.json").read_bytes() == before
    assert "nothing to measure" in capsys.readouterr().out


def test_what_other_programs_wrote_into_a_record_stays(folder: Path, data: TaskData) -> None:
    path = folder / "record.json"
    before = {**record_of(folder), "note": "kept", "cost": {"watts": 7}}
    path.write_text(json.dumps(before))
    remeasure.complete(folder, settings("psnr_truth"), Reporter(), lambda _: data)
    after = record_of(folder)
    assert (after["note"], after["cost"]) == ("kept", {"watts": 7})
    assert {**after, "metrics": before["metrics"], "remeasured": None} == {**before, "remeasured": None}


def test_a_newer_version_replaces_and_keeps_the_earlier_value(
    folder: Path, data: TaskData, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = record_of(folder)["metrics"]["l1_truth"]
    for version in (2, 3):
        newer(monkeypatch, "l1_truth")
        remeasure.complete(folder, settings("l1_truth"), Reporter(), lambda _: data)
        assert record_of(folder)["metrics"]["l1_truth"] == {**first, "version": version}
    assert [entry["replaced"]["l1_truth"]["version"] for entry in record_of(folder)["remeasured"]] == [1, 2]
    assert "measured l1_truth; earlier values kept beside: l1_truth" in capsys.readouterr().out


def test_an_equal_number_replaces_nothing(folder: Path, data: TaskData, capsys: pytest.CaptureFixture[str]) -> None:
    before = record_of(folder)
    remeasure.complete(folder, settings("l1_truth"), Reporter(), lambda _: data, again=["l1_truth"])
    assert record_of(folder) == before
    said = capsys.readouterr().out
    assert "nothing new" in said and "kept beside" not in said


def test_a_number_is_never_replaced_by_a_reason(
    folder: Path, data: TaskData, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def impossible(m: object) -> None:
        raise Undefined("the moon is full")

    before = record_of(folder)
    newer(monkeypatch, "l1_truth", compute=impossible)
    remeasure.complete(folder, settings("l1_truth"), Reporter(), lambda _: data)
    assert record_of(folder) == before
    assert "kept l1_truth of version 1 (the moon is full)" in capsys.readouterr().out


def test_a_signal_keeps_what_is_finished(folder: Path, data: TaskData) -> None:
    signals = Signals()
    signals.received = "SIGTERM"
    names = ("psnr_truth", "kd_effnet", "fd_effnet")
    with pytest.raises(Interrupted):
        remeasure.complete(folder, settings(*names), Reporter(signals), lambda _: data)
    assert list(record_of(folder)["metrics"]) == ["l1_truth", "psnr_truth"]
    assert remeasure.lacking(read_record(folder / "record.json"), names) == ["kd_effnet", "fd_effnet"]


def test_what_was_not_available_is_tried_again_where_its_network_has_come(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("I2I_BENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(remeasure, "default_names", lambda: ("l1_truth", "lpips_truth", "class_kept"))
    record = read_record(folder / "record.json")
    none = Value(None, reason="no network")
    record.metrics.update(lpips_truth=none, class_kept=none)
    record.provenance.weights.update({"effnet-lite0": "0"})
    assert remeasure.lacking(record, None) == []
    assert remeasure.lacking(record, ("class_kept",)) == ["class_kept"]
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / weights.entry("lpips-alex").file).touch()
    assert remeasure.lacking(record, None) == ["lpips_truth"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "damaged"),
        (lambda path: path.write_bytes(b""), "damaged"),
    ],
)
def test_without_whole_translations_nothing_is_written(folder: Path, data: TaskData, damage: Any, message: str) -> None:
    damage(folder / "translated.npy")
    before = (folder / "record.json").read_bytes()
    with pytest.raises(UserError, match=message) as error:
        remeasure.complete(folder, settings("psnr_truth"), Reporter(), lambda _: data)
    assert str(folder / "translated.npy") in str(error.value)
    assert (folder / "record.json").read_bytes() == before


def test_other_data_than_the_records_are_refused(folder: Path, data: TaskData) -> None:
    with pytest.raises(UserError, match=f"changed since it ran .*{data.manifest_sha256[:12]}"):
        remeasure.complete(
            folder, settings("psnr_truth"), Reporter(), lambda _: replace(data, manifest_sha256="0" * 64)
        )


def test_another_process_that_works_on_the_run_is_respected(folder: Path, data: TaskData) -> None:
    with lifecycle.owned(folder, Reporter()), pytest.raises(Busy):
        remeasure.complete(folder, settings("psnr_truth"), Reporter(), lambda _: data)


def test_several_runs_and_one_that_cannot(
    folder: Path, data: TaskData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = run(tmp_path, data, SPEC)
    lost = {**record_of(other), "status": "diverged", "error": "loss", "metrics": {}}
    (other / "record.json").write_text(json.dumps(lost))
    with pytest.raises(UserError, match=f"left out 1 of 2 runs, the first is {other}"):
        remeasure.remeasure([other, folder], settings("psnr_truth"), Reporter())
    assert "psnr_truth" in record_of(folder)["metrics"]
    assert "has no translations" in capsys.readouterr().out


def bench(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bench", *words], capture_output=True, text=True, timeout=240, cwd=cwd)


def test_the_commands(tmp_path: Path) -> None:
    run = ("run", "--dataset", "emoji", "--target-size", "20", "--resolution", "32", "--method", "identity")
    for metrics, lines in (("l1_truth", 1), ("psnr_truth", 2)):  # the second call finds a finished run
        done = bench(*run, "--metrics", metrics, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert len([line for line in done.stdout.splitlines() if "n 382/382" in line]) == lines
    done = bench(*run, cwd=tmp_path)
    assert "not measured yet: kd_effnet" in done.stdout
    assert "python -m bench remeasure results/runs/emoji/20/identity/0-" in done.stdout
    done = bench("remeasure", "--all", "--metrics", "psnr_truth", cwd=tmp_path)
    assert (done.returncode, "nothing to measure" in done.stdout) == (0, True), done.stderr
    (path,) = tmp_path.glob("results/runs/*/*/*/*/record.json")
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "identity": {**record["identity"], "dataset": "folder:/no/such/folder"}}))
    for words, message in (
        (("remeasure",), "name runs"),
        (("remeasure", "--method", "cyclegan"), "no finished run"),
        (("remeasure", "identity", "--metrics", "fid"), "/no/such/folder"),
    ):
        done = bench(*words, cwd=tmp_path)
        assert done.returncode == 2, done.stdout + done.stderr
        (line,) = done.stderr.strip().splitlines()
        assert message in line


def test_a_named_metric_of_a_network_that_was_trained_here_is_measured_again(folder: Path, data: TaskData) -> None:
    """The record has another machine's judge: its value moves to the list, and the new one names its judge."""
    remeasure.remeasure([folder], settings("translated"), Reporter())
    first = record_of(folder)["metrics"]["translated"]
    assert len(first["network"]) == 64
    record = record_of(folder)
    foreign = {**first, "value": 0.5, "network": "0" * 64}
    record["metrics"]["translated"] = foreign
    (folder / "record.json").write_text(json.dumps(record))
    remeasure.remeasure([folder], settings(), Reporter())
    assert record_of(folder)["metrics"]["translated"] == foreign
    remeasure.remeasure([folder], settings("translated"), Reporter())
    after = record_of(folder)
    assert after["metrics"]["translated"] == first
    assert after["remeasured"][-1]["replaced"] == {"translated": foreign}
