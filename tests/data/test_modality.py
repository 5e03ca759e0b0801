"""Label maps, depth and single channels through the bytes of a bank and back."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import UserError
from bench.data.modality import (
    depth_image,
    depth_metres,
    grey_image,
    grey_values,
    label_ids,
    label_image,
    nearest_square,
    read_values,
)


def test_label_ids_come_back_exactly() -> None:
    ids = np.arange(256).reshape(16, 16)
    image = label_image(ids)
    assert image.shape == (3, 16, 16) and image.dtype == np.uint8
    assert (label_ids(image) == ids).all()
    assert label_ids(np.stack([image, image])).shape == (2, 16, 16)


@pytest.mark.parametrize("id", [-1, 256])
def test_label_ids_that_do_not_fit(id: int) -> None:
    with pytest.raises(UserError, match="map them to 0-255"):
        label_image(np.array([[id]]))


def test_depth_comes_back_within_the_promised_share() -> None:
    metres = np.geomspace(0.05, 20, 10_000).reshape(100, 100)
    back = depth_metres(depth_image(metres, far=20), far=20)
    assert np.abs(back / metres - 1).max() < 0.007
    assert depth_metres(depth_image(np.array([[0.0, 20, 35]]), 20), 20).ravel() == pytest.approx([0, 20, 20])


def test_depth_is_coded_as_the_paper_does() -> None:
    """M&MNets: log(1 + 1000 d), here over its value at `far`, white being 255."""
    coded = depth_image(np.array([[1.0]]), far=10).astype(float).mean()
    assert coded == pytest.approx(255 * np.log(1001) / np.log(10001), abs=0.5 / 3 + 1e-9)


def test_grey_looks_grey_and_keeps_more_than_eight_bits() -> None:
    values = np.linspace(0, 1, 2001)[None]
    image = grey_image(values).astype(int)
    assert image.max(0).max() == 255 and image.min() == 0
    assert (image.max(0) - image.min(0)).max() == 1
    assert np.abs(grey_values(image) - values).max() <= 1 / 1530 + 1e-12


def test_nearest_square_invents_no_value() -> None:
    values = np.arange(7 * 12).reshape(7, 12)
    assert (nearest_square(values, 7, "x") == values[:, 2:9]).all()  # the centre square as it is
    blocks = np.kron(np.array([[1000, 7], [3, 60000]]), np.ones((8, 8), int))
    assert nearest_square(blocks, 2, "x").tolist() == [[1000, 7], [3, 60000]]
    assert set(nearest_square(values, 3, "x").ravel()) <= set(values.ravel())
    with pytest.raises(UserError, match="x is 12x7, smaller than 8x8"):
        nearest_square(values, 8, "x")


def test_read_values_keeps_them(tmp_path: Path) -> None:
    deep = np.array([[0, 1, 65535], [300, 40000, 7]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert (read_values(tmp_path / "deep.png") == deep).all()
    palette = Image.fromarray(np.array([[3, 250]], np.uint8), mode="P")
    palette.putpalette(bytes(768))
    palette.save(tmp_path / "ids.png")
    assert read_values(tmp_path / "ids.png").tolist() == [[3, 250]]
    Image.new("RGB", (2, 2)).save(tmp_path / "rgb.png")
    with pytest.raises(UserError, match="3 channels; one is expected"):
        read_values(tmp_path / "rgb.png")
    (tmp_path / "deep.png").write_bytes(b"x")
    with pytest.raises(UserError, match=r"cannot decode the image .*deep\.png: not an image"):
        read_values(tmp_path / "deep.png")
