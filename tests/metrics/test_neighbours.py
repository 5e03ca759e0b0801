import numpy as np
import pytest

from bench.metrics.intervals import share_below
from bench.metrics.neighbours import median_ratio, nearest_to_training


def test_hand_calculation() -> None:
    training = np.array([[0.0, 0.0], [10.0, 0.0]])
    outputs = np.array([[3.0, 4.0], [10.0, 1.0], [0.0, 0.0]])
    held_out = np.array([[0.0, 2.0], [10.0, 4.0], [13.0, 4.0]])
    mine, theirs = nearest_to_training(outputs, held_out, training)
    assert mine == pytest.approx([5, 1, 0])
    assert theirs == pytest.approx([2, 4, 5])
    assert median_ratio(mine, theirs) == pytest.approx(1 / 4)
    # the first percentile of 2, 4, 5 lies at 2 + 0.02 * 2
    assert share_below(np.array([2.03, 2.05, 2.06]), theirs, 0.01).value == pytest.approx(1 / 3)


def test_copies_are_at_distance_zero_exactly(rng: np.random.Generator) -> None:
    training = rng.normal(size=(20, 1280)) * 5
    mine, _ = nearest_to_training(training[[3, 3, 7]], training, training)
    assert (mine == 0).all()
