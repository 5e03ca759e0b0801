"""Odd files in a folder of images: read, refused or named, never passed over in silence."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from bench.core.errors import UserError
from bench.data.find import find_bank, make
from bench.data.images import image_files, read_rgb
from bench.data.task import load_task

RNG = np.random.default_rng(0)


def picture(path: Path, side: int = 16, **save: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path, **save)  # type: ignore[arg-type]
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten images a domain."""
    for domain in ("source", "target"):
        for number in range(10):
            picture(tmp_path / "data" / domain / f"{number}.png")
    return tmp_path / "data"


def task(root: Path):  # type: ignore[no-untyped-def]
    return load_task(f"folder:{root}", 4, 16)


@pytest.mark.parametrize(("train", "test"), [("Train", "Test"), ("TRAIN", "TEST"), ("training", "validation")])
def test_levels_of_other_spelling_hold_out_the_test_images(tmp_path: Path, train: str, test: str) -> None:
    for domain in ("source", "target"):
        for level in (train, test):
            for number in range(6):
                picture(tmp_path / "data" / domain / level / f"{number}.png")
    found = task(tmp_path / "data")
    assert found.label_names == ()
    assert all(name.startswith(train) for name in found.source_train.ids)
    assert all(name.startswith(test) for name in found.source_test.ids) and len(found.source_test) == 6


def test_two_folders_that_mean_the_same_level_are_refused(root: Path) -> None:
    for domain in ("source", "target"):
        for level in ("train", "val", "test"):
            picture(root / domain / level / "x.png")
        for file in (root / domain).glob("*.png"):
            file.rename(root / domain / "train" / file.name)
    with pytest.raises(UserError, match=r"holds test/ and val/, which both mean test; keep one of them"):
        task(root)


def test_other_suffixes_are_read_or_refused_by_name(root: Path) -> None:
    picture(root / "source" / "a.jfif", format="JPEG")
    picture(root / "source" / "b.ppm")
    found = task(root)
    assert len(found.source_train) + len(found.source_test) == 12
    (root / "source" / "c.avif").write_bytes(b"x")
    with pytest.raises(UserError, match=r"kinds that are not read \(\.avif: 1\); convert or remove them"):
        task(root)


def test_folders_of_file_servers_are_no_classes(root: Path) -> None:
    picture(root / "source" / "@eaDir" / "0.png" / "thumb.png")
    assert task(root).label_names == ()


def test_pipes_are_left_out(root: Path) -> None:
    os.mkfifo(root / "source" / "pipe.png")
    assert "pipe.png" not in {path.name for path in image_files(root)}
    assert len(task(root).source_train) + len(task(root).source_test) == 10


def test_a_file_that_is_postscript_inside_is_no_image(tmp_path: Path) -> None:
    file = tmp_path / "samples.png"
    file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 24 24\n%%EndComments\nshowpage\n%%EOF\n")
    with pytest.raises(UserError, match="not an image"):
        read_rgb(file)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def test_a_damaged_exif_says_nothing_about_the_pixels(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    raw = buffer.getvalue()
    at = raw.rindex(b"IEND") - 4
    (tmp_path / "a.png").write_bytes(raw[:at] + chunk(b"eXIf", b"\0\x08\0\x02\x01\x12\0\x03") + raw[at:])
    assert (np.asarray(read_rgb(tmp_path / "a.png")) == pixels).all()


def test_two_megabytes_of_text_or_profile_do_not_hide_the_pixels(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", "a" * 2_000_000, zip=True)
    picture(tmp_path / "text.png", pnginfo=info)
    picture(tmp_path / "profile.png", icc_profile=b"\0" * 2_000_000)
    assert {read_rgb(tmp_path / name).size for name in ("text.png", "profile.png")} == {(16, 16)}


def test_twelve_bits_in_sixteen_are_refused_and_not_black(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(np.full((8, 8), 3000, np.uint16)).save(file)
    with pytest.raises(UserError, match=r"no value above 3000.*if its values have 12 bits multiply them by 16"):
        read_rgb(file)
    Image.fromarray(np.full((8, 8), 3000 * 16, np.uint16)).save(file)
    assert np.asarray(read_rgb(file)).max() == round(3000 * 16 / 257)


def test_all_broken_images_are_named_at_once(root: Path) -> None:
    for number in range(9):
        (root / "source" / f"bad{number}.png").write_bytes(b"no image %d" % number)
    for number in range(3):
        (root / "target" / f"worse{number}.png").write_bytes(b"no image %d" % number)
    with pytest.raises(UserError) as caught:
        task(root)
    said = str(caught.value)
    assert said.count("cannot decode the image") == 10 and "and 2 more images that cannot be read" in said


def test_the_smallest_of_many_small_images_is_named_once(root: Path) -> None:
    for side in (9, 5, 12):
        picture(root / "source" / f"small{side}.png", side)
    with pytest.raises(UserError, match=r"^3 images are too small, the smallest: .*small5\.png is 5x5"):
        task(root)


def test_a_healthy_bank_outlives_an_error_of_reading(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = make(f"folder:{root}")
    images = find_bank(dataset, 16).folder / "images.npy"
    before = images.stat().st_ino
    opened = np.lib.format.open_memmap

    def busy(path: Path, *words: object, **more: object) -> object:
        raise OSError(24, "Too many open files", str(path))

    monkeypatch.setattr(np.lib.format, "open_memmap", busy)
    with pytest.raises(UserError, match="cannot be read"):
        find_bank(dataset, 16)
    monkeypatch.setattr(np.lib.format, "open_memmap", opened)
    assert images.stat().st_ino == before and len(find_bank(dataset, 16).ids) == 20


def test_a_home_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2I_BENCH_CACHE", "~nobody-of-that-name/cache")
    from bench.core.paths import cache_root

    with pytest.raises(UserError, match=r"no such home folder; name a folder with I2I_BENCH_CACHE"):
        cache_root()
