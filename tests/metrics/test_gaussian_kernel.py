import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import rbf_kernel

from bench.metrics import Images, Outputs, Reference, evaluate, weights
from bench.metrics.gaussian_kernel import gaussian, mean_squared_distance, variance_of_features
from bench.metrics.kernel import kernel_distance


def test_mmd_with_sklearns_kernel(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(12, 6)), rng.normal(0.5, 1, size=(9, 6))
    variance = mean_squared_distance(y)
    pairs = [((a - b) ** 2).sum() for i, a in enumerate(y) for j, b in enumerate(y) if i != j]
    assert variance == pytest.approx(np.mean(pairs), rel=1e-12)

    xx, yy, xy = (rbf_kernel(a, b, gamma=1 / (2 * variance)) for a, b in ((x, x), (y, y), (x, y)))
    inside = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (xx, yy)]
    found = kernel_distance(x, y, gaussian(variance))
    assert found.value == pytest.approx(sum(inside) - 2 * xy.mean(), rel=1e-9)
    less = kernel_distance(x[1:], y, gaussian(variance)).value
    assert found.without_x[0] == pytest.approx(less, rel=1e-9)


def test_mean_variance_and_its_jackknife(rng: np.random.Generator) -> None:
    x = rng.normal(size=(20, 4)) * [1, 2, 3, 4]
    value, low, high = variance_of_features(x)
    assert value == pytest.approx(np.mean([np.var(x[:, i], ddof=1) for i in range(4)]), rel=1e-12)
    without = np.array([np.delete(x, i, 0).var(0, ddof=1).mean() for i in range(20)])
    half = 1.959964 * np.sqrt(19 / 20 * ((without - without.mean()) ** 2).sum())
    assert (low, high) == pytest.approx((value - half, value + half), rel=1e-6)


class Archive(torch.nn.Module):
    """Parameters under dotted names, as OpenAI's TorchScript archives of CLIP hold them."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        super().__init__()
        for name, tensor in state.items():
            *path, last = name.split(".")
            module: torch.nn.Module = self
            for step in path:
                if not hasattr(module, step):
                    module.add_module(step, torch.nn.Module())
                module = getattr(module, step)
            module.register_buffer(last, tensor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_cmmd_through_torch_fidelitys_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    """A random one of OpenAI's file format stands in for the 900 MB; the number is that of sklearn's kernel."""
    from torch_fidelity.feature_extractor_clip import CLIPVisual, FeatureExtractorCLIP

    torch.manual_seed(0)
    state = {**CLIPVisual(768, 336, 1, 64, 14).state_dict(), "text_projection": torch.zeros(8, 768)}
    path = tmp_path / weights.entry("clip-vit-l-14-336px").file
    torch.jit.script(Archive(state)).save(str(path))
    known = replace(weights.entry("clip-vit-l-14-336px"), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setitem(weights.WEIGHTS, "clip-vit-l-14-336px", known)
    monkeypatch.setenv("I2I_BENCH_WEIGHTS", str(tmp_path))

    made, real = rng.integers(0, 256, (2, 5, 3, 32, 32), dtype=np.uint8)
    labels = np.full(5, -1)
    images = Images(real, labels)
    found = evaluate(Outputs(made, labels), Reference(images, images, images), ["cmmd"])["cmmd"]
    network = FeatureExtractorCLIP("clip-vit-l-14-336px", ["clip"], feature_extractor_weights_path=str(path))
    x, y = (network(torch.from_numpy(a))[0].double().numpy() for a in (made, real))
    x, y = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, y))
    xx, yy, xy = (rbf_kernel(a, b, gamma=1 / 200) for a, b in ((x, x), (y, y), (x, y)))
    expected = (xx.sum() - 5) / 20 + (yy.sum() - 5) / 20 - 2 * xy.mean()
    assert found.value == pytest.approx(expected, abs=1e-9)
    assert expected != pytest.approx(0, abs=1e-8)
