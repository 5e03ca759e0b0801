"""Training augmentation on a whole batch, on the training device."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.training.compute import on_device


@dataclass(frozen=True)
class Augment:
    """What happens to a training batch, in this order.

    crop_scale     (low, high): with probability 1/2 each image is cut to a random box of this share of its area, whose
                   width / height is log-uniform in `crop_ratio`, and enlarged again; None: never
    load_size      resize to this side, then crop a random window of the original side; None: no crop
    interpolation  of both resizes: bilinear or bicubic, antialiased as in PIL; nearest: no value arises that is not in
                   the image, for label maps and depth
    flip           mirror each image with probability 1/2; not where a data set says that this changes what an image is
                   (Dataset.mirror): then the sampler leaves it out, whatever the method asks for

    The bank holds images at the training resolution, so a recipe "resize the file to 143, crop 128" starts from the
    128-pixel image here: same geometry, slightly softer.
    """

    crop_scale: tuple[float, float] | None = None
    crop_ratio: tuple[float, float] = (0.75, 4 / 3)
    load_size: int | None = None
    interpolation: str = "bilinear"
    flip: bool = False

    def __call__(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """Float (N, C, S, S) in [-1, 1] -> the same shape and range."""
        if self.crop_scale:
            images = self._crop_and_resize(images, rng)
        if self.load_size and self.load_size > images.shape[-1]:
            images = self._resize_and_crop(images, rng)
        if self.flip:
            mirror = on_device(rng.random(len(images)) < 0.5, images.device)
            images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
        return images

    def _resize_and_crop(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        assert self.load_size is not None
        side = images.shape[-1]
        larger = self._resized(images, self.load_size)
        corners = rng.integers(0, self.load_size - side + 1, size=(len(images), 2))
        return torch.stack([x[:, top : top + side, left : left + side] for x, (top, left) in zip(larger, corners)])

    def _crop_and_resize(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        side = images.shape[-1]
        cropped = []
        for image in images:
            if rng.random() < 0.5:
                top, left, height, width = self._box(side, rng)
                box = image[None, :, top : top + height, left : left + width]
                image = self._resized(box, side)[0]
            cropped.append(image)
        return torch.stack(cropped)

    def _resized(self, images: Tensor, side: int) -> Tensor:
        if self.interpolation == "nearest":
            return F.interpolate(images, size=side, mode="nearest-exact")
        return F.interpolate(images, size=side, mode=self.interpolation, antialias=True).clamp_(-1, 1)

    def _box(self, side: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """A box of random area and shape inside the image; the whole image if ten draws give none that fits."""
        assert self.crop_scale is not None
        for _ in range(10):
            area = side * side * rng.uniform(*self.crop_scale)
            ratio = np.exp(rng.uniform(np.log(self.crop_ratio[0]), np.log(self.crop_ratio[1])))
            width, height = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
            if 0 < width <= side and 0 < height <= side:
                return int(rng.integers(0, side - height + 1)), int(rng.integers(0, side - width + 1)), height, width
        return 0, 0, side, side
