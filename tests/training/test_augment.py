"""Augmentation against Pillow's own resize, and its rates."""

import numpy as np
import pytest
import torch
from PIL import Image

from bench.training.augment import Augment
from bench.training.compute import Compute, to_uint8


def pictures(n: int = 3, side: int = 32) -> np.ndarray:
    """Smooth random images, uint8 (n, 3, side, side)."""
    small = np.random.default_rng(0).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    large = [Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC) for image in small]
    return np.stack([np.asarray(image).transpose(2, 0, 1) for image in large])


def floats(pixels: np.ndarray) -> torch.Tensor:
    return Compute.choose("cpu").images(pixels)


@pytest.mark.parametrize(("name", "resampling"), [("bilinear", "BILINEAR"), ("bicubic", "BICUBIC")])
def test_a_crop_is_a_window_of_pillows_resize(name: str, resampling: str) -> None:
    pixels = pictures()
    found = to_uint8(Augment(load_size=40, interpolation=name)(floats(pixels), np.random.default_rng(1)))
    corners = set()
    for image, crop in zip(pixels, found):
        resized = Image.fromarray(image.transpose(1, 2, 0)).resize((40, 40), Image.Resampling[resampling])
        wanted = np.asarray(resized).transpose(2, 0, 1).astype(int)
        windows = {(y, x): wanted[:, y : y + 32, x : x + 32] for y in range(9) for x in range(9)}
        gaps = {corner: int(np.abs(window - crop).max()) for corner, window in windows.items()}
        corner = min(gaps, key=gaps.__getitem__)
        assert gaps[corner] <= 2  # Pillow rounds, and clips, between its two passes
        corners.add(corner)
    assert len(corners) > 1  # each image has a window of its own


def test_every_corner_can_be_drawn() -> None:
    """Marks each position of a 3-pixel enlargement: all 4 x 4 windows must come up, equally often."""
    ramp = np.arange(32, dtype=np.uint8) * 8
    pixels = np.stack([np.broadcast_to(ramp, (32, 32)), np.broadcast_to(ramp[:, None], (32, 32)), np.zeros((32, 32))])
    many = np.repeat(pixels.astype(np.uint8)[None], 1600, 0)
    crops = Augment(load_size=35)(floats(many), np.random.default_rng(0))
    drawn = {tuple(np.round(crop[:2, 16, 16].numpy(), 4)) for crop in crops}
    assert len(drawn) == 16


def test_half_of_the_images_are_mirrored_and_nothing_else_happens() -> None:
    images = floats(np.random.default_rng(0).integers(0, 256, (2000, 3, 4, 4), dtype=np.uint8))
    found = Augment(flip=True)(images, np.random.default_rng(3))
    mirrored = [torch.equal(a, b.flip(-1)) for a, b in zip(found, images)]
    same = [torch.equal(a, b) for a, b in zip(found, images)]
    assert all(m != s for m, s in zip(mirrored, same))
    assert abs(sum(mirrored) - 1000) < 4 * np.sqrt(500)  # binomial, four standard deviations


def test_without_options_images_pass_unchanged() -> None:
    images = floats(pictures())
    assert torch.equal(Augment()(images, np.random.default_rng(0)), images)


def test_a_load_size_that_is_not_larger_changes_nothing() -> None:
    images = floats(pictures())
    assert torch.equal(Augment(load_size=32)(images, np.random.default_rng(0)), images)


def test_bicubic_overshoot_stays_in_range() -> None:
    edge = np.zeros((1, 3, 32, 32), np.uint8)
    edge[..., 16:] = 255
    found = Augment(load_size=40, interpolation="bicubic")(floats(edge), np.random.default_rng(0))
    assert found.min() >= -1
    assert found.max() <= 1


def test_random_resized_crops_have_the_asked_shares_and_shapes() -> None:
    augment = Augment(crop_scale=(0.5, 0.6), crop_ratio=(0.8, 1.25))
    rng = np.random.default_rng(0)
    for _ in range(200):
        top, left, height, width = augment._box(64, rng)
        assert 0.45 < height * width / 64**2 < 0.65  # whole pixels
        assert 0.75 < width / height < 1.35
        assert top >= 0 and left >= 0 and top + height <= 64 and left + width <= 64
    images = floats(np.random.default_rng(1).integers(0, 256, (1000, 3, 8, 8), dtype=np.uint8))
    untouched = sum(torch.equal(a, b) for a, b in zip(augment(images, rng), images))
    assert abs(untouched - 500) < 4 * np.sqrt(250)


def test_a_box_that_never_fits_is_the_whole_image() -> None:
    assert Augment(crop_scale=(1.0, 1.0), crop_ratio=(2.0, 3.0))._box(16, np.random.default_rng(0)) == (0, 0, 16, 16)


def test_equal_generators_equal_images() -> None:
    augment = Augment(crop_scale=(0.3, 1.0), load_size=36, flip=True)
    first, second = (augment(floats(pictures()), np.random.default_rng(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, augment(floats(pictures()), np.random.default_rng(6)))
