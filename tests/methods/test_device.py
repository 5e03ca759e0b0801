"""Every method on a device that is not the CPU: nothing stays behind, and no value is fetched in a step."""

from pathlib import Path
from typing import Any

import pytest
import torch
from stand_in import META, as_a_gpu, batch_of, case_of, moved, on_device, precision

from bench.core.progress import Quiet
from bench.core.registry import entries
from bench.runs.build import task_of
from bench.testing import tiny_task
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.loop import Loop, Step
from bench.training.method import Method

METHODS = list(entries("methods"))


def cls_of(name: str) -> type[Method]:
    return entries("methods")[name].load()


@pytest.mark.parametrize("amp", ["off", "bf16"])
@pytest.mark.parametrize("name", METHODS)
def test_no_step_waits_for_a_value_of_the_device(name: str, amp: str, tmp_path: Path) -> None:
    """On `meta` there are no values, so that `.item()`, `.tolist()`, `if tensor:` and indexing by masks fail."""
    case = case_of(cls_of(name), tmp_path)
    method = moved(case)
    with as_a_gpu(), precision(amp):
        for step in range(2):
            losses = method.train_step(batch_of(case, step))
            method.end_iteration()
    assert on_device(losses) == {"meta"}


@pytest.mark.parametrize("amp", ["off", "bf16"])
@pytest.mark.parametrize("name", METHODS)
def test_translations_are_made_on_the_device(name: str, amp: str, tmp_path: Path) -> None:
    case = case_of(cls_of(name), tmp_path)
    method = moved(case)
    method.train(False)
    side, n = case.data.resolution, 2
    images, label = torch.zeros(n, 3, side, side, device=META), torch.zeros(n, dtype=torch.int64, device=META)
    with as_a_gpu(), precision(amp):
        made = method.translate(images, images, torch.Generator(), label)
    assert made.device == META and made.shape == images.shape


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
@pytest.mark.parametrize("name", METHODS)
def test_a_state_from_the_cpu_loads_on_the_device(name: str, tmp_path: Path) -> None:
    """As after a resume: checkpoints come on the CPU, and training goes on where the networks are."""
    cls = cls_of(name)
    trained = case_of(cls, tmp_path)
    trained.train(0, 1)
    state = trained.method.state_dict()
    case = case_of(cls, tmp_path)
    method = moved(case)
    with as_a_gpu():
        method.load_state_dict(state)
        assert torch.equal(method.rng.get_state(), state["rng"])
        losses = method.train_step(batch_of(case, 1))
    assert on_device(losses) == {"meta"}


# Methods that train something before the training, with the settings that make them do so. What comes after the steps
# of such a stage (clusters of its codes, files of its networks) is made on the host, from values, so it has no test
# here; nor has DeepI2I's stage `adapt`, whose step is that of the stage `biggan`, from which it starts.
STAGES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "balagan": [("modes", {"classes": "modes:2"}), ("modes", {"classes": "vae-modes:2"})],
    "deepi2i": [("biggan", {})],
    "minegan": [("pre-train", {})],
    "transfergan": [("pre-train", {})],
    "udit": [("judge", {})],
    "uvcgan2": [("inpaint", {})],
}


class Reached(Exception):
    """The stage of this name was run."""


class TwoSteps(Loop):
    """A loop on `meta`: two steps of the first stage, and nothing after them."""

    def run(self, stage: str, folder: Path, state: Any, step: Step, *_: Any, **__: Any) -> Any:
        for number in range(2):
            assert on_device(dict(step(number))) == {"meta"}
        raise Reached(stage)


def prepare(name: str, folder: Path, settings: dict[str, Any], amp: str) -> None:
    cls = cls_of(name)
    config = cls.Config(**{**(cls.presets.get("smoke") or cls.presets["cpu"]), **settings})
    data = tiny_task(resolution=config.resolution, paired="pairs" in cls.needs)
    method = cls(task_of(data), config)
    with as_a_gpu(), precision(amp):
        method.to(META)
        method.prepare(data, Artifacts(folder, TwoSteps(Compute(META), Quiet())))


@pytest.mark.parametrize("amp", ["off", "bf16"])
@pytest.mark.parametrize("name", METHODS)
def test_stages_before_the_training_run_on_the_device(name: str, amp: str, tmp_path: Path) -> None:
    for number, (stage, settings) in enumerate(STAGES.get(name, [])):
        with pytest.raises(Reached, match=f"^{stage}$"):
            prepare(name, tmp_path / str(number), settings, amp)
    if name not in STAGES:
        prepare(name, tmp_path, {}, amp)
