"""The random views of contrastive learning, for a whole batch, on the device.

Every image has its own draws. They come from a numpy generator on the host, so they are the same on every device.
"""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Views = Literal["code", "paper"]
TILES = 8  # a side, of the shuffled grid


def augment(images: Tensor, rng: np.random.Generator, views: Views, mirror: bool = True) -> Tensor:
    """Images (N, 3, S, S) in [0, 1] -> one random view of each, same shape and range, in float32 under autocast too.

    code   crop, flip, colour jitter, blur: what the public code does (its greyscale is misspelt and never applied)
    paper  crop, flip, shuffled tiles: the paper asks for augmentations that distort content only, not colours

    Without `mirror`, which is a fact of the data set, no view is mirrored.
    """
    with torch.autocast(images.device.type, enabled=False):
        images = crop_and_flip(images.float(), rng, mirror)
        if views == "paper":
            return shuffle_tiles(images, rng)
        return blur(colour_jitter(images, rng), rng)


def crop_and_flip(images: Tensor, rng: np.random.Generator, mirror: bool = True) -> Tensor:
    """A random window of 8 to 100 % of the area and a side ratio of 3/4 to 4/3, resized back; half are mirrored, where
    the data set allows it (`mirror`)."""
    n, side = len(images), images.shape[-1]
    top, left, height, width = windows(n, side, rng).T / side
    sign = np.where(rng.random(n) < 0.5, -1.0, 1.0) if mirror else np.ones(n)
    theta = np.zeros((n, 2, 3), dtype=np.float32)
    theta[:, 0, 0], theta[:, 0, 2] = width * sign, 2 * left + width - 1
    theta[:, 1, 1], theta[:, 1, 2] = height, 2 * top + height - 1
    grid = F.affine_grid(torch.from_numpy(theta).to(images.device), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def windows(n: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """int64 (n, 4): top, left, height, width of RandomResizedCrop's windows in a square image.

    Area and log ratio are uniform; the first of ten draws that fits is taken, else the whole image.
    """
    area = rng.uniform(0.08, 1.0, (n, 10)) * side**2
    ratio = np.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3), (n, 10)))
    sizes = np.stack([np.rint(np.sqrt(area / ratio)), np.rint(np.sqrt(area * ratio))], axis=2).astype(np.int64)
    fits = np.logical_and.reduce((sizes >= 1) & (sizes <= side), axis=2)
    first = fits.argmax(1)  # 0 where none fits
    size = np.where(fits[np.arange(n), first][:, None], sizes[np.arange(n), first], side)
    corner = np.floor(rng.random((n, 2)) * (side - size + 1)).astype(np.int64)
    return np.concatenate([corner, size], axis=1)


def shuffle_tiles(images: Tensor, rng: np.random.Generator, probability: float = 0.6) -> Tensor:
    """The tiles of an 8 x 8 grid in random order; S must be a multiple of 8."""
    n, c, side, _ = images.shape
    tile = side // TILES
    order = np.tile(np.arange(TILES**2), (n, 1))
    chosen = rng.random(n) < probability
    order[chosen] = rng.permuted(order[chosen], axis=1)
    tiles = images.reshape(n, c, TILES, tile, TILES, tile).permute(0, 2, 4, 1, 3, 5).reshape(n, TILES**2, c, tile, tile)
    index = torch.from_numpy(order).to(images.device)[:, :, None, None, None].expand_as(tiles)
    mixed = tiles.gather(1, index).reshape(n, TILES, TILES, c, tile, tile)
    return mixed.permute(0, 3, 1, 4, 2, 5).reshape(n, c, side, side)


def colour_jitter(images: Tensor, rng: np.random.Generator, probability: float = 0.8) -> Tensor:
    """Brightness, contrast and saturation times U(0.2, 1.8) and hue plus U(-0.2, 0.2) turns, in random order."""
    n = len(images)
    chosen = rng.random(n) < probability
    order = rng.permuted(np.tile(np.arange(4), (n, 1)), axis=1)
    amount = np.concatenate([rng.uniform(0.2, 1.8, (n, 3)), rng.uniform(-0.2, 0.2, (n, 1))], axis=1)
    amounts = torch.from_numpy(amount).to(images)
    images = images.clone()
    operations: list[Callable[[Tensor, Tensor], Tensor]] = [brightness, contrast, saturation, hue]
    for turn in range(4):
        for which, operation in enumerate(operations):
            rows = torch.from_numpy(np.flatnonzero(chosen & (order[:, turn] == which))).to(images.device)
            if len(rows):
                images[rows] = operation(images[rows], amounts[rows, which, None, None, None])
    return images


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    return (images * factor).clamp(0, 1)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    return (images * factor + (1 - factor) * _grey(images).mean((2, 3), keepdim=True)).clamp(0, 1)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    return (images * factor + (1 - factor) * _grey(images)).clamp(0, 1)


def hue(images: Tensor, turns: Tensor) -> Tensor:
    """Rotates the hue by a part of a turn: RGB -> HSV -> RGB. A single channel has no hue."""
    if images.shape[1] == 1:
        return images
    value, _ = images.max(1, keepdim=True)
    chroma = value - images.amin(1, keepdim=True)
    red, green, blue = images.split(1, dim=1)
    safe = chroma.clamp_min(1e-8)
    sector = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    sector = sector + 6 * turns
    # each channel is value minus chroma times a trapezium of the hue (the closed form of HSV -> RGB)
    offset = torch.tensor([5.0, 3.0, 1.0], device=images.device, dtype=images.dtype)[None, :, None, None]
    k = (offset + sector) % 6
    return value - chroma * torch.minimum(k, 4 - k).clamp(0, 1)


def blur(images: Tensor, rng: np.random.Generator, probability: float = 0.5) -> Tensor:
    """Gaussian blur, sigma U(0.1, 2) pixels. The kernel is int(0.1 S - 1) wide, made odd (the code fails on even)."""
    n, c, side, _ = images.shape
    chosen = np.flatnonzero(rng.random(n) < probability)
    sigma = rng.uniform(0.1, 2.0, n)[chosen]
    half = max(int(0.1 * side - 1), 0) // 2
    if half == 0 or len(chosen) == 0:
        return images
    rows = torch.from_numpy(chosen).to(images.device)
    kernel = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * sigma[:, None] ** 2))
    weight = torch.from_numpy(kernel / kernel.sum(1, keepdims=True)).to(images).repeat_interleave(c, dim=0)
    flat = F.pad(images[rows].reshape(1, -1, side, side), [half] * 4, mode="reflect")
    flat = F.conv2d(flat, weight[:, None, :, None], groups=len(weight))
    flat = F.conv2d(flat, weight[:, None, None, :], groups=len(weight))
    images = images.clone()
    images[rows] = flat.reshape(len(rows), c, side, side)
    return images


def _grey(images: Tensor) -> Tensor:
    """Luma of ITU-R 601, (N, 1, H, W)."""
    return (images * torch.tensor([0.299, 0.587, 0.114]).to(images)[None, :, None, None]).sum(1, keepdim=True)
