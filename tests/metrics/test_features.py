import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image

from bench.core.paths import cache_root
from bench.metrics import Images, Outputs, Reference, evaluate, features
from bench.metrics.data import Rows
from bench.metrics.features import EXTRACTORS, FeatureStore

Seen = list[np.ndarray]


def silent(_: str) -> None:
    pass


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """A cheap network in place of EfficientNet, and every image that it was given."""
    images: Seen = []

    def build(device: str) -> Callable[[torch.Tensor], torch.Tensor]:
        def forward(batch: torch.Tensor) -> torch.Tensor:
            images.extend(image.numpy() for image in batch if image.any())  # the filler is black
            return batch.float().mean((2, 3))

        return forward

    monkeypatch.setitem(EXTRACTORS, "effnet", replace(EXTRACTORS["effnet"], dimension=3, build=build))
    yield images


@pytest.fixture
def pixels(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(1, 256, (10, 3, 32, 32), dtype=np.uint8)


def test_every_image_once(seen: Seen, pixels: np.ndarray) -> None:
    store = FeatureStore("cpu", silent)
    store.of("effnet", pixels[:6], real=False)
    found = store.of("effnet", pixels[[9, 3, 3, 5, 7]], real=True)
    np.testing.assert_allclose(found, pixels[[9, 3, 3, 5, 7]].mean((2, 3)), rtol=1e-6)
    assert found.dtype == np.float64
    assert len(seen) == len({image.tobytes() for image in seen}) == 8


def test_all_batches_have_one_size(pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []

    def build(device: str) -> Callable[[torch.Tensor], torch.Tensor]:
        def forward(batch: torch.Tensor) -> torch.Tensor:
            shapes.append(tuple(batch.shape))
            return batch.float().mean((2, 3))

        return forward

    monkeypatch.setitem(EXTRACTORS, "effnet", replace(EXTRACTORS["effnet"], dimension=3, build=build))
    store = FeatureStore("cpu", silent)
    store.batch = 4
    store.of("effnet", pixels, real=False)
    assert shapes == [(4, 3, 32, 32)] * 3


def test_real_images_are_remembered_and_never_stale(seen: Seen, pixels: np.ndarray) -> None:
    first = FeatureStore("cpu", silent).of("effnet", pixels, real=True)
    seen.clear()
    assert (FeatureStore("cpu", silent).of("effnet", pixels, real=True) == first).all()
    assert not seen

    changed = pixels.copy()
    changed[4, 0, 0, 0] ^= 1
    found = FeatureStore("cpu", silent).of("effnet", changed, real=True)
    assert len(seen) == 10
    assert found[4, 0] != first[4, 0]
    assert (np.delete(found, 4, 0) == np.delete(first, 4, 0)).all()


def test_outputs_leave_nothing_on_disk(seen: Seen, pixels: np.ndarray) -> None:
    FeatureStore("cpu", silent).of("effnet", pixels, real=False)
    assert not (cache_root() / "features").exists()


def test_another_shape_version_or_network_is_another_key(pixels: np.ndarray) -> None:
    effnet = EXTRACTORS["effnet"]
    keys = {
        extractor.keys(images)[0]
        for extractor, images in (
            (effnet, pixels),
            (effnet, pixels.reshape(5, 6, 32, 32)),
            (replace(effnet, version=effnet.version + 1), pixels),
            (replace(effnet, weights="inception"), pixels),
            (EXTRACTORS["inception"], pixels),
        )
    }
    assert len(keys) == 5


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"nonsense" * 100])
def test_a_damaged_cache_file_is_computed_again(seen: Seen, pixels: np.ndarray, damage: bytes) -> None:
    first = FeatureStore("cpu", silent).of("effnet", pixels, real=True)
    (file,) = cache_root().glob("features/effnet/*")
    file.write_bytes(damage)
    seen.clear()
    assert (FeatureStore("cpu", silent).of("effnet", pixels, real=True) == first).all()
    assert len(seen) == 10


def test_remembered_features_that_are_not_what_was_written_are_computed_again(seen: Seen, pixels: np.ndarray) -> None:
    """A whole file of the right shape, with other numbers in it."""
    first = FeatureStore("cpu", silent).of("effnet", pixels, real=True)
    (file,) = cache_root().glob("features/effnet/*")
    np.save(file, np.load(file) + 3)
    seen.clear()
    assert (FeatureStore("cpu", silent).of("effnet", pixels, real=True) == first).all()
    assert len(seen) == 10
    seen.clear()
    FeatureStore("cpu", silent).of("effnet", pixels, real=True)
    assert not seen, "the damaged file was not replaced"


class Counting(np.ndarray):
    """A memory map that remembers the most images that were ever taken from it at once."""

    most = 0

    def __getitem__(self, index: object) -> np.ndarray:
        found = super().__getitem__(index)  # type: ignore[index]
        Counting.most = max(Counting.most, len(found))
        return found.view(np.ndarray)


def test_real_images_are_read_in_blocks(seen: Seen, tmp_path: Path) -> None:
    """3,000 images of 64 x 64 are 37 MB; a block of 256 is 3 MB."""
    np.save(tmp_path / "bank.npy", np.random.default_rng(0).integers(1, 256, (3500, 3, 64, 64), dtype=np.uint8))
    bank = np.load(tmp_path / "bank.npy", mmap_mode="r")
    rows = np.random.default_rng(1).permutation(3500)[:3000]
    counting = Rows(bank.view(Counting), rows)
    tracemalloc.start()
    found = FeatureStore("cpu", silent).of("effnet", counting, real=True)
    peak = tracemalloc.get_traced_memory()[1] - sum(image.nbytes for image in seen)  # `seen` itself keeps them
    tracemalloc.stop()
    np.testing.assert_allclose(found, bank[rows].mean((2, 3)), rtol=1e-6)
    assert 1 < Counting.most <= features.BLOCK
    assert peak < 12e6


def test_the_training_images_of_the_source_stay_on_disk(bank_cache: Path) -> None:
    """What a run hands to the metrics for them is rows of the bank; the images are the same."""
    from bench.data.task import load_task
    from bench.runs.measure import reference_of

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_BENCH_CACHE", str(bank_cache))
        data = load_task("emoji", 20, 32)
    pixels = reference_of(data).source_train.pixels
    assert isinstance(pixels, Rows)
    assert (np.asarray(pixels) == data.source_train.images()).all()


def test_the_tenth_run_on_a_data_set_computes_no_real_feature(rng: np.random.Generator) -> None:
    """With the real network: a hook counts its batches of 16 at the normalisation of its 1,280 channels."""
    real = Images(rng.integers(0, 256, (18, 3, 32, 32), dtype=np.uint8), np.arange(18) % 2)
    train = Images(rng.integers(0, 256, (17, 3, 32, 32), dtype=np.uint8), np.arange(17) % 2)
    data = Reference(real, train, train, ("a", "b"))
    calls = []

    def count(module: torch.nn.Module, inputs: object, output: object) -> None:
        if getattr(module, "num_features", None) == 1280:
            calls.append(module)

    handle = torch.nn.modules.module.register_module_forward_hook(count)
    try:
        for run in range(10):
            made = Outputs(rng.integers(0, 256, (4, 3, 32, 32), dtype=np.uint8), np.arange(4) % 2)
            calls.clear()
            evaluate(made, data, ["kd_effnet", "target_share"])
            assert len(calls) == (1 + 2 + 2 if run == 0 else 1)
    finally:
        handle.remove()


def test_effnet_does_not_depend_on_order_company_or_batch(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (7, 3, 48, 48), dtype=np.uint8)
    store = FeatureStore("cpu", silent)
    found = store.of("effnet", pixels, real=False)
    assert found.shape == (7, 1280)
    other = FeatureStore("cpu", silent)
    assert (other.of("effnet", pixels[[6, 2, 0]], real=False) == found[[6, 2, 0]]).all()
    other = FeatureStore("cpu", silent)
    other.batch = 7
    np.testing.assert_allclose(other.of("effnet", pixels, real=False), found, atol=2e-6 * np.abs(found).max())


def centre_crop(name: str) -> np.ndarray:
    photo = load_sample_image(name).transpose(2, 0, 1)
    side = min(photo.shape[1:])
    top, left = (photo.shape[1] - side) // 2, (photo.shape[2] - side) // 2
    return np.ascontiguousarray(photo[:, top : top + side, left : left + side])[None]


@pytest.mark.parametrize(("photo", "category"), [("china.jpg", 698), ("flower.jpg", 985)])
def test_effnet_features_are_what_the_trained_network_classifies(photo: str, category: int) -> None:
    """Its own last layer on our features says palace (698) and daisy (985) for scikit-learn's two photographs."""
    from efficientnet_lite_pytorch import EfficientNet

    from bench.metrics import weights

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights.pretrained_weights("effnet-lite0"), weights_only=True))
    found = FeatureStore("cpu", silent).of("effnet", centre_crop(photo), real=False)
    assert int(network._fc(torch.from_numpy(found).float()).argmax()) == category


def test_extractor_files_are_where_the_table_says() -> None:
    stored = Path(features.weights.pretrained_weights("effnet-lite0"))
    assert stored.stat().st_size == features.weights.entry("effnet-lite0").bytes
