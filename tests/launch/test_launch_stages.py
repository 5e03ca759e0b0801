"""The stage that a sweep plans is the artifact that the run makes."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.core.progress import Reporter
from bench.data.task import TaskData, load_task
from bench.launch import stages
from bench.runs import lifecycle
from bench.runs.context import RunContext
from bench.runs.request import RunRequest, specify
from bench.runs.settings import RunSettings
from bench.runs.spec import RunSpec

SMALL = ("width=4", "downs=2", "reference_downs=3", "discriminator_downs=3", "classes=modes:3", "encoder_width=8")
QUICK = ("encoder_batch=64", "encoder_epochs=1")


def spec(size: int, *more: str, method: str = "balagan", seed: int = 0) -> RunSpec:
    settings = (*SMALL, *QUICK, *more) if method == "balagan" else more
    request = RunRequest(method, "emoji", size, seed, 0, "cpu", settings, resolution=32)
    return specify(request, gpu=False, say=lambda _: None)


@pytest.fixture
def data() -> TaskData:
    return load_task("emoji", 20, 32)


def test_the_name_is_that_of_the_artifact_and_then_there_is_none(
    tmp_path: Path, data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path))
    wanted = spec(20, "encoder_images=source", "encoder_epochs=1")
    name = stages.missing(wanted, data)
    lifecycle.prepare(RunContext(tmp_path / "run", wanted, data, RunSettings(device="cpu"), Reporter()))
    (made,) = (tmp_path / "artifacts" / "representation").glob("*/key.json")
    assert name == f"representation-{made.parent.name}"
    assert stages.missing(wanted, data) is None


def test_runs_share_a_stage_wherever_it_depends_on_the_same_things(
    data: TaskData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path))
    larger = replace(data, target_size=40, target_train=load_40(data))
    source = {stages.missing(spec(size, "encoder_images=source"), d) for size, d in ((20, data), (40, larger))}
    assert len(source) == 1
    both = {stages.missing(spec(size, "encoder_images=both"), d) for size, d in ((20, data), (40, larger))}
    assert len(both) == 2
    assert len({stages.missing(spec(20, seed=seed), data) for seed in range(3)}) == 1
    others = {stages.missing(spec(20, f"encoder_width={width}"), data) for width in (8, 16)}
    assert len(others) == 2


def load_40(data: TaskData):  # type: ignore[no-untyped-def]
    order = data.target_train.bank.rows(data.target_train.name, "train")
    return replace(data.target_train, rows=order[:40])


def test_pre_training_is_a_stage_and_plain_methods_have_none(
    data: TaskData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path))
    assert (stages.missing(spec(20, method="deepi2i"), data) or "").startswith("biggan-")
    assert stages.missing(spec(20, "pretrained=none", method="deepi2i"), data) is None
    assert stages.missing(spec(20, method="cyclegan"), data) is None
    assert stages.missing(RunSpec("identity", "emoji", 20, 32, kind="anchor"), data) is None
