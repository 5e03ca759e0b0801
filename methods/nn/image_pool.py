"""Past translations that a discriminator is shown again."""

from typing import Any

import torch
from torch import Tensor


class ImagePool:
    """The last translations of one domain (Shrivastava et al. 2017; section 4 of the paper).

    While there is room every image is stored and returned; then, with probability 1/2 each, an image is returned as it
    is, or it takes the place of a random stored one, which is returned. Draws and images stay on the device, so that
    nobody waits for a GPU.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.count = 0  # images that are stored
        self.images: Tensor | None = None  # (size, C, H, W), the first `count` of them in use

    def query(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """(N, C, S, S) -> the same shape, detached."""
        images = images.detach()
        if not self.size:
            return images
        stored = self._room(images)
        # one draw an image, made together: which stored image it meets, or (the upper half) none
        draws = torch.randint(2 * self.size, (len(images), 1), generator=rng, device=rng.device)
        free = min(len(images), self.size - self.count)
        stored[self.count : self.count + free] = images[:free]
        self.count += free
        later = zip(images[free:].split(1), draws[free:])
        return torch.cat([images[:free], *(self._exchanged(stored, image, draw) for image, draw in later)])

    def _room(self, images: Tensor) -> Tensor:
        if self.images is None:
            self.images = images.new_zeros((self.size, *images.shape[1:]))
        self.images = self.images.to(images.device)  # a checkpoint comes on the CPU
        return self.images

    def _exchanged(self, stored: Tensor, image: Tensor, draw: Tensor) -> Tensor:
        """The image (1, C, H, W), or the stored one that its draw (1,) names, whose place it takes."""
        place = draw.remainder(self.size)
        old, kept = stored[place], (draw >= self.size)[:, None, None, None]
        stored.index_copy_(0, place, torch.where(kept, old, image))
        return torch.where(kept, image, old)

    def state_dict(self) -> dict[str, Any]:
        return {"images": [] if self.images is None else list(self.images[: self.count])}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count, self.images = len(state["images"]), None
        if self.count:
            first = state["images"][0]
            self.images = first.new_zeros((self.size, *first.shape))
            self.images[: self.count] = torch.stack(state["images"])
