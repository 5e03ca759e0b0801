"""What several metrics share is computed once a measurement, wherever the function that computes it stands."""

import numpy as np
import pytest

from bench.metrics.data import Images, Outputs, Reference, Undefined
from bench.metrics.measurement import Measurement


@pytest.fixture
def measurement() -> Measurement:
    pixels = np.zeros((3, 3, 8, 8), np.uint8)
    images = Images(pixels, np.zeros(3, np.int64))
    outputs = Outputs(images=pixels, source_labels=np.zeros(3, np.int64))
    return Measurement(outputs, Reference(reference=images, target_train=images, source_train=images))


def test_equal_questions_are_answered_once(measurement: Measurement) -> None:
    asked = []

    def shared(m: Measurement, scale: int) -> int:
        asked.append(scale)
        return scale * len(m.outputs.images)

    assert [measurement.once(shared, 2), measurement.once(shared, 2), measurement.once(shared, scale=5)] == [6, 6, 15]
    assert asked == [2, 5]


def test_an_error_is_not_remembered(measurement: Measurement) -> None:
    tries = []

    def fails_at_first(m: Measurement) -> str:
        tries.append(m)
        if len(tries) == 1:
            raise Undefined("not yet")
        return "found"

    with pytest.raises(Undefined, match="not yet"):
        measurement.once(fails_at_first)
    assert measurement.once(fails_at_first) == "found"
