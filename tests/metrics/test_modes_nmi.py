"""Modes against hidden labels, and black pixels: by the formula, by hand, and through a measurement."""

from dataclasses import replace

import numpy as np
import pytest

from bench.metrics import Value
from bench.metrics.data import Images, Outputs, Reference
from bench.metrics.evaluate import evaluate
from bench.metrics.modes import normalised_mutual_information

NONE = Images(np.empty((0, 3, 4, 4), np.uint8), np.empty(0, np.int64))


def measured(metric: str, **outputs: np.ndarray) -> Value:
    images = outputs.pop("images", np.zeros((2, 3, 4, 4), np.uint8))
    hidden = outputs.pop("hidden", None)
    reference = Reference(NONE, NONE, NONE, hidden=hidden)
    return evaluate(Outputs(images, np.full(len(images), -1), **outputs), reference, [metric])[metric]


def by_formula(a: np.ndarray, b: np.ndarray) -> float:
    """2 I(a; b) / (H(a) + H(b)), from the shares of the classes."""
    joint = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(joint, (a, b), 1 / len(a))

    def entropy(shares: np.ndarray) -> float:
        return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())

    both = entropy(joint.sum(1)) + entropy(joint.sum(0))
    return 2 * (both - entropy(joint.ravel())) / both


def test_the_number_is_that_of_the_formula() -> None:
    rng = np.random.default_rng(0)
    for classes in (2, 5, 40):
        a, b = rng.integers(0, classes, 300), rng.integers(0, 4, 300)
        assert normalised_mutual_information(a, b) == pytest.approx(by_formula(a, b), abs=1e-12)


def test_one_partition_under_other_names_is_1_and_independent_ones_are_0() -> None:
    hidden = np.repeat([0, 1, 2], 4)
    assert measured("modes_nmi", modes=2 - hidden, hidden=hidden).value == pytest.approx(1)
    assert measured("modes_nmi", modes=np.tile([0, 1], 6), hidden=hidden).value == pytest.approx(0, abs=1e-12)
    assert normalised_mutual_information(np.zeros(3, np.int64), np.zeros(3, np.int64)) == 0


def test_images_without_a_hidden_label_do_not_count() -> None:
    hidden = np.array([0, 0, 1, 1, -1, -1])
    found = measured("modes_nmi", modes=np.array([0, 0, 1, 1, 0, 1]), hidden=hidden)
    assert (found.value, found.n_gen) == (pytest.approx(1), 4)


def test_where_there_is_nothing_to_compare_the_reason_is_said() -> None:
    labels = np.array([0, 1])
    assert measured("modes_nmi", modes=labels).reason == "the data set has no hidden labels"
    assert measured("modes_nmi", hidden=labels).reason == "the method has put the source images into no classes"


def test_black_pixels_overlap_by_hand() -> None:
    """Two black pixels made and two real, of which one is the same: a third of the union. Dark blue counts as black."""
    made, truth = (np.full((1, 3, 4, 4), 255, np.uint8) for _ in range(2))
    made[0, :, 0, 0] = made[0, :, 0, 1] = 0
    truth[0, :, 0, 1] = 63
    truth[0, :, 0, 2] = (0, 0, 255)
    made[0, :, 3, 3] = 64
    assert measured("iou_black", images=made, truth=truth).value == pytest.approx(1 / 3)
    blank = replace(Outputs(made, np.full(1, -1)), images=truth * 0 + 255).images
    assert "black pixel" in str(measured("iou_black", images=blank, truth=blank).reason)
