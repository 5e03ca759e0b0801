"""The pool of past translations: against the published loop, through a checkpoint, and without waiting for a GPU."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bench.methods.nn.image_pool import ImagePool


def published(stored: list[Tensor], size: int, images: Tensor, draws: list[int]) -> Tensor:
    """One image after another, as the paper's code does it; a draw names a stored image, or none from `size` on."""
    shown = []
    for image, draw in zip(images, draws):
        if len(stored) < size:
            stored.append(image.clone())
            shown.append(image)
        elif draw >= size:
            shown.append(image)
        else:
            shown.append(stored[draw])
            stored[draw] = image.clone()
    return torch.stack(shown)


@pytest.mark.parametrize("batch", [1, 4, 7])
def test_it_does_what_the_published_loop_does(batch: int) -> None:
    stored: list[Tensor] = []
    pool, size = ImagePool(5), 5
    rng, again = (torch.Generator().manual_seed(3) for _ in range(2))
    for number in range(30):
        images = torch.randn(batch, 3, 2, 2, generator=torch.Generator().manual_seed(number))
        draws = torch.randint(2 * size, (batch,), generator=again).tolist()
        assert torch.equal(pool.query(images, rng), published(stored, size, images, draws))
    assert torch.equal(torch.stack(pool.state_dict()["images"]), torch.stack(stored))


@pytest.mark.parametrize("rounds", [0, 1, 4])
def test_it_goes_on_from_its_state_as_if_nothing_had_happened(rounds: int) -> None:
    whole, rng = ImagePool(5), torch.Generator().manual_seed(0)
    images = torch.randn(20, 2, 3, 1, 1)
    for batch in images[:rounds]:
        whole.query(batch, rng)
    again, other = ImagePool(5), torch.Generator()
    again.load_state_dict(copy.deepcopy(whole.state_dict()))
    other.set_state(rng.get_state())
    for batch in images[rounds:]:
        assert torch.equal(whole.query(batch, rng), again.query(batch, other))


class NoWait(TorchDispatchMode):
    """Fails where a value is fetched from the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.overloadpacket is not torch.ops.aten._local_scalar_dense, "a value is fetched"
        return func(*args, **(kwargs or {}))


def test_no_value_is_fetched_from_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tensor, "tolist", None)
    pool, rng = ImagePool(3), torch.Generator()
    with NoWait():
        for _ in range(4):
            pool.query(torch.zeros(2, 1, 1, 1), rng)
