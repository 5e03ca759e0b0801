"""All metrics of one run in one pass, against the separate calls that they replace, on the same networks.

The peers, each as its user would call it: torch-fidelity once for KID, precision and recall, with our
EfficientNet-Lite0 registered as its feature extractor; pytorch-fid's distance, for which its own loop over the files
computes the features of the same network; the lpips package's script over two folders (a pair at a time). 500 generated
against 500 real images of 64 x 64; the cache of features is empty; processor seconds of one thread.

Run it with: pytest tests/benchmarks/test_measuring_speed.py --benchmark-enable -o addopts= -s
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lpips
import numpy as np
import pytest
import torch
import torch_fidelity
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from pytorch_fid.fid_score import calculate_activation_statistics, calculate_frechet_distance
from safetensors.torch import save_file
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torchvision.models import alexnet

from bench.metrics import METRICS, Images, Outputs, Reference, Value, evaluate, weights

pytestmark = pytest.mark.filterwarnings("ignore")  # of the peers

FAMILIES = ("kernel", "frechet", "precision_recall", "density_coverage", "gaussian_kernel")


class EffNet(FeatureExtractorBase):
    """EfficientNet-Lite0 as torch-fidelity wants it: its own layout, its own batches."""

    def __init__(self, name: str, features_list: list[str], **_: object) -> None:
        super().__init__(name, features_list)
        self.network = EfficientNet.from_name("efficientnet-lite0")
        self.network.load_state_dict(torch.load(weights.pretrained_weights("effnet-lite0"), weights_only=True))
        self.eval().requires_grad_(False)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("1280",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "1280"

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        large = torch.nn.functional.interpolate(images.float(), size=(224, 224), mode="bicubic", antialias=True)
        return (self.network.extract_features((large.clamp(0, 255) - 127) / 128).mean((2, 3)),)


class Tensors(torch.utils.data.Dataset):
    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(self.pixels[index])


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """AlexNet's trunk with random weights of the right shape, for both sides."""
    torch_fidelity.register_feature_extractor("effnet-lite0", EffNet)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    path = folder / weights.entry("lpips-alex").file
    save_file({f"features.{k}": v for k, v in alexnet().features.state_dict().items()}, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(weights.WEIGHTS, "lpips-alex", replace(weights.entry("lpips-alex"), sha256=sha256))
        patch.setenv("I2I_BENCH_WEIGHTS", str(folder))
        patch.setenv("I2I_BENCH_CACHE", str(folder / "cache"))
        yield folder


def separate_calls(made: np.ndarray, real: np.ndarray, sources: np.ndarray, folder: Path) -> tuple[dict, dict]:
    """The values of the peers, and the seconds that each took."""
    found: dict[str, float] = {}
    seconds: dict[str, float] = {}

    def timed(name: str, call: Callable[[], dict[str, float]]) -> None:
        start = time.process_time()
        found.update(call())
        seconds[name] = time.process_time() - start

    inputs = {"input1": Tensors(made), "input2": Tensors(real), "cuda": False, "verbose": False}
    inputs |= {"feature_extractor": "effnet-lite0", "batch_size": 64, "cache": False}
    chosen = {"kid": True, "kid_subsets": 1, "kid_subset_size": len(made), "prc": True, "prc_neighborhood": 5}
    timed("kid and prc", lambda: torch_fidelity.calculate_metrics(**inputs, **chosen))
    timed("frechet", lambda: {"frechet": frechet(folder)})
    model = lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
    load_trunk(model, folder)
    timed("lpips", lambda: {"lpips": float(np.mean([pair(model, *files) for files in pairs(folder)]))})
    return found, seconds


class Pooled(torch.nn.Module):
    """EfficientNet-Lite0 as pytorch-fid calls its Inception: images in [0, 1] -> a list of maps (n, 1280, 1, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.network = EffNet("effnet-lite0", ["1280"])

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [self.network(images * 255)[0][:, :, None, None]]


def frechet(folder: Path) -> float:
    """The distance of both folders, by pytorch-fid's own loop over files, statistics and distance."""
    model, found = Pooled(), []
    for name in ("made", "real"):
        files = sorted((folder / name).iterdir())
        found += calculate_activation_statistics(files, model, batch_size=50, dims=1280, device="cpu", num_workers=0)
    return calculate_frechet_distance(*found)


def load_trunk(model: lpips.LPIPS, folder: Path) -> None:
    from bench.metrics.perceptual import load

    model.net.load_state_dict(load("alex", "cpu").net.state_dict())


def pairs(folder: Path) -> list[tuple[str, str]]:
    return [(str(path), str(folder / "sources" / path.name)) for path in sorted((folder / "made").iterdir())]


def pair(model: lpips.LPIPS, first: str, second: str) -> float:
    """As the script does, but for its reader of images, which needs OpenCV."""
    images = (lpips.im2tensor(np.asarray(Image.open(path))) for path in (first, second))
    return float(model.forward(*images))


def save(folder: Path, pixels: np.ndarray) -> None:
    folder.mkdir()
    for i, image in enumerate(pixels):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{i:04}.png")


def test_one_pass_is_three_times_faster_than_separate_calls(benchmark: Any, networks: Path) -> None:
    if benchmark.disabled:
        pytest.skip("a timing; run with --benchmark-enable")
    n = 500
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (3, n, 3, 16, 16), dtype=np.uint8)
    made, real, sources = coarse.repeat(4, axis=-1).repeat(4, axis=-2)
    made = (0.9 * made + 12.75).astype(np.uint8)  # less contrast: apart from `real`, but still overlapping it
    for name, images in (("made", made), ("real", real), ("sources", sources)):
        save(networks / name, images)
    none = np.full(n, -1)
    nothing = Images(real[:0], none[:0])
    outputs, data = Outputs(made, none, sources=sources), Reference(Images(real, none), nothing, nothing)
    names = [
        name
        for name, metric in METRICS.items()
        if metric.compute.__module__.rpartition(".")[2] in FAMILIES and metric.needs == ("effnet-lite0",)
    ] + ["lpips_source"]
    torch.set_num_threads(1)

    began = time.process_time()
    values: dict[str, Value] = benchmark.pedantic(lambda: evaluate(outputs, data, names), rounds=1)
    ours = time.process_time() - began
    found, seconds = separate_calls(made, real, sources, networks)

    # About 0.003. They differ by rounding: of features in batches of other sizes, and of the peer's kernel in float32.
    assert values["kd_effnet"].value == pytest.approx(found["kernel_inception_distance_mean"], rel=1e-3)
    assert values["precision_effnet"].value == pytest.approx(found["precision"], abs=2 / n)
    assert values["recall_effnet"].value == pytest.approx(found["recall"], abs=2 / n)
    assert values["fd_effnet"].value == pytest.approx(found["frechet"], rel=1e-3)
    assert values["lpips_source"].value == pytest.approx(found["lpips"], rel=1e-4)
    ratio = sum(seconds.values()) / ours
    benchmark.extra_info.update(seconds, times_faster=ratio)
    shown = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
    print(f"\n{len(names)} metrics in one pass {ours:.1f} s; {shown}: {ratio:.1f} times as long")
    assert ratio >= 3
