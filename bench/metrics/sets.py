"""Sets of images as scripts have them (a folder, array, tensor, loader or features) -> features of a network."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from bench.core.errors import UserError, unknown
from bench.metrics.features import EXTRACTORS, FeatureStore
from bench.metrics.given import pixels_of

ValueRange = tuple[float, float] | None


class Features:
    """Images of one call -> features of one network; each image goes through once."""

    def __init__(self, network: str, value_range: ValueRange = None, device: str | None = None) -> None:
        """UserError for an unknown network or device; MissingWeights, which is one, where it is not on this machine."""
        from bench.training.compute import Compute

        if network not in EXTRACTORS:
            raise unknown("network", network, EXTRACTORS)
        self._network, self._range = network, value_range
        self._compute = Compute.choose(device)
        self._store = FeatureStore(str(self._compute.device), lambda _: None)

    def of(self, images: Any, name: str) -> np.ndarray:
        """float64 (n, d) of a set of images; nothing is kept, on disk or in memory."""
        with self._compute.full_float32():
            parts = [self._store.of(self._network, pixels, real=False) for pixels in batches(images, name, self._range)]
        self._store.forget()
        return np.concatenate(parts) if parts else np.empty((0, EXTRACTORS[self._network].dimension))


def as_features(rows: Any, name: str) -> np.ndarray | None:
    """float64 (n, d) where `rows` is an array or tensor of features, else None. UserError for values that are not
    finite."""
    if getattr(rows, "ndim", None) != 2:
        return None
    if hasattr(rows, "detach"):  # a tensor, recognised without importing torch
        rows = rows.detach().cpu().double()
    features = np.asarray(rows, np.float64)
    if not np.isfinite(features).all():
        raise UserError(f"{name} hold features that are not finite; look for what made them so")
    return features


def batches(images: Any, name: str, value_range: ValueRange) -> Iterator[np.ndarray]:
    """uint8 (n, 3, R, R) each: the set as a whole, or batch by batch where it is a loader.

    A loader is any iterable of batches; of a batch that is a tuple or list the first part counts, as in (images,
    labels).
    """
    if isinstance(images, (str, bytes)) or hasattr(images, "__fspath__") or hasattr(images, "ndim"):
        yield pixels_of(images, name, value_range)
        return
    if not isinstance(images, Iterable) or isinstance(images, dict):
        raise UserError(f"{name} must be a folder, an array or tensor, or a loader, not {type(images).__name__}")
    for batch in images:
        first = batch[0] if isinstance(batch, (tuple, list)) else batch
        yield pixels_of(first, name, value_range)
