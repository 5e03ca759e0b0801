"""The metrics of the other direction are those of the first one with the domains exchanged."""

import numpy as np
import pytest

from bench.metrics import Images, Outputs, Reference, evaluate


def test_the_other_direction_is_the_first_with_the_domains_exchanged(rng: np.random.Generator) -> None:
    sources, target, made, back = (rng.integers(low, 200, (8, 3, 32, 32), dtype=np.uint8) for low in (0, 30, 60, 90))
    none = np.full(8, -1)
    nothing = Images(target[:0], none[:0])

    def reference(pixels: np.ndarray) -> Reference:
        return Reference(Images(pixels, none[: len(pixels)]), nothing, nothing)

    both = Outputs(made, none, sources=sources, backward=back[:6])
    found = evaluate(both, reference(target), ["kd_effnet_back", "fd_effnet_back"])
    exchanged = evaluate(Outputs(back[:6], none[:6]), reference(sources), ["kd_effnet", "fd_effnet"])
    for name in ("kd_effnet", "fd_effnet"):
        there, here = exchanged[name], found[f"{name}_back"]
        assert here.value == pytest.approx(there.value, rel=1e-9)
        assert (here.n_gen, here.n_ref) == (6, 8)


def test_a_method_of_one_direction_has_a_reason(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)
    images = Images(pixels, np.full(4, -1))
    found = evaluate(
        Outputs(pixels, images.labels, sources=pixels), Reference(images, images, images), ["kd_effnet_back"]
    )
    assert "one direction only" in str(found["kd_effnet_back"].reason)
