"""What is too small, all the same or not finite is never a number of a set and never a crash: every metric."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.metrics import METRICS, Images, Outputs, Reference, Value, evaluate, judge, resnet
from bench.metrics.features import EXTRACTORS

NAMES = ("a", "b")
# Means of one number an image, defined however alike the images are.
LABELS = {"miou", "pixel_accuracy"}
DEPTH = {"depth_delta1", "depth_delta2", "depth_delta3", "depth_rmse", "depth_rmse_log"}
PAIRS = {
    "l1_truth",
    "psnr_truth",
    "iou_black",
    "lpips_source",
    "lpips_truth",
    "lpips_truth_relative",
    "lpips_diversity",
    "lpips_diversity_19_pairs",
}
OF_EACH_IMAGE = LABELS | DEPTH | PAIRS | {"alignment_factor", "identity_distance"}


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resnet, "STEPS", 3)
    monkeypatch.setattr(judge, "STEPS", 3)
    monkeypatch.setattr(resnet, "BATCH", 4)


def images(n: int, same: bool = False) -> np.ndarray:
    found = np.random.default_rng(n).integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)
    return np.repeat(found[:1], n, axis=0) if same else found


def measured(name: str, n: int, same: bool = False) -> Value:
    """The metric on n outputs against n real images of each part, with all that any metric can ask for."""
    pixels, labels = images(n, same), np.arange(n) % 2
    real = Images(pixels[::-1], labels)
    outputs = Outputs(
        pixels,
        labels,
        sources=pixels,
        truth=pixels,
        diverse=np.stack([pixels, pixels], 1),
        reference_labels=labels,
        returned=pixels,
        backward=pixels,
        alignment=np.ones(n),
    )
    kind = "labels" if name in LABELS else "depth" if name in DEPTH else "rgb"
    return evaluate(outputs, Reference(real, real, real, NAMES, kind=kind, far=10.0), [name])[name]


@pytest.mark.usefixtures("toy_effnet")
@pytest.mark.parametrize("name", METRICS)
def test_one_image(name: str) -> None:
    found = measured(name, 1)
    assert (found.value is None) == (found.reason is not None)
    assert found.value is None or name in OF_EACH_IMAGE, found


@pytest.mark.usefixtures("toy_effnet")
@pytest.mark.parametrize("name", METRICS)
def test_identical_images(name: str) -> None:
    found = measured(name, 12, same=True)
    assert (found.value is None) == (found.reason is not None)
    assert found.value is None or name in OF_EACH_IMAGE, found


@pytest.mark.usefixtures("toy_effnet")
@pytest.mark.parametrize(
    "name", [n for n in METRICS if n.split("_")[0] in ("precision", "recall", "density", "coverage")]
)
def test_fewer_than_k_plus_one_neighbours(name: str) -> None:
    found = measured(name, 5)
    assert found.value is None
    if "effnet" in name:
        assert found.reason == "images in outputs: 5; at least 6 are needed"
        assert measured(name, 6).value is not None


@pytest.mark.parametrize("name", [n for n in METRICS if METRICS[n].needs == ("effnet-lite0",)])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_features_that_are_not_finite(name: str, bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(device: str) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda batch: torch.full((len(batch), 12), bad)

    monkeypatch.setitem(EXTRACTORS, "effnet", replace(EXTRACTORS["effnet"], dimension=12, build=build))
    found = measured(name, 12)
    assert found.value is None
    assert "not finite" in str(found.reason)


@pytest.mark.parametrize("name", [n for n in METRICS if n.endswith("_resnet")])
def test_a_classifier_that_is_not_finite(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(self: resnet.ResNet, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.classes(x.mean((2, 3)) @ torch.ones(3, 64)) + bad, self.domains(torch.zeros(len(x), 64)) + bad

    bad = 0.0
    monkeypatch.setattr(resnet.ResNet, "forward", forward)
    assert measured(name, 12).value is not None
    bad = float("nan")
    found = measured(name, 12)
    assert found.value is None
    assert "not finite" in str(found.reason)
