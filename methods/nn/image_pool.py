"""Past translations that a discriminator is shown again."""

from typing import Any

import torch
from torch import Tensor


class ImagePool:
    """The last translations of one domain (Shrivastava et al. 2017; section 4 of the paper).

    While there is room every image is stored and returned; then, with probability 1/2 each, an image is returned as it
    is, or it takes the place of a random stored one, which is returned.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def query(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """(N, C, S, S) -> the same shape, detached."""
        images = images.detach()
        if not self.size:
            return images
        # one draw an image, made together: which stored image it meets, or (the upper half) none
        draws = torch.randint(2 * self.size, (len(images),), generator=rng, device=rng.device).tolist()
        return torch.stack([self._exchange(image, draw) for image, draw in zip(images, draws)])

    def _exchange(self, image: Tensor, draw: int) -> Tensor:
        if len(self.images) < self.size:
            self.images.append(image.clone())
            return image
        if draw >= self.size:
            return image
        old, self.images[draw] = self.images[draw], image.clone()
        return old

    def state_dict(self) -> dict[str, Any]:
        return {"images": list(self.images)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.images = list(state["images"])
