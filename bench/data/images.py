"""Image files -> RGB images -> the squares that a bank holds."""

import os
import stat
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin

from bench.core.errors import UserError

IMAGE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
)  # fmt: skip
# Images that are not read, so that a folder that holds some is not silently smaller than its owner thinks.
OTHER_SUFFIXES = (
    ".avif", ".heic", ".heif", ".jp2", ".j2k", ".jpf", ".jxl", ".psd", ".exr", ".hdr", ".dng", ".cr2", ".nef", ".arw",
    ".raw", ".tga", ".ico", ".svg", ".eps", ".dcm", ".apng",
)  # fmt: skip
# Pillow tries these decoders alone, whatever a file calls itself: no PostScript, no outside program.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
# Folders that file servers and systems put beside images.
NOT_IMAGES = ("@eadir", "@recently-snapshot", "#recycle", "#snapshot", "$recycle.bin", "system volume information",
              "__macosx", "lost+found", "__pycache__")  # fmt: skip
CONTACT_SHEET = "contact-sheet.png"  # all translations side by side, which `bench translate` puts beside them
PngImagePlugin.MAX_TEXT_CHUNK = 64 * 2**20  # bytes of a text or colour profile, of which nothing is kept
PngImagePlugin.MAX_TEXT_MEMORY = 256 * 2**20
DARKEST = 4096  # a 16-bit image whose brightest value is below this holds fewer bits than its file says
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error)


def read_rgb(file: Path | BinaryIO, name: str | None = None) -> Image.Image:
    """Decodes an image file to 8-bit RGB; errors call it `name`.

    Turned upright by its EXIF orientation, where that can be read; of several frames the first; transparency is
    composited on white; 16-bit grey values are divided by 257, so that 65535 becomes 255; CMYK is converted without a
    colour profile.

    Raises UserError where the file is missing, truncated, damaged or of a kind without a known value range.
    """
    name = name or str(file)
    try:
        with Image.open(file, formats=FORMATS) as image:
            image.load()
            return _to_rgb(_upright(image), name)
    except FileNotFoundError:
        raise UserError(f"the image {name} is gone; put it back or prepare the data set again") from None
    except PermissionError:
        raise UserError(f"no permission to read the image {name}; chmod it or remove it") from None
    except (*DAMAGE, Image.DecompressionBombError) as error:
        reason = "not an image" if isinstance(error, Image.UnidentifiedImageError) else str(error).split("\n")[0]
        raise UserError(f"cannot decode the image {name}: {reason}; replace the file or remove it") from None


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, from the start of the file (before it is turned upright); UserError as `read_rgb`."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.size
    except (*DAMAGE, Image.DecompressionBombError):
        return read_rgb(path).size  # which says what is wrong


class TooSmall(UserError):
    """An image is smaller than the resolution that it is wanted at."""

    def __init__(self, message: str, name: str, width: int, height: int) -> None:
        super().__init__(message)
        self.name, self.width, self.height = name, width, height

    def __reduce__(self) -> tuple[type, tuple[str, str, int, int]]:
        return TooSmall, (str(self), self.name, self.width, self.height)


def square(image: Image.Image, resolution: int, name: str) -> np.ndarray:
    """RGB image -> uint8 (3, resolution, resolution) in [0, 255]: the centre square, then one antialiased resize.

    The filter is Pillow's bicubic, whose support grows with the scale (antialiased). Never enlarges: UserError.
    """
    left, top, side = square_box(*image.size, resolution, name)
    if image.size != (side, side):
        image = image.crop((left, top, left + side, top + side))
    if side != resolution:
        image = image.resize((resolution, resolution), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(image, dtype=np.uint8).transpose(2, 0, 1))


def square_box(width: int, height: int, resolution: int, name: str) -> tuple[int, int, int]:
    """left, top and side of the centre square; a UserError where it is smaller than `resolution`."""
    side = min(width, height)
    if side < resolution:
        message = f"the image {name} is {width}x{height}, smaller than {resolution}x{resolution}"
        raise TooSmall(f"{message}; remove it or choose --resolution {side} or less", name, width, height)
    return (width - side) // 2, (height - side) // 2, side


def image_files(folder: Path) -> Iterator[Path]:
    """All image files below `folder`, by their suffix, links followed, hidden files and folders left out.

    Left out too: links to a folder that they lie in, what is no file (pipes, sockets), folders that file servers and
    systems put there (NOT_IMAGES), and the contact sheet of `bench translate`, which would count as one image more.
    Links that leave the data set are refused later (bench.data.scan).
    """
    yield from _files(folder, IMAGE_SUFFIXES)


def unread_images(folder: Path) -> dict[str, int]:
    """How many images of kinds that are not read lie below `folder`, by suffix."""
    return dict(Counter(path.suffix.lower() for path in _files(folder, OTHER_SUFFIXES)))


def _files(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:

    def unreadable(error: OSError) -> None:
        raise UserError(f"cannot read the folder {error.filename}: {error.strerror}; mend it or remove it")

    for place, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
        folders[:] = sorted(n for n in folders if _may_hold_images(n) and not _is_loop(Path(place, n)))
        for name in sorted(names):
            path = Path(place, name)
            if name.lower().endswith(suffixes) and not (
                name.startswith(".") or name == CONTACT_SHEET or _is_special(path)
            ):
                yield path


def _may_hold_images(folder: str) -> bool:
    return not folder.startswith(".") and folder.lower() not in NOT_IMAGES


def _is_special(path: Path) -> bool:
    """Whether it is a pipe, a socket or a device, which can be waited for without end; a dangling link is not."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _is_loop(folder: Path) -> bool:
    """Whether a link leads to a folder that it lies in."""
    target, place = os.path.realpath(folder), os.path.realpath(folder.parent)
    return folder.is_symlink() and os.path.commonpath([target, place]) == target


def _upright(image: Image.Image) -> Image.Image:
    """Turned by its EXIF orientation; as it is where that is damaged, which says nothing about the pixels."""
    try:
        return ImageOps.exif_transpose(image)
    except DAMAGE:
        return image


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _from_16_bit(image, name)
    if image.mode == "F":
        raise UserError(f"the image {name} holds floating-point values of unknown range; store it with 8 or 16 bits")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _from_16_bit(image: Image.Image, name: str) -> Image.Image:
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise UserError(f"the image {name} holds 32-bit values of unknown range; store it with 8 or 16 bits")
    if 0 < values.max() < DARKEST:
        bits = max(8, int(values.max()).bit_length())
        raise UserError(
            f"the image {name} has 16 bits, but no value above {values.max()}, so it would be almost black; if its "
            f"values have {bits} bits multiply them by {2 ** (16 - bits)}, else store it with 8 bits"
        )
    return Image.fromarray(np.rint(values / 257).astype(np.uint8)).convert("RGB")
