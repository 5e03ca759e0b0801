"""Measuring while training: what it may see, its curve, and that training never knows of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from test_loggers import killed_at
from test_runner import spec, toy  # noqa: F401  (the fixture that registers the method `toy`)

from bench.core.progress import Quiet
from bench.data.task import TaskData, load_task
from bench.leaderboard.show import show
from bench.metrics.data import Outputs, Reference, Value
from bench.metrics.evaluate import evaluate
from bench.runs import lifecycle, validation
from bench.runs.build import build_method
from bench.runs.context import RunContext
from bench.runs.measure import reference_of
from bench.runs.settings import RunSettings
from bench.training import log


@pytest.fixture(scope="module")
def data(bank_cache: Path) -> TaskData:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_BENCH_CACHE", str(bank_cache))
        return load_task("emoji", 20, 32)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Outputs, Reference]]:
    """What is measured while training; the metrics are replaced by quick ones, the colour of outputs among them."""
    found: list[tuple[Outputs, Reference]] = []

    def quick(outputs: Outputs, reference: Reference, names: Any, *more: Any) -> dict[str, Value]:
        found.append((outputs, reference))
        torch.rand(3)  # a draw that must reach no training
        mean = float(outputs.images.mean()) / 255
        return {name: Value(abs(mean - 0.6) if name == "kd_effnet" else mean) for name in names}

    monkeypatch.setattr(validation, "evaluate", quick)
    return found


def context(results: Path, data: TaskData, every: float | None, **settings: Any) -> RunContext:
    chosen = RunSettings(device="cpu", metrics=("l1_truth",), validate_every=every, **settings)
    return RunContext(spec().folder(results), spec(), data, chosen, Quiet())


def curve(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "validation.jsonl").read_text().splitlines()]


def test_training_with_it_equals_training_without(tmp_path: Path, data: TaskData, seen: list) -> None:
    alone, watched = context(tmp_path / "alone", data, None), context(tmp_path / "watched", data, 0.016)
    assert lifecycle.run(alone).metrics == lifecycle.run(watched).metrics
    assert len(seen) == 5
    for file in ("train.jsonl", "translated.npy"):
        assert (alone.folder / file).read_bytes() == (watched.folder / file).read_bytes()
    states = [torch.load(next(run.folder.glob("checkpoint-*.pt")), weights_only=True) for run in (alone, watched)]
    assert torch.equal(states[0]["random"]["cpu"], states[1]["random"]["cpu"])
    assert torch.equal(states[0]["state"]["rng"], states[1]["state"]["rng"])


def test_the_curve_has_its_points_also_after_a_kill(tmp_path: Path, data: TaskData, seen: list) -> None:
    """80 images in steps of 4; every 24 images, and after the last."""
    alone, killed = context(tmp_path / "alone", data, 0.024), context(tmp_path / "killed", data, 0.024)
    lifecycle.run(alone)
    assert [(line["step"], line["images"]) for line in curve(alone.folder)] == [(6, 24), (12, 48), (18, 72), (20, 80)]
    killed_at(13, killed)
    lifecycle.run(killed)
    assert curve(killed.folder) == curve(alone.folder)


def test_held_out_images_are_not_seen(data: TaskData) -> None:
    part = validation.split(data)
    assert set(part.source_test.rows) <= set(data.source_train.rows)
    assert set(part.target_test.rows) < set(data.target_train.rows)
    assert (len(part.source_test), len(part.target_test)) == (128, 10)
    held_out = {*data.source_test.rows, *data.target_test.rows}
    assert not held_out & {*part.source_test.rows, *part.target_test.rows}
    assert (part.truth == -1).all()


def test_what_is_measured_are_translations_against_the_split(tmp_path: Path, data: TaskData, seen: list) -> None:
    lifecycle.run(context(tmp_path, data, 0.08))
    ((outputs, reference),) = seen
    part = validation.split(data)
    assert np.array_equal(outputs.sources, part.source_test.images())
    assert np.array_equal(reference.reference.pixels, data.target_train.images()[::2])
    assert outputs.truth is None


def test_values_are_those_of_the_metrics(tmp_path: Path, data: TaskData) -> None:
    """The last point, against the same metrics of the finished network's translations of the same sources."""
    run = context(tmp_path, data, 0.08)
    lifecycle.run(run)
    (line,) = curve(run.folder)
    state = torch.load(next(run.folder.glob("checkpoint-*.pt")), weights_only=True)["state"]["networks"]["G"]
    part = validation.split(data)
    images = torch.from_numpy(part.source_test.images().astype(np.float32)) / 127.5 - 1
    made = torch.nn.functional.conv2d(images, state["weight"], state["bias"]).clamp(-1, 1)
    pixels = ((made + 1) * 127.5).round().to(torch.uint8).numpy()
    outputs = Outputs(pixels, part.source_test.labels, part.source_test.images())
    expected = evaluate(outputs, reference_of(part), ["kd_effnet", "recall_effnet"])
    for name, value in expected.items():
        assert line[f"validation/{name}"] == pytest.approx(value.value, rel=1e-3, abs=1e-6)


def test_images_that_are_not_finite_end_no_training(tmp_path: Path, data: TaskData) -> None:
    run = context(tmp_path, data, 0.04)
    method = build_method(run.spec, data, run.compute)
    with torch.no_grad():
        method.networks["G"].bias.fill_(torch.nan)
    line = validation.Validation(method, data, 0, run.compute, run.reporter).line(3, 12)
    assert line == log.Line(3, 12, {f"validation/{name}": None for name in validation.METRICS})
    assert isinstance(run.reporter, Quiet)
    (said,) = run.reporter.lines
    assert said.startswith("validation: ") and said.endswith("at step 3: the method makes images that are not finite")


def test_the_curve_is_drawn_and_shown(tmp_path: Path, data: TaskData, seen: list, capsys: Any) -> None:
    run = context(tmp_path, data, 0.016)
    lifecycle.run(run)
    assert Image.open(run.folder / "validation.png").width > 3 * 200, "three panels side by side"
    header, *rows = (run.folder / "validation.csv").read_text().splitlines()
    assert header == "step,images,kd_effnet,precision_effnet,recall_effnet" and len(rows) == 5
    show(str(run.folder), tmp_path)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("on training images")]
    values = [line["validation/kd_effnet"] for line in curve(run.folder)]
    at = 16 * (1 + values.index(min(values)))
    assert said[0].startswith(
        f"on training images, best, after {at} images: validation/kd_effnet {min(values) * 1000:.4g}"
    )
    assert said[1].startswith("on training images, at the end, after 80 images: ")


def test_the_best_point_is_the_first_of_the_lowest() -> None:
    lines = [log.Line(i, i, {"validation/kd_effnet": value}) for i, value in enumerate((None, 0.5, 0.2, 0.2, 0.9))]
    found = log.best(lines)
    assert found is not None and found.step == 2
    assert log.best(lines[:1]) is None and log.best([]) is None
