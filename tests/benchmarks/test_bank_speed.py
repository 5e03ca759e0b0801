"""A batch from the bank against the same images from torchvision's ImageFolder: gathered alone, and augmented.

Run it with: pytest tests/benchmarks --benchmark-enable -o addopts=
"""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench.data.bank import prepare
from bench.data.find import make
from bench.testing import tiny_task
from bench.training.augment import Augment
from bench.training.compute import Compute, keep_freed_memory
from bench.training.sampler import Sampler, Stream

BATCH = 256
AUGMENTED = 64  # images of a batch that is enlarged, cropped and mirrored
ROUNDS = 7


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A cache, and the emoji of the archive unpacked as a folder of classes."""
    from zipfile import ZipFile

    folder = tmp_path_factory.mktemp("speed")
    root = make("emoji").embedded()
    assert root is not None
    with ZipFile(root) as archive:
        for name in archive.namelist():
            if name.startswith("twemoji/train/"):
                file = folder / "classes" / "/".join(name.split("/")[2:])
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(archive.read(name))
    return folder / "cache", folder / "classes"


def test_gathering_is_ten_times_faster_than_decoding(
    benchmark: Any, paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import ImageFolder
    from torchvision.transforms.functional import pil_to_tensor

    monkeypatch.setenv("I2I_BENCH_CACHE", str(paths[0]))
    emoji = make("emoji")
    root = emoji.embedded()
    assert root is not None
    bank = prepare(emoji, root, 64)
    row = {name: i for i, (name, domain) in enumerate(zip(bank.ids, bank.domains)) if domain == "twemoji"}
    files = ImageFolder(str(paths[1]), transform=pil_to_tensor)
    picked = np.random.default_rng(0).permutation(len(files))[:BATCH]
    rows = np.array([row[Path(files.samples[i][0]).stem] for i in picked])

    decoding = []
    for _ in range(ROUNDS if benchmark.enabled else 1):
        start = perf_counter()
        decoded = [files[i][0].numpy() for i in picked]
        decoding.append(perf_counter() - start)
    gathered = benchmark(lambda: bank.images[rows])
    assert (gathered == np.stack(decoded)).all()  # the same images, to the bit
    if benchmark.enabled:
        ratio = min(decoding) / benchmark.stats.stats.min
        benchmark.extra_info["times_faster_than_ImageFolder"] = round(ratio, 1)
        print(f"\n{BATCH} images: gather {ratio:.0f} times faster than ImageFolder")
        assert ratio >= 10


def least_seconds(*calls: Callable[[], object], rounds: int) -> list[float]:
    """Processor seconds of each, in turns; the least of some rounds."""
    found: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, seconds in zip(calls, found):
            start = process_time()
            call()
            seconds.append(process_time() - start)
    return [min(seconds) for seconds in found]


def test_an_augmented_batch_is_twice_as_fast_as_from_files(benchmark: Any, tmp_path: Path) -> None:
    """CycleGAN's: to 143 pixels, bicubic, a window of 128, mirrored or not; one thread, no worker processes."""
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    if benchmark.disabled:
        pytest.skip("a timing; run with --benchmark-enable")
    torch.set_num_threads(1)
    keep_freed_memory()
    data = tiny_task(n_source=AUGMENTED, resolution=128)
    (tmp_path / "class").mkdir()
    for number, pixels in enumerate(data.source_train.images(np.arange(AUGMENTED))):
        Image.fromarray(pixels.transpose(1, 2, 0)).save(tmp_path / "class" / f"{number:03}.png")
    steps = [
        transforms.Resize((143, 143), transforms.InterpolationMode.BICUBIC),
        transforms.RandomCrop(128),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize([0.5] * 3, [0.5] * 3),
    ]
    files = torch.utils.data.DataLoader(ImageFolder(str(tmp_path), transforms.Compose(steps)), AUGMENTED, shuffle=True)
    augment = Augment(load_size=143, interpolation="bicubic", flip=True)
    ours = Sampler({"x": Stream("source", AUGMENTED, augment=augment)}, data, 0, Compute.choose("cpu"))
    mine, theirs = least_seconds(lambda: ours.batch(0), lambda: list(files), rounds=ROUNDS)
    benchmark.pedantic(lambda: ours.batch(0), rounds=1)
    benchmark.extra_info["times_faster_than_ImageFolder"] = theirs / mine
    print(f"\n{AUGMENTED} images augmented: {1000 * mine:.0f} ms, ImageFolder and DataLoader {1000 * theirs:.0f} ms")
    assert theirs >= 2 * mine
