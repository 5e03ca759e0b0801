"""Training augmentation on a whole batch, on the training device."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augment:
    """What happens to a training batch.

    flip           mirror each image with probability 1/2
    load_size      resize to this side, then crop a random window of the original side; None: no crop
    interpolation  of that resize: bilinear or bicubic, antialiased as in PIL

    The bank holds images at the training resolution, so a recipe "resize the file to 143, crop 128" starts from the
    128-pixel image here: same geometry, slightly softer.
    """

    flip: bool = False
    load_size: int | None = None
    interpolation: str = "bilinear"

    def __call__(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """Float (N, C, S, S) in [-1, 1] -> the same shape and range."""
        if self.load_size and self.load_size > images.shape[-1]:
            images = self._resize_and_crop(images, rng)
        if self.flip:
            mirror = torch.from_numpy(rng.random(len(images)) < 0.5).to(images.device)
            images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
        return images

    def _resize_and_crop(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        assert self.load_size is not None
        side = images.shape[-1]
        larger = F.interpolate(images, size=self.load_size, mode=self.interpolation, antialias=True).clamp_(-1, 1)
        corners = rng.integers(0, self.load_size - side + 1, size=(len(images), 2))
        return torch.stack([x[:, top : top + side, left : left + side] for x, (top, left) in zip(larger, corners)])
