"""The nearest image in pixels, against SciPy."""

import numpy as np
from scipy.spatial.distance import cdist

from bench.data.montage import nearest, sample_rows


def test_nearest_equals_a_full_search() -> None:
    rng = np.random.default_rng(0)
    images, among = (rng.integers(0, 256, (n, 3, 8, 8), dtype=np.uint8) for n in (5, 150))
    among[[7, 99]] = images[[2, 4]]
    expected = cdist(images.reshape(5, -1).astype(float), among.reshape(150, -1).astype(float)).argmin(axis=1)
    found = nearest(images, among)
    assert found.tolist() == expected.tolist() and found[2] == 7 and found[4] == 99


def test_sample_rows_are_spread_and_never_more_than_there_are() -> None:
    assert sample_rows(382).tolist()[::9] == [0, 381]
    assert sample_rows(3).tolist() == [0, 1, 2]
