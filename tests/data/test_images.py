"""Every kind of image file that people have, written by the test itself."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import UserError
from bench.data.images import CONTACT_SHEET, image_files, read_rgb, square


def pixel(path: Path, x: int = 0, y: int = 0) -> tuple[int, ...]:
    image = read_rgb(path)
    assert image.mode == "RGB"
    value = image.getpixel((x, y))
    assert isinstance(value, tuple)
    return value


def png_16_bit(values: list[int]) -> bytes:
    """A grey PNG of one row with 16 bits a sample, byte by byte after the PNG specification."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", len(values), 1, 16, 0, 0, 0, 0))
    row = b"\0" + b"".join(struct.pack(">H", value) for value in values)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")


def test_16_bit_is_scaled_not_clipped(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    path.write_bytes(png_16_bit([0, 257, 32896, 65535]))
    assert [pixel(path, x) for x in range(4)] == [(0,) * 3, (1,) * 3, (128,) * 3, (255,) * 3]


def test_16_bit_tiff(tmp_path: Path) -> None:
    path = tmp_path / "deep.tif"
    Image.fromarray(np.full((2, 2), 32896, dtype=np.uint16)).save(path)
    assert pixel(path) == (128, 128, 128)


@pytest.mark.parametrize("values", [np.full((2, 2), 70_000, np.int32), np.full((2, 2), 0.5, np.float32)])
def test_unknown_value_range_is_an_error(tmp_path: Path, values: np.ndarray) -> None:
    Image.fromarray(values).save(tmp_path / "strange.tif")
    with pytest.raises(UserError, match=r"strange\.tif .* unknown range"):
        read_rgb(tmp_path / "strange.tif")


def test_cmyk(tmp_path: Path) -> None:
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "red.tif")  # no cyan, all magenta and yellow: red
    assert pixel(tmp_path / "red.tif") == (255, 0, 0)


def test_palette(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    image.save(tmp_path / "palette.png")
    assert [pixel(tmp_path / "palette.png", x) for x in (0, 1)] == [(10, 20, 30), (40, 50, 60)]
    image.save(tmp_path / "clear.png", transparency=0)
    assert [pixel(tmp_path / "clear.png", x) for x in (0, 1)] == [(255, 255, 255), (40, 50, 60)]


def test_transparency_is_composited_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (255, 0, 0, 51)).save(tmp_path / "glass.png")  # a fifth of red over white
    assert pixel(tmp_path / "glass.png") == (255, 204, 204)
    Image.new("LA", (2, 2), (0, 0)).save(tmp_path / "nothing.png")
    assert pixel(tmp_path / "nothing.png") == (255, 255, 255)


def test_grey(tmp_path: Path) -> None:
    Image.new("L", (2, 2), 77).save(tmp_path / "grey.png")
    assert pixel(tmp_path / "grey.png") == (77, 77, 77)
    Image.new("1", (2, 2), 1).save(tmp_path / "bit.png")
    assert pixel(tmp_path / "bit.png") == (255, 255, 255)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_animation_gives_its_first_frame(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"film.{suffix}"
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)  # only WebP looks at lossless
    assert pixel(path) == (255, 0, 0)


@pytest.mark.parametrize("deep", [False, True])
def test_exif_orientation(tmp_path: Path, deep: bool) -> None:
    values = np.array([[0, 65535]], dtype=np.uint16) if deep else np.array([[0, 255]], dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown rotated by 90 degrees clockwise
    Image.fromarray(values).save(tmp_path / "turned.png", exif=exif)
    upright = np.asarray(read_rgb(tmp_path / "turned.png"))[:, :, 0]
    assert upright.tolist() == [[0], [255]]


@pytest.mark.parametrize("keep", [0, 5, 30, 60, 400])
def test_truncated_png_is_named(tmp_path: Path, keep: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, format="PNG")
    (tmp_path / "half.png").write_bytes(buffer.getvalue()[:keep])
    with pytest.raises(UserError, match=r"half\.png.*replace the file or remove it") as caught:
        read_rgb(tmp_path / "half.png")
    assert "\n" not in str(caught.value)


def test_text_is_not_an_image(tmp_path: Path) -> None:
    (tmp_path / "letter.png").write_text("Dear all")
    with pytest.raises(UserError, match=r"letter\.png: not an image"):
        read_rgb(tmp_path / "letter.png")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.png is gone"):
        read_rgb(tmp_path / "gone.png")


def test_square_crops_the_centre_before_it_resizes() -> None:
    image = Image.new("RGB", (12, 4), "blue")
    image.paste((255, 0, 0), (4, 0, 8, 4))
    for side in (4, 2):
        pixels = square(image, side, "x")
        assert pixels.shape == (3, side, side)
        assert pixels.dtype == np.uint8
        assert (pixels[0] == 255).all()
        assert not pixels[1:].any()


def test_square_is_antialiased() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255  # the finest stripes there are: only their mean survives at an eighth of the size
    inner = square(Image.fromarray(stripes), 8, "x")[:, 1:-1, 1:-1].astype(int)
    assert abs(inner - 127.5).max() < 8


def test_square_never_enlarges() -> None:
    with pytest.raises(UserError, match=r"tiny\.png is 40x30, smaller than 32x32; .*--resolution 30"):
        square(Image.new("RGB", (40, 30)), 32, "tiny.png")


def test_image_files_looks_at_suffixes_and_leaves_hidden_things_out(tmp_path: Path) -> None:
    for name in ("b/c/2.JPEG", "a/1.png", "a/notes.txt", ".cache/3.png", "a/._1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [f.relative_to(tmp_path).as_posix() for f in image_files(tmp_path)] == ["a/1.png", "b/c/2.JPEG"]


def test_a_contact_sheet_is_no_image_of_its_folder(tmp_path: Path) -> None:
    """`bench translate` writes one beside the translations, and they are what is measured next."""
    for name in ("a.png", CONTACT_SHEET):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    assert list(image_files(tmp_path)) == [tmp_path / "a.png"]


def test_image_files_names_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read the folder .*gone"):
        list(image_files(tmp_path / "gone"))
