"""The rows of a calibration: which images stand in them, and what the command prints."""

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.cli.app import app
from bench.data.task import load_task
from bench.metrics.degradations import DEGRADATIONS
from bench.runs import calibration

FAULTS = list(DEGRADATIONS)


def test_rows_of_a_task_with_truth() -> None:
    data = load_task("emoji", 20, 32)
    rows = dict(calibration.rows(data, most=40))
    truths = [f"truth, {fault}" for fault in FAULTS]
    assert list(rows) == [
        "source", *(f"source, {fault}" for fault in FAULTS), "half source, half truth", "truth", *truths,
        "truth, moved by a pixel", "copies",
    ]  # fmt: skip
    assert {len(outputs.images) for outputs, _ in rows.values()} == {40}
    source, truth = rows["source"][0], rows["truth"][0]
    assert source.sources is not None and (source.images == source.sources).all()
    assert truth.truth is not None and (truth.images == truth.truth).all()
    for fault in ("source, noise", "truth, JPEG"):
        clean = rows[fault.split(",")[0]][0].images.astype(int)
        assert 0 < np.abs(rows[fault][0].images - clean).mean() < 20
    half = rows["half source, half truth"][0].images
    assert np.abs(half.astype(int) - (source.images.astype(int) + truth.images) / 2).max() <= 0.5
    assert (truth.source_labels == source.source_labels).all()


def test_rows_of_a_task_without_truth_have_real_images_instead() -> None:
    data = load_task("digits8", 20, 8)
    rows = dict(calibration.rows(data))
    assert [name for name in rows if "truth" in name] == []
    assert len(rows["real"][0].images) == 120  # half of 240
    assert (rows["copies"][0].images[:20] == data.target_train.images()).all()


def test_the_command_prints_a_table_with_reasons_left_out() -> None:
    words = ["calibrate", "emoji", "--resolution", "32", "--most", "12", "--metrics", "l1_truth,miou"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    lines = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert lines[0] == "| image | n | l1_truth ↓ | miou ↑ |"
    truth = next(line for line in lines if line.startswith("| truth |"))
    assert truth == "| truth | 12 | 0.000 ± 0.000 | n/a |"
    assert len(lines) == 2 + 13


@pytest.mark.parametrize("most", [None, 400])
def test_all_are_measured_where_there_are_no_more(most: int | None) -> None:
    data = load_task("emoji", 20, 32)
    rows = dict(calibration.rows(data, most))
    assert len(rows["source"][0].images) == len(data.source_test)
