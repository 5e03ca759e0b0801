"""Every method on a device that is not the CPU: nothing stays behind, and no value is fetched in a step."""

from pathlib import Path

import pytest
import torch
from stand_in import META, as_a_gpu, batch_of, case_of, moved, on_device

from bench.core.registry import entries
from bench.training.method import Method

METHODS = list(entries("methods"))


def cls_of(name: str) -> type[Method]:
    return entries("methods")[name].load()


@pytest.mark.parametrize("name", METHODS)
def test_no_step_waits_for_a_value_of_the_device(name: str, tmp_path: Path) -> None:
    """On `meta` there are no values, so that `.item()`, `.tolist()`, `if tensor:` and indexing by masks fail."""
    case = case_of(cls_of(name), tmp_path)
    method = moved(case)
    with as_a_gpu():
        for step in range(2):
            losses = method.train_step(batch_of(case, step))
            method.end_iteration()
    assert on_device(losses) == {"meta"}


@pytest.mark.parametrize("name", METHODS)
def test_translations_are_made_on_the_device(name: str, tmp_path: Path) -> None:
    case = case_of(cls_of(name), tmp_path)
    method = moved(case)
    method.train(False)
    side, n = case.data.resolution, 2
    images, label = torch.zeros(n, 3, side, side, device=META), torch.zeros(n, dtype=torch.int64, device=META)
    with as_a_gpu():
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
