"""The primary metric of a data set: named in its source, known without torch, and stored in records."""

import subprocess
import sys

import pytest

from bench.core.registry import entries
from bench.data.dataset import Dataset, primary_metric
from bench.data.task import load_task
from bench.metrics import METRICS
from bench.metrics import evaluate as _  # noqa: F401 (registers the metrics)


@pytest.mark.parametrize("name", entries("datasets"))
def test_every_data_set_names_a_metric_with_a_direction(name: str) -> None:
    assert METRICS[primary_metric(name)].better is not None
    assert primary_metric(name) == entries("datasets")[name].load().primary


def test_arguments_and_unknown_names_have_one_too() -> None:
    assert primary_metric("fashion:boots") == primary_metric("fashion") == "translated"
    assert primary_metric("of-another-program") == Dataset.primary == "kd_effnet"
    assert load_task("digits8", 20, 8).primary == "translated"


def test_it_is_known_without_torch() -> None:
    script = "import sys; from bench.data.dataset import primary_metric as p; print(p('ink'), 'torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["translated", "False"]
