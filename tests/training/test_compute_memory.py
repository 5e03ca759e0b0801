"""The peak of a run's memory is its own, not that of the process that started it; growth counts no pages of files."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.training import compute
from bench.training.compute import Compute

CODE = "from bench.training.compute import peak_resident_bytes; print(peak_resident_bytes())"


def test_a_large_parent_does_not_count() -> None:
    large = np.ones(3 << 27)  # 3 GiB
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert 50 << 20 < int(done.stdout) < 2 << 30
    assert large[0] == 1


def test_what_the_process_itself_needed_counts() -> None:
    code = f"import numpy as np; np.ones(1 << 27); {CODE}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 1 << 30


GROW = """
import mmap, sys
import numpy as np
from bench.training.compute import Compute
held = np.ones(50 << 17)  # 50 MiB, before
with Compute.choose("cpu").memory_growth() as growth:
    np.ones(200 << 17)  # 200 MiB, given back
    if len(sys.argv) > 1:
        with open(sys.argv[1], "rb") as file:
            pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            sum(pages[:: mmap.PAGESIZE])
print(growth[0])
"""


def test_growth_is_what_the_work_held_at_most() -> None:
    done = subprocess.run([sys.executable, "-c", GROW], capture_output=True, text=True, check=True)
    assert 199 << 20 < int(done.stdout) < 215 << 20


def test_pages_of_files_are_no_growth(tmp_path: Path) -> None:
    """Libraries are such files, and file systems map more or less of them: CI's machine 265 MB more than this one."""
    file = tmp_path / "library"
    file.write_bytes(b"1" * (300 << 20))
    done = subprocess.run([sys.executable, "-c", GROW, str(file)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 215 << 20


def test_where_no_pages_are_told_apart_growth_is_of_the_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = iter([100, 100, 130, 130])
    monkeypatch.setattr(compute, "_status", dict)
    monkeypatch.setattr(compute, "peak_resident_bytes", lambda: next(peaks))
    with Compute(torch.device("cpu")).memory_growth() as growth:
        pass
    assert growth == [30]


def test_on_a_gpu_the_peak_of_an_earlier_stage_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the allocator: 70 bytes at most before, 10 held, 30 at most inside."""
    peaks = [70]
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 10)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: peaks[-1])
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: peaks.append(10))
    with Compute(torch.device("cuda")).memory_growth() as growth:
        peaks.append(30)
    assert growth == [20]
