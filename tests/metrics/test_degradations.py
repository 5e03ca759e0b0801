"""Small faults of images, against closed forms."""

import numpy as np
import pytest

from bench.metrics import degradations as faults

GREY = np.full((2, 3, 32, 32), 128, np.uint8)


def test_blur_spreads_a_point_as_a_gaussian_does() -> None:
    point = np.zeros((1, 3, 33, 33), np.uint8)
    point[..., 16, 16] = 255
    spread = faults.blur(point, 2.0)[0, 0].astype(float)
    assert spread[16, 16] == pytest.approx(255 / (2 * np.pi * 4), abs=0.6)  # density of the middle pixel
    assert spread[16, 18] / spread[16, 16] == pytest.approx(np.exp(-0.5), abs=0.06)


def test_noise_has_its_deviation_and_is_the_same_again() -> None:
    noisy = faults.noise(GREY, 10).astype(float)
    assert (noisy - 128).std() == pytest.approx(10, rel=0.05)
    assert (faults.noise(GREY, 10) == noisy).all()


def test_checkerboard_moves_neighbours_apart_and_keeps_the_mean() -> None:
    found = faults.checker(GREY, 8).astype(int)
    assert set(np.unique(found)) == {120, 136}
    assert (np.abs(np.diff(found, axis=-1)) == 16).all()
    assert found.mean() == 128


def test_jpeg_of_low_quality_loses_more_than_of_high() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (1, 3, 32, 32), dtype=np.uint8)
    errors = [np.abs(faults.jpeg(picture, q).astype(int) - picture).mean() for q in (95, 50, 10)]
    assert errors[0] < errors[1] < errors[2]
    assert np.abs(faults.jpeg(GREY).astype(int) - GREY).max() <= 1


def test_shifted_moves_by_whole_pixels_and_repeats_the_edge() -> None:
    ramp = np.broadcast_to(np.arange(32, dtype=np.uint8), (1, 3, 32, 32))
    assert faults.shifted(ramp)[0, 0, 5].tolist() == [0, *range(31)]
    assert (faults.shifted(ramp, right=0, down=3) == ramp).all()


def test_random_faults_leave_no_image_as_it_was_and_repeat_with_their_seed() -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (40, 3, 16, 16), dtype=np.uint8)
    found = faults.random(pictures, np.random.default_rng(2))
    assert (found.reshape(40, -1) != pictures.reshape(40, -1)).any(1).all()
    assert (faults.random(pictures, np.random.default_rng(2)) == found).all()
    assert found.dtype == np.uint8
