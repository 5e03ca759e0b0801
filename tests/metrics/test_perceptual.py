"""LPIPS against the lpips package's own forward pass; any trunk will do for that, so it is a random one."""

import hashlib
from dataclasses import replace
from pathlib import Path

import lpips
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import alexnet

from bench.metrics import Images, Outputs, Reference, evaluate, weights
from bench.metrics.perceptual import Lpips, choose_pairs, load


@pytest.fixture
def trunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    tensors = {f"features.{k}": v for k, v in alexnet().features.state_dict().items()}
    path = tmp_path / weights.entry("lpips-alex").file
    save_file(tensors, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(weights.WEIGHTS, "lpips-alex", replace(weights.entry("lpips-alex"), sha256=sha256))
    monkeypatch.setenv("I2I_BENCH_WEIGHTS", str(tmp_path))
    return tensors


@pytest.fixture
def theirs(trunk: dict[str, torch.Tensor]) -> lpips.LPIPS:
    model = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    layers = [layer for part in model.net.children() for layer in part.children() if hasattr(layer, "weight")]
    with torch.no_grad():
        for layer, number in zip(layers, (0, 3, 6, 8, 10), strict=True):
            layer.weight.copy_(trunk[f"features.{number}.weight"])
            layer.bias.copy_(trunk[f"features.{number}.bias"])
    return model


def distance(model: lpips.LPIPS, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        found = model(*(torch.from_numpy(x).float() / 255 for x in (a, b)), normalize=True)
    return found.flatten().double().numpy()


@pytest.mark.parametrize("side", [31, 64])
def test_to_partners_is_the_packages_lpips(theirs: lpips.LPIPS, rng: np.random.Generator, side: int) -> None:
    a, b, c = rng.integers(0, 256, (3, 20, 3, side, side), dtype=np.uint8)
    to_b, to_c = Lpips("cpu").to_partners(a, [b, c], lambda _: None)
    np.testing.assert_allclose(to_b, distance(theirs, a, b), rtol=1e-4)
    np.testing.assert_allclose(to_c, distance(theirs, a, c), rtol=1e-4)


def test_diversity_is_the_mean_over_all_pairs(theirs: lpips.LPIPS, rng: np.random.Generator) -> None:
    several = rng.integers(0, 256, (2, 10, 3, 32, 32), dtype=np.uint8)
    first, second = np.triu_indices(10, 1)
    assert len(first) == 45
    expected = [distance(theirs, images[first], images[second]).mean() for images in several]
    found = Lpips("cpu").pairs(several, lambda _: None)
    assert found.shape == (2, 45)
    np.testing.assert_allclose(found.mean(1), expected, rtol=1e-4)
    np.testing.assert_allclose(found[0, :9], distance(theirs, several[0, [0] * 9], several[0, 1:]), rtol=1e-4)


def test_nineteen_pairs_are_different_pairs_and_the_same_in_every_order(
    theirs: lpips.LPIPS, rng: np.random.Generator
) -> None:
    several = rng.integers(0, 256, (10, 3, 32, 32), dtype=np.uint8)
    chosen = choose_pairs(several)
    assert len(set(chosen.tolist())) == 19 and 0 <= chosen.min() <= chosen.max() < 45
    pairs = np.stack(np.triu_indices(10, 1), 1)
    order = rng.permutation(10)
    again = {frozenset(order[pair].tolist()) for pair in pairs[choose_pairs(several[order])]}
    assert again == {frozenset(pair.tolist()) for pair in pairs[chosen]}
    assert set(choose_pairs(rng.integers(0, 256, (10, 3, 8, 8), dtype=np.uint8))) != set(chosen)

    made = Outputs(several, np.full(10, -1), diverse=several[None])
    bare = Images(several[:2], np.full(2, -1))
    value = evaluate(made, Reference(bare, bare, bare), ["lpips_diversity_19_pairs"])["lpips_diversity_19_pairs"]
    expected = distance(theirs, several[pairs[chosen, 0]], several[pairs[chosen, 1]]).mean()
    assert (value.value, value.n_gen, value.n_ref) == (pytest.approx(expected, rel=1e-4), 1, 10)


def test_equal_images_are_at_zero(trunk: dict[str, torch.Tensor], rng: np.random.Generator) -> None:
    a = rng.integers(0, 256, (1, 3, 32, 32), dtype=np.uint8)
    before = torch.get_rng_state()
    model = Lpips("cpu")
    assert torch.equal(torch.get_rng_state(), before)
    assert model.to_partners(a, [a], lambda _: None)[0] == pytest.approx(0, abs=1e-10)
    assert model.pairs(np.repeat(a[None], 10, axis=1), lambda _: None) == pytest.approx(0, abs=1e-10)


def test_without_the_trunk_it_is_missing_and_never_random() -> None:
    with pytest.raises(weights.MissingWeights, match="python -m bench weights get lpips-alex"):
        load("alex", "cpu")
