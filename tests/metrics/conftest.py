from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.metrics.features import EXTRACTORS


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("I2I_BENCH_WEIGHTS", raising=False)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def quarters(pixels: np.ndarray) -> np.ndarray:
    """uint8 (n, 3, R, R) -> the mean of each quarter of each channel: float32 (n, 12)."""
    n, _, side, _ = pixels.shape
    return pixels.reshape(n, 3, 2, side // 2, 2, side // 2).mean((3, 5), dtype=np.float32).reshape(n, 12)


@pytest.fixture
def toy_effnet(monkeypatch: pytest.MonkeyPatch) -> None:
    """`quarters` in place of EfficientNet-Lite0."""

    def build(device: str) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda batch: torch.from_numpy(quarters(batch.numpy()))

    monkeypatch.setitem(EXTRACTORS, "effnet", replace(EXTRACTORS["effnet"], dimension=12, build=build))
