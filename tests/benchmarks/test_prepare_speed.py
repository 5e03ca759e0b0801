"""Preparing JPEGs of 256x256 at 128 against a bare pool of processes that decodes and resizes them.

Run it with: pytest tests/benchmarks --benchmark-enable -o addopts=
"""

import io
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.core.parallel import cores
from bench.data.bank import prepare
from bench.data.dataset import Dataset, Item

FULL = 10_000
ROUNDS = 3


class Photos(Dataset):
    """JPEGs in one folder; even numbers are one domain, odd ones the other, a tenth is held out."""

    name = "photos"
    domains = ("even", "odd")
    resolution = 256
    homepage = license = layout = "-"

    def scan(self, root: Path) -> list[Item]:
        files = sorted(root.glob("*.jpg"))
        return [
            Item(f.name, self.domains[int(f.stem) % 2], "test" if int(f.stem) % 20 < 2 else "train", None, f.name)
            for f in files
        ]


def jpeg(generator: np.random.Generator) -> bytes:
    """Smooth colour with some noise: about 15 kB, as photographs of this size have."""
    coarse = Image.fromarray(generator.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((256, 256), Image.Resampling.BICUBIC), dtype=np.int16)
    noisy = np.clip(smooth + generator.integers(-8, 9, smooth.shape), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, format="JPEG", quality=80)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The files; all differ, by a comment behind one of 200 pictures."""
    root = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    count = FULL if request.config.getoption("benchmark_enable") else 300
    pictures = [jpeg(generator) for _ in range(min(count, 200))]
    for i in range(count):
        (root / f"{i:05}.jpg").write_bytes(pictures[i % len(pictures)] + str(i).encode())
    yield root
    shutil.rmtree(root)


def decoded(path: Path) -> int:
    """What nobody can leave out: decode, resize, hand over the array."""
    image = Image.open(path).convert("RGB").resize((128, 128), Image.Resampling.BICUBIC)
    return np.asarray(image).transpose(2, 0, 1).tobytes()[0]


def bare(files: list[Path]) -> float:
    start = perf_counter()
    with ProcessPoolExecutor(cores(), get_context("fork")) as pool:
        assert len(list(pool.map(decoded, files, chunksize=64))) == len(files)
    return perf_counter() - start


def test_preparing_is_bounded_by_decoding(
    benchmark: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path))
    files = sorted(photos.glob("*.jpg"))
    loops = []

    def before_each_round() -> None:  # the peer runs in turns with it, so that other work on the machine hits both
        shutil.rmtree(tmp_path / "banks", ignore_errors=True)
        loops.append(bare(files))

    bank = benchmark.pedantic(
        lambda: prepare(Photos(), photos, 128), setup=before_each_round, rounds=ROUNDS if benchmark.enabled else 1
    )
    assert len(bank.ids) == len(files)
    if benchmark.enabled:
        ratio = benchmark.stats.stats.min / min(loops)
        benchmark.extra_info["times_the_bare_loop"] = round(ratio, 2)
        print(f"\n{len(files)} JPEGs: {min(loops):.1f} s bare, {ratio:.2f} times that to prepare")
        assert ratio <= 1.3
