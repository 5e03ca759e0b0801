"""A tiny task made of arrays, and an artifact cache of its own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.artifacts import Artifacts
from bench.bank import ImageBank
from bench.compute import Compute
from bench.loop import Loop
from bench.progress import Reporter
from bench.task import Domain, TaskData, subset_sha256


class Quiet(Reporter):
    """Says nothing; remembers what it was told."""

    def __init__(self) -> None:
        super().__init__(every=1e9)
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def make_tiny_task(
    n_source: int = 20, n_target: int = 6, resolution: int = 16, n_labels: int = 3, seed: int = 0
) -> TaskData:
    """Random images of two domains, two of each held out. Targets do not depend on n_target: subsets are nested."""
    rng = np.random.default_rng(seed)
    held_out, pool = 2, 64
    n = n_source + pool + 2 * held_out
    images = rng.integers(0, 256, (n, 3, resolution, resolution), dtype=np.uint8)
    ids = [f"image-{i}" for i in range(n)]
    labels = np.arange(n, dtype=np.int64) % n_labels if n_labels else np.full(n, -1, np.int64)
    domains = ["a"] * (n_source + held_out) + ["b"] * (pool + held_out)
    part = {"a": n_source, "b": pool}
    splits = [s for d in ("a", "b") for s in ["train"] * part[d] + ["test"] * held_out]
    bank = ImageBank(Path(), images, ids, domains, splits, labels, [None] * n, {"dataset": "tiny"})
    start = n_source + held_out
    target = Domain("b", bank, np.arange(start, start + n_target))
    return TaskData(
        dataset="tiny",
        protocol="default",
        label_names=tuple(f"label {i}" for i in range(n_labels)),
        source_train=Domain("a", bank, np.arange(n_source)),
        target_train=target,
        source_test=Domain("a", bank, np.arange(n_source, start)),
        target_test=Domain("b", bank, np.arange(n - held_out, n)),
        truth=np.full(held_out, -1, np.int64),
        target_size=n_target,
        subset_seed=0,
        subset_sha256=subset_sha256(target.ids),
        manifest_sha256=f"{seed}-{n_source}-{resolution}-{n_labels}",
    )


@pytest.fixture
def tiny_task() -> Callable[..., TaskData]:
    return make_tiny_task


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts", Loop(Compute.choose("cpu"), Quiet()))
