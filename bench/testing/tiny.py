"""Data for tests: a task of random images, made in memory."""

from pathlib import Path

import numpy as np

from bench.data.bank import ImageBank
from bench.data.task import Domain, TaskData, subset_sha256


def tiny_task(
    n_source: int = 20,
    n_target: int = 6,
    resolution: int = 16,
    n_labels: int = 3,
    seed: int = 0,
    channels: int = 3,
    paired: bool = False,
) -> TaskData:
    """Random images of two domains, two of each held out. Targets do not depend on n_target: subsets are nested.

    A third domain, "c", shows the training scenes of both. With `paired` each training target shows the same as a
    source.
    """
    rng = np.random.default_rng(seed)
    held_out, pool = 2, 64
    n = n_source + pool + 2 * held_out
    images = rng.integers(0, 256, (n, channels, resolution, resolution), dtype=np.uint8)
    ids = [f"image-{i}" for i in range(n)]
    labels = np.arange(n, dtype=np.int64) % n_labels if n_labels else np.full(n, -1, np.int64)
    part = {"a": n_source, "b": pool}
    domains = [d for d in part for _ in range(part[d] + held_out)]
    splits = [s for d in part for s in ["train"] * part[d] + ["test"] * held_out]
    start = n_source + held_out
    scenes = [*range(n_source), *range(start, start + pool)]
    third = rng.integers(0, 256, (len(scenes), channels, resolution, resolution), dtype=np.uint8)
    pairs = [ids[i] if i in set(scenes) else None for i in range(n)] + [ids[i] for i in scenes]
    if paired:
        pairs[start : start + pool] = [ids[i % n_source] for i in range(pool)]
    images, labels = np.concatenate([images, third]), np.concatenate([labels, labels[scenes]])
    ids += [f"scene-{i}" for i in scenes]
    domains, splits = domains + ["c"] * len(scenes), splits + ["train"] * len(scenes)
    bank = ImageBank(Path(), images, ids, domains, splits, labels, pairs, {"dataset": "tiny"})
    target = Domain("b", bank, np.arange(start, start + n_target))
    return TaskData(
        dataset="tiny",
        protocol="default",
        label_names=tuple(f"label {i}" for i in range(n_labels)),
        source_train=Domain("a", bank, np.arange(n_source)),
        target_train=target,
        source_test=Domain("a", bank, np.arange(n_source, start)),
        target_test=Domain("b", bank, np.arange(n - held_out, n)),
        others={"c": Domain("c", bank, np.arange(n, n + len(scenes)))},
        truth=np.full(held_out, -1, np.int64),
        target_size=n_target,
        subset_seed=0,
        subset_sha256=subset_sha256(target.ids),
        manifest_sha256=f"{seed}-{n_source}-{resolution}-{n_labels}-{channels}",
    )
