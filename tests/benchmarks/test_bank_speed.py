"""A batch gathered from the bank against the same images decoded by torchvision's ImageFolder.

Run it with: pytest tests/benchmarks --benchmark-enable -o addopts=
"""

from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from bench.data.bank import prepare
from bench.data.find import make

BATCH = 256
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
