"""`bench doctor` names what is wrong, with what mends it, and does not import torch to find out."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli.app import app
from bench.launch import doctor
from bench.launch.doctor import Finding, examine
from bench.metrics import weights


def look(subject: str, results: Path) -> list[Finding]:
    return [finding for finding in examine(results) if finding.subject == subject]


def test_every_subject_is_looked_at_and_this_machine_is_fine(tmp_path: Path) -> None:
    found = examine(tmp_path)
    expected = ["interpreter", "packages", "weights", "cache", "results", "disk", "GPU", "SLURM", "clock"]
    assert list(dict.fromkeys(one.subject for one in found)) == expected
    assert all(one.said and (one.mend or one.state == "fine") for one in found)


def test_the_command_says_it_as_json_and_as_an_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fine, wrong = Finding("disk", "fine", "63 GB free"), Finding("clock", "wrong", "it is 1970", "set it")
    runner = CliRunner()
    monkeypatch.setattr(doctor, "examine", lambda results: [fine])
    assert runner.invoke(app, ["doctor"]).exit_code == 0
    monkeypatch.setattr(doctor, "examine", lambda results: [fine, wrong])
    said = runner.invoke(app, ["doctor"])
    assert said.exit_code == 1 and "WRONG  clock" in said.stdout and "mend: set it" in said.stdout
    asked = runner.invoke(app, ["doctor", "--json"])
    assert asked.exit_code == 1
    assert json.loads(asked.stdout)[1] == {"subject": "clock", "state": "wrong", "said": "it is 1970", "mend": "set it"}


def test_missing_and_wrong_networks_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2I_BENCH_WEIGHTS", str(tmp_path / "weights"))
    missing = [one for one in look("weights", tmp_path) if one.state == "wrong"]
    assert {one.mend for one in missing} == {
        "python -m bench weights get lpips-alex",
        "python -m bench weights get lpips-vgg16",
    }
    weights.location("lpips-alex").parent.mkdir(parents=True)
    weights.location("lpips-alex").write_bytes(b"torn")
    torn = [one for one in look("weights", tmp_path) if "lpips-alex" in one.said and one.state == "wrong"]
    assert len(torn) == 1 and "sha256" in torn[0].said and torn[0].mend.startswith("delete the file")


def test_a_package_that_is_missing_or_too_old_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = ["not-on-this-planet>=1", "numpy>=999", "msgspec>=0.1", "never; extra == 'test'"]
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: needed)
    found = look("packages", tmp_path)
    assert [one.state for one in found] == ["wrong", "wrong"]
    assert "not-on-this-planet is not installed" in found[0].said and ">=999" in found[1].said
    assert found[0].mend == "pip install 'not-on-this-planet>=1'"


def test_a_folder_that_cannot_be_written_is_wrong() -> None:
    (found,) = look("results", Path("/proc/nowhere"))
    assert found.state == "wrong" and "/proc" in found.said and "--results" in found.mend


def test_a_full_disk_and_a_clock_in_the_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 5e8

    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: Usage)
    monkeypatch.setattr(doctor, "_newest_source", lambda: 4e9)
    assert {one.state for one in look("disk", tmp_path)} == {"wrong"}
    (clock,) = [one for one in look("clock", tmp_path) if one.state == "wrong"]
    assert "2096" in clock.said


def test_a_gpu_that_torch_is_not_built_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_ask", lambda command, patience=0.0: "NVIDIA H100, 81559 MiB, 550.1")
    monkeypatch.setattr(doctor, "_cuda_of_torch", lambda: None)
    (found,) = look("GPU", tmp_path)
    assert found.state == "wrong" and "H100" in found.said and "pip install" in found.mend


def test_torch_is_not_imported(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from bench.launch.doctor import examine; "
    code += "examine(Path(sys.argv[1])); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 0
