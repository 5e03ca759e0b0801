"""The data sets that ship, against their archives read with other means."""

import io
from collections import Counter
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import UserError
from bench.data.dataset import Item
from bench.data.find import make

EMBEDDED = Path(__file__).parent.parent.parent / "datasets" / "embedded"
DIGITS = np.load(EMBEDDED / "mnist5k.npz")


def items_of(name: str) -> list[Item]:
    dataset = make(name)
    root = dataset.embedded()
    assert root is not None
    return dataset.scan(root)


def test_emoji_lists_every_picture_of_the_archive() -> None:
    items = items_of("emoji")
    names = {name for name in ZipFile(EMBEDDED / "emoji64.zip").namelist() if name.endswith(".png")}
    assert {item.file for item in items} == names
    for item in items:
        domain, split, label, file = item.file.split("/")
        assert (item.domain, item.split, item.label) == (domain, split, label)
        assert item.id == item.pair == file.removesuffix(".png")


def test_emoji_at_its_own_size_is_the_picture_itself() -> None:
    dataset, item = make("emoji"), items_of("emoji")[7]
    decoded = Image.open(io.BytesIO(ZipFile(EMBEDDED / "emoji64.zip").read(item.file)))
    loaded = dataset.load(EMBEDDED / "emoji64.zip", item, 64)
    assert (loaded.transpose(1, 2, 0) == np.asarray(decoded)).all()


@pytest.mark.parametrize(
    "name", ["emoji", "ink", "styles", "styles:told", "style_pairs", "fashion", "fashion:boots", "srmnist"]
)
def test_damaged_archive_is_one_line(name: str, tmp_path: Path) -> None:
    dataset = make(name)
    root = dataset.embedded()
    assert root is not None
    half = tmp_path / root.name
    half.write_bytes(root.read_bytes()[: root.stat().st_size // 2])
    with pytest.raises(UserError, match=f"{half}.*restore the (archive|file)"):
        dataset.scan(half)


def test_srmnist_has_the_class_law_of_the_paper() -> None:
    counts = Counter((item.domain, item.split, item.label) for item in items_of("srmnist"))
    for split, each in (("train", 200), ("test", 50)):
        for label in "0123456789":
            assert counts["mnist", split, label] == each
            # zero with probability 1/2, each of 1-9 with probability 1/18
            assert counts["srmnist", split, label] == (9 * each if label == "0" else each)


def test_srmnist_never_uses_a_digit_for_two_purposes() -> None:
    purposes: dict[str, set[tuple[str, str]]] = {}
    for item in items_of("srmnist"):
        purposes.setdefault(item.file, set()).add((item.domain, item.split))
        assert DIGITS["labels"][int(item.file.split("/")[1])] == int(item.label or -1)
    assert len(purposes) == 5000
    assert all(len(purpose) == 1 for purpose in purposes.values())


def test_srmnist_source_is_the_digit_resized() -> None:
    dataset = make("srmnist")
    item = next(item for item in items_of("srmnist") if item.domain == "mnist")
    digit = Image.fromarray(DIGITS["images"][int(item.file.split("/")[1])])
    loaded = dataset.load(EMBEDDED / "mnist5k.npz", item, 32)
    assert (loaded == np.asarray(digit.resize((32, 32), Image.Resampling.BILINEAR))).all()


def turn(image: np.ndarray) -> float:
    """Degrees between the main axis of the ink and the vertical, from second moments."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    ink = image / image.sum()
    dx, dy = x - (ink * x).sum(), y - (ink * y).sum()
    angle = 0.5 * np.arctan2(2 * (ink * dx * dy).sum(), (ink * (dy**2 - dx**2)).sum())
    return float(np.degrees(angle))


def test_srmnist_targets_are_turned_by_up_to_15_degrees_and_moved() -> None:
    dataset, angles, centres = make("srmnist"), [], []
    ones = [item for item in items_of("srmnist") if item.domain == "srmnist" and item.label == "1"]
    for item in ones:  # the only digit whose axis is sharp enough to measure its turn
        digit = DIGITS["images"][int(item.file.split("/")[1])].astype(float)
        image = dataset.load(EMBEDDED / "mnist5k.npz", item, 32)[0].astype(float)
        if image[[0, -1]].any() or image[:, [0, -1]].any():
            continue  # cut by the crop
        difference = (turn(image) - turn(digit) + 90) % 180 - 90
        angles.append(difference)
        centres.append((image.sum(0) @ np.arange(32) / image.sum()) * 33 / 32)
    # Uniform on [-15, 15]: standard deviation 30/sqrt(12) = 8.66. Crop: 0..9 pixels, so the centre moves over 9.
    assert len(angles) > 150
    assert max(abs(a) for a in angles) < 16.5
    assert np.std(angles) == pytest.approx(8.66, abs=1.2)
    assert abs(np.mean(angles)) < 2
    assert 6 < max(centres) - min(centres) < 13


def test_srmnist_draws_of_one_digit_differ() -> None:
    dataset = make("srmnist")
    zeros = [item for item in items_of("srmnist") if item.domain == "srmnist" and item.label == "0"][:9]
    assert len({item.file for item in zeros}) == 1
    assert len({dataset.load(EMBEDDED / "mnist5k.npz", item, 32).tobytes() for item in zeros}) == 9
