"""Where a number comes from."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bench.core import provenance


def test_a_gpu_is_named_with_its_driver_and_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    made = SimpleNamespace(name="NVIDIA H100", total_memory=80 << 30, major=9, minor=0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: made)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    monkeypatch.setattr(provenance, "_driver", lambda: "580.159.04")
    assert provenance.collect("cuda", 1, "", {})["gpu"] == {
        "name": "NVIDIA H100",
        "memory_bytes": 80 << 30,
        "compute_capability": "9.0",
        "driver": "580.159.04",
        "cuda": "13.0",
        "cudnn": 91002,
    }
    assert provenance.collect("cpu", 1, "", {})["gpu"] is None


@pytest.mark.parametrize(("status", "says"), [("exit 0", ""), ("echo ' M a.py'", "+changes"), ("exit 128", "+unknown")])
def test_a_checkout_is_unchanged_only_if_git_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: str, says: str
) -> None:
    tool = tmp_path / "git"
    tool.write_text(f'#!/bin/sh\n[ "$1" = status ] || {{ echo abc; exit 0; }}\n{status}\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.commit.__wrapped__() == "abc" + says


def test_the_driver_is_what_nvidia_smi_says_and_unknown_without_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 580.159.04\necho 580.159.04\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance._driver() == "580.159.04"
    tool.unlink()
    assert provenance._driver() is None
