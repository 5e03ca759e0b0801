"""A budget of compute where the first steps of a method are of another kind."""

from pathlib import Path

import pytest

from bench.core.progress import Reporter
from bench.core.registry import find
from bench.data.task import load_task
from bench.runs import budget
from bench.runs.budget import Budget
from bench.runs.build import build_method
from bench.runs.context import RunContext
from bench.runs.settings import RunSettings
from bench.runs.spec import RunSpec
from bench.training.compute import Compute
from bench.training.config import as_json
from bench.training.flop import TERA, counting
from bench.training.sampler import Sampler


@pytest.mark.parametrize(
    ("flop", "steps"),
    [
        (60, 12),  # the opening takes 5 FLOP a step
        (100, 20),  # and 20 steps
        (109, 20),
        (110, 21),  # each of the rest takes 10
        (1000, 110),
    ],
)
def test_steps_of_an_opening_are_paid_for_by_what_they_take(flop: int, steps: int) -> None:
    paid = Budget(
        tflop=(flop + 7.5) / TERA,
        prepare_flop=7,
        rehearsal_flop=100,
        rehearsed=10,
        images_per_step=4,
        opening=20,
        opening_flop=50,
    )
    assert paid.steps == steps
    assert paid.kimg == steps * 4 / 1000


@pytest.mark.parametrize(("method", "field"), [("deepi2i", "adaptor_steps"), ("minegan", "miner_steps")])
def test_a_training_with_an_opening_takes_its_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, field: str
) -> None:
    monkeypatch.setattr("bench.methods.deepi2i.orthogonal_init", lambda network: None)
    cls = find("methods", method).load()
    config = cls.Config(**{**cls.presets["smoke"], field: 15})
    data = load_task("emoji", 20, 32)
    asked = RunSpec(method, "emoji", 20, 32, config=as_json(config), budget_tflop=1e9)
    context = RunContext(tmp_path, asked, data, RunSettings(device="cpu"), Reporter())
    artifacts = context.artifacts()
    kimg = 40 * config.batch_size / 1000
    spent = taken(context, artifacts, kimg)
    asked = RunSpec(method, "emoji", 20, 32, config=as_json(config), budget_tflop=(spent + 1) / TERA)
    context = RunContext(tmp_path, asked, data, RunSettings(device="cpu"), Reporter())
    assert budget.kimg(context, context.artifacts()) == kimg


def taken(context: RunContext, artifacts, kimg: float) -> int:
    """The FLOP of the whole training and of what it is prepared with, each step counted."""
    method = build_method(context.spec, context.data, Compute.choose("cpu"), kimg)
    method.prepare(context.data, artifacts)
    method.train()
    sampler = Sampler(method.streams(context.data), context.data, 0, context.compute)
    with counting(compiled=False) as counter:
        for number in range(method.total_steps):
            method.iterate(sampler.batch(number))
    return counter.flop + artifacts.flop
