import subprocess
import sys
from typing import Any

import pytest

from bench.core.errors import UserError
from bench.metrics import METRICS, find, weights
from bench.metrics.data import Value
from bench.metrics.registry import metric


def test_every_metric_is_described() -> None:
    assert {"kd_effnet", "fd_effnet", "fid", "kid", "lpips_diversity", "nn_ratio", "class_kept"} <= METRICS.keys()
    for name, entry in METRICS.items():
        assert entry.name == name
        assert entry.summary and not entry.summary.endswith(".")
        assert entry.version >= 1
        assert set(entry.needs) <= weights.WEIGHTS.keys()


def test_a_name_is_taken_once() -> None:
    def fid(m: Any) -> Value:
        return Value(0.0)

    before = METRICS["fid"]
    with pytest.raises(ValueError, match="two metrics are called 'fid'"):
        metric(better="lower", range=(0, 1))(fid)
    assert METRICS["fid"] is before


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'kd_effnet'"):
        find("kd_efnet")


def test_reading_the_table_imports_no_torch() -> None:
    code = (
        "import sys, bench.metrics, bench.cli.weights; print({'torch', 'scipy', 'sklearn', 'lpips'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
