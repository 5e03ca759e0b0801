"""Image files -> RGB images -> the squares that a bank holds."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from bench.core.errors import UserError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error)


def read_rgb(file: Path | BinaryIO, name: str | None = None) -> Image.Image:
    """Decodes an image file to 8-bit RGB; errors call it `name`.

    Turned upright by its EXIF orientation; of several frames the first; transparency is composited on white; 16-bit
    grey values are divided by 257, so that 65535 becomes 255; CMYK is converted without a colour profile.

    Raises UserError where the file is missing, truncated, damaged or of a kind without a known value range.
    """
    name = name or str(file)
    try:
        with Image.open(file) as image:
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image), name)
    except FileNotFoundError:
        raise UserError(f"the image {name} is gone; put it back or prepare the data set again") from None
    except PermissionError:
        raise UserError(f"no permission to read the image {name}; chmod it or remove it") from None
    except (*DAMAGE, Image.DecompressionBombError) as error:
        reason = "not an image" if isinstance(error, Image.UnidentifiedImageError) else str(error).split("\n")[0]
        raise UserError(f"cannot decode the image {name}: {reason}; replace the file or remove it") from None


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
        raise UserError(
            f"the image {name} is {width}x{height}, smaller than {resolution}x{resolution}; "
            f"remove it or choose --resolution {side} or less"
        )
    return (width - side) // 2, (height - side) // 2, side


def image_files(folder: Path) -> Iterator[Path]:
    """All image files below `folder`, by their suffix, links followed, hidden files and folders left out.

    A link to a folder that it lies in is left out; links that leave the data set are refused later (bench.data.scan).
    """

    def unreadable(error: OSError) -> None:
        raise UserError(f"cannot read the folder {error.filename}: {error.strerror}; mend it or remove it")

    for place, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
        folders[:] = sorted(n for n in folders if not n.startswith(".") and not _is_loop(Path(place, n)))
        for name in sorted(names):
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith("."):
                yield Path(place, name)


def _is_loop(folder: Path) -> bool:
    """Whether a link leads to a folder that it lies in."""
    target, place = os.path.realpath(folder), os.path.realpath(folder.parent)
    return folder.is_symlink() and os.path.commonpath([target, place]) == target


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
    return Image.fromarray(np.rint(values / 257).astype(np.uint8)).convert("RGB")
