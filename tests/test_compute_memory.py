"""The peak of a run's memory is its own, not that of the process that started it."""

import subprocess
import sys

import numpy as np

CODE = "from bench.compute import peak_resident_bytes; print(peak_resident_bytes())"


def test_a_large_parent_does_not_count() -> None:
    large = np.ones(3 << 27)  # 3 GiB
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert 50 << 20 < int(done.stdout) < 2 << 30
    assert large[0] == 1


def test_what_the_process_itself_needed_counts() -> None:
    code = f"import numpy as np; np.ones(1 << 27); {CODE}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 1 << 30
