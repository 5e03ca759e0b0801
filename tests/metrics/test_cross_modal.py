"""Label maps and depth maps made by hand, coded as bench.data.modality keeps them."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, jaccard_score

from bench.data.modality import depth_image, depth_metres, label_image
from bench.metrics import Images, Outputs, Reference, Value, evaluate


def measured(kind: str, found: np.ndarray, truth: np.ndarray, names: list[str], far: float = 0.0) -> dict[str, Value]:
    labels = np.full(len(found), -1)
    real = Images(truth, labels)
    return evaluate(Outputs(found, labels, truth=truth), Reference(real, real, real, kind=kind, far=far), names)


def test_label_maps_by_hand() -> None:
    truth = [np.array([[0, 0], [1, 255]]), np.array([[1, 1], [0, 2]])]
    found = [np.array([[0, 1], [1, 0]]), np.array([[1, 1], [0, 7]])]  # 7 is no id of the data; 255 does not count
    maps = [np.stack([label_image(ids) for ids in several]) for several in (found, truth)]
    value = measured("labels", maps[0], maps[1], ["miou", "pixel_accuracy"])
    # id 0: TP 2, FN 1; id 1: TP 3, FP 1; id 2: FN 1
    assert value["miou"].parts == {"id 0": pytest.approx(2 / 3), "id 1": pytest.approx(3 / 4), "id 2": 0}
    assert value["miou"].value == pytest.approx((2 / 3 + 3 / 4 + 0) / 3)
    assert value["pixel_accuracy"].value == pytest.approx(5 / 7)
    assert (value["miou"].n_gen, value["miou"].n_ref) == (2, 2)


def test_label_maps_as_scikit_learn_counts_them(rng: np.random.Generator) -> None:
    truth, found = rng.integers(0, 5, (2, 6, 8, 8))
    maps = [np.stack([label_image(ids) for ids in several]) for several in (found, truth)]
    value = measured("labels", maps[0], maps[1], ["miou", "pixel_accuracy"])
    flat = truth.ravel(), found.ravel()
    matrix = confusion_matrix(*flat)
    assert value["miou"].value == pytest.approx(jaccard_score(*flat, average="macro"))
    assert list((value["miou"].parts or {}).values()) == pytest.approx(jaccard_score(*flat, average=None))
    assert value["pixel_accuracy"].value == pytest.approx(np.trace(matrix) / matrix.sum())


def test_depth_maps_by_hand() -> None:
    metres = [np.array([[1.0, 2.0], [4.0, 0.0]]), np.array([[5.0, 8.0], [2.0, 1.0]])]
    guess = [np.array([[1.1, 3.0], [4.0, 9.0]]), np.array([[8.0, 8.0], [1.0, 1.0]])]
    coded = [np.stack([depth_image(m, 10.0) for m in several]) for several in (guess, metres)]
    names = ["depth_delta1", "depth_delta2", "depth_delta3", "depth_rmse", "depth_rmse_log"]
    value = measured("depth", coded[0], coded[1], names, far=10.0)
    # the pixel of 0 metres was not measured; ratios of the other seven: 1.1, 1.5, 1, 1.6, 1, 2, 1
    assert value["depth_delta1"].value == pytest.approx(4 / 7)
    assert value["depth_delta2"].value == pytest.approx(5 / 7)  # below 1.5625
    assert value["depth_delta3"].value == pytest.approx(6 / 7)  # below 1.953
    linear = np.sqrt((0.1**2 + 1 + 9 + 1) / 7)
    logs = np.sqrt((np.log(1.1) ** 2 + np.log(1.5) ** 2 + np.log(1.6) ** 2 + np.log(2) ** 2) / 7)
    assert value["depth_rmse"].value == pytest.approx(linear, rel=0.02)  # the coding is exact to 0.7 %
    assert value["depth_rmse_log"].value == pytest.approx(logs, rel=0.02)


def test_depth_is_symmetric_where_the_spec_says_so(rng: np.random.Generator) -> None:
    a, b = rng.integers(1, 256, (2, 4, 3, 8, 8), dtype=np.uint8)
    names = ["depth_delta1", "depth_delta2", "depth_delta3", "depth_rmse_log"]
    one, other = measured("depth", a, b, names, 20.0), measured("depth", b, a, names, 20.0)
    for name in names:
        assert one[name].value == pytest.approx(other[name].value, rel=1e-12), name
    assert depth_metres(a, 20.0).min() > 1e-3


def test_other_targets_have_no_such_numbers() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 8, 8), dtype=np.uint8)
    value = measured("rgb", images, images, ["miou", "depth_rmse"])
    assert value["miou"].reason == "the target domain has no label maps"
    assert value["depth_rmse"].reason == "the target domain has no depth maps"
    nothing = np.full((3, 3, 8, 8), 255, np.uint8)
    assert measured("labels", nothing, nothing, ["miou"])["miou"].reason == "no pixel of the ground truth is labelled"
    zero = np.zeros((3, 3, 8, 8), np.uint8)
    assert "was measured" in str(measured("depth", zero, zero, ["depth_rmse"], 5.0)["depth_rmse"].reason)
