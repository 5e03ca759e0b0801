"""fd_dinov2 through torch.hub's folder: a small network in the place of Meta's stands in for the 1.2 GB."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from bench.core.errors import UserError
from bench.metrics import Images, Outputs, Reference, Value, evaluate, weights
from bench.metrics.frechet import frechet_distance

HUBCONF = """
import torch

dependencies = ["torch"]

def dinov2_vitl14(pretrained=True, **_):
    url = "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth"
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(48, 1024))
    network.load_state_dict(torch.hub.load_state_dict_from_url(url, map_location="cpu"))
    return network
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub"
    (folder / "checkpoints").mkdir(parents=True)
    return folder


def measured(made: np.ndarray, real: np.ndarray) -> Value:
    labels = np.full(len(real), -1)
    images = Images(real, labels)
    return evaluate(Outputs(made, labels), Reference(images, images, images), ["fd_dinov2"])["fd_dinov2"]


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 6, 3, 32, 32), dtype=np.uint8)


def install(hub: Path) -> dict[str, torch.Tensor]:
    code = hub / "facebookresearch_dinov2_main"
    code.mkdir()
    (code / "hubconf.py").write_text(HUBCONF)
    torch.manual_seed(0)
    state = {"2.weight": torch.randn(1024, 48), "2.bias": torch.randn(1024)}
    torch.save(state, weights.location("dinov2-vit-l-14"))
    return state


def test_number_is_the_distance_of_the_networks_features(hub: Path, pixels: np.ndarray) -> None:
    state = install(hub)
    found = measured(*pixels)

    def features(images: np.ndarray) -> np.ndarray:
        large = interpolate_bilinear_2d_like_tensorflow1x(
            torch.from_numpy(images).float(), size=(224, 224), align_corners=False
        )
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        pooled = torch.nn.functional.adaptive_avg_pool2d((large / 255 - mean) / std, 4).flatten(1)
        return (pooled @ state["2.weight"].T + state["2.bias"]).double().numpy()

    assert found.value == pytest.approx(frechet_distance(features(pixels[0]), features(pixels[1])), rel=1e-4)
    assert (found.n_gen, found.n_ref) == (6, 6)


def test_without_code_or_weights_there_is_no_number(hub: Path, pixels: np.ndarray) -> None:
    assert "torch.hub.load" in str(measured(*pixels).reason)
    torch.save({}, weights.location("dinov2-vit-l-14"))
    assert "facebookresearch_dinov2_main" in str(measured(*pixels).reason)


class Trojan:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.mark),)


def test_a_file_with_code_in_it_is_refused_and_not_run(hub: Path, pixels: np.ndarray, tmp_path: Path) -> None:
    install(hub)
    mark = tmp_path / "was run"
    weights.location("dinov2-vit-l-14").write_bytes(pickle.dumps(Trojan(mark)))
    with pytest.raises(UserError, match="holds more than tensors"):
        measured(*pixels)
    assert not mark.exists()
