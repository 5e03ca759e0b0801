"""Images -> features of pre-trained networks: each image once per network; real images remembered on disk."""

import hashlib
import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.core.errors import UserError
from bench.core.files import write_bytes
from bench.core.paths import cache_root
from bench.metrics import weights
from bench.metrics.data import Pixels

if TYPE_CHECKING:
    import torch

Report = Callable[[str], None]
Forward = Callable[["torch.Tensor"], "torch.Tensor"]

BLOCK = 256  # images that are read at once
BATCH = {"cpu": 16, "cuda": 64}  # with freed memory kept, 16 take less time an image than 4 on a CPU core


@dataclass(frozen=True)
class Extractor:
    """A named feature network. `build(device)` loads it: uint8 (n, 3, R, R) -> float32 (n, dimension)."""

    name: str
    version: int  # raise it when the same image would give other features
    weights: str  # its name in bench.metrics.weights
    dimension: int
    build: Callable[[str], Forward]

    def keys(self, pixels: Pixels) -> tuple[str, list[bytes]]:
        """Names the features of this set by everything that they depend on, and each of its images by its content.

        Reads the images once, block by block.
        """
        digest = hashlib.sha256(
            f"{self.name} {self.version} {weights.sha256(self.weights)} {pixels.shape} {pixels.dtype}".encode()
        )
        images = []
        for start in range(0, len(pixels), BLOCK):
            for image in pixels[start : start + BLOCK]:
                content = image.tobytes()
                digest.update(content)
                images.append(hashlib.sha256(content).digest())
        return digest.hexdigest(), images


def effnet(device: str) -> Forward:
    """EfficientNet-Lite0: the 1,280 channels after the head convolution, averaged over positions.

    Input as the network was trained (its authors' efficientnet_lite_builder): 224 x 224, bicubic, (pixel - 127) / 128.
    Smaller images are enlarged; larger ones are reduced with antialiasing.
    """
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(
        torch.load(weights.pretrained_weights("effnet-lite0"), map_location="cpu", weights_only=True)
    )
    network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)

    def forward(images: torch.Tensor) -> torch.Tensor:
        large = torch.nn.functional.interpolate(images.float(), size=(224, 224), mode="bicubic", antialias=True)
        scaled = (large.clamp(0, 255) - 127) / 128
        maps = network.extract_features(scaled.contiguous(memory_format=torch.channels_last))
        return maps.mean((2, 3))

    return forward


def inception(device: str) -> Forward:
    """The official FID Inception v3: 2,048 pooled features, with torch-fidelity's TensorFlow-like resize to 299.

    find() has compared the file's sha256 before the library unpickles it.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        raise weights.MissingWeights("fid and kid need torch-fidelity: pip install torch-fidelity") from None
    path = str(weights.pretrained_weights("inception"))
    network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=path)
    network.to(device)

    def forward(images: "torch.Tensor") -> "torch.Tensor":
        return network(images)[0]

    return forward


def clip(device: str) -> Forward:
    """CLIP ViT-L/14 at 336 pixels: the 768 numbers of the image, scaled to length 1 as CMMD has them.

    torch-fidelity's network and resize (bilinear); find() has compared the file's sha256 before it is unpacked.
    """
    import torch

    try:
        from torch_fidelity.feature_extractor_clip import FeatureExtractorCLIP
    except ImportError:
        raise weights.MissingWeights("cmmd needs torch-fidelity 0.4: pip install torch-fidelity") from None
    path = str(weights.pretrained_weights("clip-vit-l-14-336px"))
    network = FeatureExtractorCLIP("clip-vit-l-14-336px", ["clip"], feature_extractor_weights_path=path)
    network.to(device)

    def forward(images: "torch.Tensor") -> "torch.Tensor":
        return torch.nn.functional.normalize(network(images)[0], dim=1)

    return forward


def dinov2(device: str) -> Forward:
    """DINOv2 ViT-L/14, the network of FD_DINOv2 (Stein et al. 2023): the class token's 1,024 numbers at 224 pixels.

    torch-fidelity's preprocessing, with Meta's code and weights from torch.hub's folder, where find() has seen both.
    The hub unpickles the file as it is, so it is first read in a way that accepts nothing but tensors.
    """
    import torch

    try:
        from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2
    except ImportError:
        raise weights.MissingWeights("fd_dinov2 needs torch-fidelity 0.4: pip install torch-fidelity") from None
    path = weights.pretrained_weights("dinov2-vit-l-14")
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise UserError(f"{path} is damaged or holds more than tensors: {str(error).splitlines()[0]}") from None
    network = FeatureExtractorDinoV2("dinov2-vit-l-14", ["dinov2"])
    network.to(device)

    def forward(images: "torch.Tensor") -> "torch.Tensor":
        return network(images)[0]

    return forward


EXTRACTORS = {
    "clip": Extractor("clip", 2, "clip-vit-l-14-336px", 768, clip),
    "dinov2": Extractor("dinov2", 2, "dinov2-vit-l-14", 1024, dinov2),
    "effnet": Extractor("effnet", 2, "effnet-lite0", 1280, effnet),
    "inception": Extractor("inception", 2, "inception", 2048, inception),
}


class FeatureStore:
    """The features of one measurement on one device. No image goes through a network twice.

    All batches have one size (the last one is filled up), so an image's features are the same numbers whatever
    else is measured with it and in whichever order.
    """

    def __init__(self, device: str, report: Report) -> None:
        self.device = device
        self.batch = BATCH.get(device.split(":")[0], 16)
        self.report = report
        self._networks: dict[str, Forward] = {}
        self._known: dict[str, dict[bytes, np.ndarray]] = {name: {} for name in EXTRACTORS}

    def of(self, name: str, pixels: Pixels, real: bool) -> np.ndarray:
        """Features float64 (n, dimension) of uint8 (n, 3, R, R). Those of real images are kept on disk.

        No more than BLOCK images are in memory at once. MissingWeights where the network's file is not on this machine.
        """
        extractor = EXTRACTORS[name]
        weights.pretrained_weights(extractor.weights)  # no features without the right file, not even from the disk
        key, images = extractor.keys(pixels)
        folder, shape = cache_root() / "features" / name, (len(pixels), extractor.dimension)
        features = _recall(folder, key, shape) if real else None
        known = self._known[name]
        if features is None:
            self._compute(extractor, pixels, images)
            features = np.stack([known[image] for image in images]) if images else np.empty(shape, np.float32)
            if real:
                _remember(folder, key, features)
        known.update(zip(images, features))
        return features.astype(np.float64)

    def forget(self) -> None:
        """Drops the features that are held in memory; the networks stay."""
        for known in self._known.values():
            known.clear()

    def _compute(self, extractor: Extractor, pixels: Pixels, images: list[bytes]) -> None:
        """Those that are not known yet, equal ones once."""
        known = self._known[extractor.name]
        new = {image: row for row, image in reversed(list(enumerate(images))) if image not in known}
        rows = sorted(new.values())
        for start in range(0, len(rows), self.batch):
            batch = rows[start : start + self.batch]
            computed = self._forward(extractor, pixels[batch])
            known.update(zip((images[row] for row in batch), computed))
            self.report(f"{extractor.name} features {start + len(batch)}/{len(rows)}")

    def _forward(self, extractor: Extractor, pixels: np.ndarray) -> np.ndarray:
        import torch

        if extractor.name not in self._networks:
            with torch.random.fork_rng(devices=[]):  # building initialises at random what is then loaded
                self._networks[extractor.name] = extractor.build(self.device)
        filler = np.zeros((self.batch - len(pixels), *pixels.shape[1:]), np.uint8)
        batch = torch.from_numpy(np.concatenate([pixels, filler])).to(self.device)
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), exact, torch.autocast(self.device.split(":")[0], enabled=False):
            return self._networks[extractor.name](batch)[: len(pixels)].float().cpu().numpy()


def _remember(folder: Path, key: str, features: np.ndarray) -> None:
    """Writes <key>-<start of the file's sha256>.npy: a file whose content does not match its name is not used."""
    buffer = io.BytesIO()
    np.save(buffer, features, allow_pickle=False)
    data = buffer.getvalue()
    write_bytes(folder / f"{key}-{hashlib.sha256(data).hexdigest()[:16]}.npy", data)


def _recall(folder: Path, key: str, shape: tuple[int, int]) -> np.ndarray | None:
    """Remembered features, or None where there are none or the file is damaged: they are then computed again. The check
    took 0.9 s a gigabyte on one core; 10,000 images of effnet are 51 MB."""
    for path in sorted(folder.glob(f"{key}-*.npy")):
        try:
            data = path.read_bytes()
            if path.stem.rpartition("-")[2] != hashlib.sha256(data).hexdigest()[:16]:
                continue
            features = np.load(io.BytesIO(data), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            continue
        if features.shape == shape and features.dtype == np.float32:
            return features
    return None
