"""Metrics as functions and in a training loop: the numbers of `evaluate` and of other libraries."""

import doctest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

import bench.metrics
from bench.core.errors import UserError
from bench.metrics import METRICS, Outputs, Reference, RunningMetrics, evaluate, fd, kd, library, precision, recall
from bench.metrics.given import without_labels
from bench.metrics.of_features import METRIC_OF, TWO_SETS


def images(n: int, seed: int) -> np.ndarray:
    """uint8 (n, 3, 16, 16), half dark and half bright."""
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 128, (n, 3, 16, 16)) + 100 * (np.arange(n) % 2)[:, None, None, None]).astype(np.uint8)


MADE, REAL, TRAINING = images(24, 0), images(30, 1), images(20, 2)


def whole(names: list[str]) -> dict[str, Any]:
    outputs = Outputs(MADE, np.full(len(MADE), -1))
    data = Reference(without_labels(REAL), without_labels(TRAINING), without_labels(REAL[:0]))
    return evaluate(outputs, data, names)


def test_features_have_the_numbers_of_other_libraries(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(60, 20)), rng.normal(0.3, 1.2, size=(80, 20))
    theirs = calculate_frechet_distance(x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False))
    assert fd(x, torch.from_numpy(y)).value == pytest.approx(theirs, rel=1e-6)
    a, b = torch.from_numpy(x), torch.from_numpy(y[:60])
    kid = kid_features_to_metric(a, b, kid_subsets=1, kid_subset_size=60, verbose=False)[KEY_METRIC_KID_MEAN]
    assert kd(x, y[:60]).value == pytest.approx(kid, rel=1e-6)
    shares = prc_features_to_metric(a, b, prc_neighborhood=5, prc_batch_size=100, verbose=False)
    assert precision(a, b).value == pytest.approx(shares[KEY_METRIC_PRECISION], abs=1e-7)
    assert recall(a, b).value == pytest.approx(shares[KEY_METRIC_RECALL], abs=1e-7)


def test_every_family_names_registered_metrics() -> None:
    for family, names in METRIC_OF.items():
        assert callable(getattr(bench.metrics, family))
        assert set(names.values()) <= set(METRICS), family


@pytest.mark.usefixtures("toy_effnet")
@pytest.mark.parametrize("family", [family for family, names in METRIC_OF.items() if "effnet" in names])
def test_images_have_the_numbers_of_evaluate(family: str) -> None:
    name = METRIC_OF[family]["effnet"]
    sets = [MADE, TRAINING] if family == "authentic_share" else [MADE, REAL]
    sets += [TRAINING] if family in ("nn_ratio", "nn_share_p1", "c_t") else []
    found, expected = getattr(bench.metrics, family)(*sets), whole([name])[name]
    assert (found.metric, found.version) == (name, METRICS[name].version)
    assert (found.value, found.low, found.high, found.n_gen, found.n_ref) == (
        expected.value, expected.low, expected.high, expected.n_gen, expected.n_ref,
    ), expected.reason  # fmt: skip
    assert found.value is not None


@pytest.mark.usefixtures("toy_effnet")
def test_sets_in_any_form_give_equal_numbers(tmp_path: Path) -> None:
    expected = fd(MADE, REAL).value
    for i, image in enumerate(MADE):
        Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / f"{i:02}.png")
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.from_numpy(MADE), torch.zeros(24)), 7)
    for made in (
        str(tmp_path),
        tmp_path,
        MADE.transpose(0, 2, 3, 1),
        torch.from_numpy(MADE),
        loader,
        [MADE[:5], MADE[5:]],
    ):
        assert fd(made, REAL).value == expected, type(made)
    halves = (MADE / np.float32(127.5) - 1, torch.from_numpy(REAL) / 127.5 - 1)
    assert fd(*halves, value_range=(-1, 1)).value == pytest.approx(expected, rel=1e-9)


@pytest.mark.usefixtures("toy_effnet")
def test_batches_of_a_training_loop_have_the_numbers_of_the_whole_sets() -> None:
    names = [METRIC_OF[family]["effnet"] for family in TWO_SETS if "effnet" in METRIC_OF[family]]
    running = RunningMetrics(names, value_range=(-1, 1), device="cpu")
    weight = torch.ones(1, requires_grad=True)
    state = torch.get_rng_state()
    with torch.autocast("cpu", torch.bfloat16):
        for part, real in ((REAL, True), (MADE, False)):
            for start in range(0, len(part), 7):
                batch = torch.from_numpy(part[start : start + 7]) / 127.5 - 1
                running.update(batch * weight, real=real)
    assert torch.equal(torch.get_rng_state(), state) and torch.is_grad_enabled()
    found, expected = running.compute(), whole(names)
    assert {name: value.value for name, value in found.items()} == {name: v.value for name, v in expected.items()}
    running.reset()
    empty = running.compute()["fd_effnet"]
    assert empty.value is None and empty.reason == "images in outputs: 0; at least 3 are needed"
    running.update([(REAL, np.zeros(30))], real=False)
    assert running.compute()["fd_effnet"].value == pytest.approx(0, abs=1e-9)


def test_the_network_sees_full_precision_under_autocast() -> None:
    """EfficientNet-Lite0 itself: bfloat16 would keep three digits."""
    plain = fd(MADE[:4], REAL[:4], device="cpu").value
    with torch.autocast("cpu", torch.bfloat16):
        assert fd(MADE[:4], REAL[:4], device="cpu").value == plain


@pytest.mark.parametrize(
    ("made", "real", "more", "says"),
    [
        (MADE / 255.0, REAL, {}, "made are float64: say which values are black and white"),
        (MADE, REAL / 255.0, {"value_range": (-1, 0.5)}, r"real hold values from .* outside value_range"),
        (np.zeros((9, 4)), REAL, {}, "some of the sets are features"),
        (np.zeros((9, 4)), np.zeros((9, 5)), {}, r"different numbers of dimensions \(made 4, real 5\)"),
        (np.full((9, 4), np.nan), np.zeros((9, 4)), {}, "made hold features that are not finite"),
        (MADE, REAL, {"network": "clip"}, "fd has no metric on the network 'clip'; it has effnet, inception, dinov2"),
        (MADE, REAL, {"device": "tpu"}, "unknown --device"),
        (3, REAL, {}, "made must be a folder, an array or tensor, or a loader, not int"),
        (MADE, REAL, {"network": "inception"}, "python -m bench weights get inception"),
    ],
)
@pytest.mark.usefixtures("toy_effnet")
def test_what_cannot_be_measured_is_one_line(made: Any, real: Any, more: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        fd(made, real, **more)
    assert "\n" not in str(caught.value)


def test_too_few_images_are_a_reason_and_another_metric_an_error() -> None:
    found = recall(np.eye(5), np.eye(5))
    assert found.value is None and found.reason == "images in outputs: 5; at least 6 are needed"
    with pytest.raises(UserError, match="unknown metric of two sets 'fid_effnet'; did you mean"):
        RunningMetrics("fid_effnet")


def test_the_examples_of_the_docstrings() -> None:
    assert doctest.testmod(library) == doctest.TestResults(0, 5)
