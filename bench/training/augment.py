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
        return self.draw(len(images), images.shape[-1], rng)(images)

    def draw(self, n: int, side: int, rng: np.random.Generator) -> "Views":
        """What shall happen to each of n images of this side."""
        boxes = self._boxes(n, side, rng) if self.crop_scale else None
        enlarged = self.load_size if self.load_size and self.load_size > side else None
        corners = rng.integers(0, enlarged - side + 1, size=(n, 2)) if enlarged else None
        mirror = rng.random(n) < 0.5 if self.flip else None
        return Views(self.interpolation, boxes, enlarged, corners, mirror)

    def _boxes(self, n: int, side: int, rng: np.random.Generator) -> np.ndarray:
        """(n, 4): top, left, height, width; of height 0 where an image stays whole."""
        return np.array([self._box(side, rng) if rng.random() < 0.5 else (0, 0, 0, 0) for _ in range(n)])

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


@dataclass(frozen=True)
class Views:
    """What happens to each image of a batch, drawn already; the arrays have a row for each image, None: nothing.

    boxes     (N, 4): top, left, height, width of what is cut out and enlarged; of height 0: the whole image as it is
    enlarged  side to which images are resized before they are cropped at `corners` (N, 2), the tops and lefts
    mirror    (N,) bool
    """

    interpolation: str
    boxes: np.ndarray | None
    enlarged: int | None
    corners: np.ndarray | None
    mirror: np.ndarray | None

    def of(self, rows: np.ndarray) -> "Views":
        """Those of some of the images."""
        boxes, corners, mirror = (x if x is None else x[rows] for x in (self.boxes, self.corners, self.mirror))
        return Views(self.interpolation, boxes, self.enlarged, corners, mirror)

    def __call__(self, images: Tensor) -> Tensor:
        """Float (N, C, S, S) in [-1, 1] -> the same shape and range."""
        if self.boxes is not None:
            images = torch.stack([self._box_of(image, box) for image, box in zip(images, self.boxes.tolist())])
        if self.enlarged:
            return self._windows(images, self.enlarged)
        if self.mirror is not None:
            mirror = on_device(self.mirror, images.device)
            images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
        return images

    def _box_of(self, image: Tensor, box: list[int]) -> Tensor:
        top, left, height, width = box
        if not height:
            return image
        return self._resized(image[None, :, top : top + height, left : left + width], image.shape[-1])[0].clamp_(-1, 1)

    def _windows(self, images: Tensor, enlarged: int) -> Tensor:
        """Enlarges all images in one call, then copies each window once: cropped, mirrored, in range."""
        assert self.corners is not None
        side, larger = images.shape[-1], self._resized(images, enlarged)
        mirror = [False] * len(images) if self.mirror is None else self.mirror.tolist()
        found = []
        for image, (top, left), mirrored in zip(larger, self.corners.tolist(), mirror):
            window = image[:, top : top + side, left : left + side]
            found.append(window.flip(-1) if mirrored else window)
        return torch.stack(found).clamp_(-1, 1)

    def _resized(self, images: Tensor, side: int) -> Tensor:
        if self.interpolation == "nearest":
            return F.interpolate(images, size=side, mode="nearest-exact")
        return F.interpolate(images, size=side, mode=self.interpolation, antialias=True)
