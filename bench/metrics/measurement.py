"""One measurement: the arrays, and everything that several metrics share, computed when first asked for."""

import hashlib
from collections.abc import Callable
from functools import cache, cached_property

import numpy as np

from bench.metrics.classifier import LinearClassifier
from bench.metrics.data import Outputs, Reference, Undefined
from bench.metrics.features import FeatureStore
from bench.metrics.kernel import KernelDistance, kernel_distance
from bench.metrics.neighbours import nearest_to_training
from bench.metrics.perceptual import Lpips

FEWEST = 3  # images in a set, for a distance between sets


class Measurement:
    """What the functions of the registered metrics see. Its methods raise Undefined or MissingWeights."""

    def __init__(self, outputs: Outputs, data: Reference, device: str, report: Callable[[str], None]) -> None:
        self.outputs = outputs
        self.data = data
        self.device = device
        self.report = report
        self._store = FeatureStore(device, report)
        self.features = cache(self._features)
        self.kernel = cache(self._kernel)

    def _features(self, network: str, part: str) -> np.ndarray:
        """Features float64 (n, d) of `outputs`, `reference`, `target_train` or `source_train`."""
        if part == "outputs":
            return self._store.of(network, self.outputs.images, real=False)
        return self._store.of(network, getattr(self.data, part).pixels, real=True)

    def pair(self, network: str, part: str, fewest: int = FEWEST) -> tuple[np.ndarray, np.ndarray]:
        """Features of the outputs and of a real part, each of at least `fewest` images."""
        for name, n in (("outputs", len(self.outputs.images)), (part, len(getattr(self.data, part)))):
            if n < fewest:
                raise Undefined(f"{n} images in {name}; at least {fewest} are needed")
        return self.features(network, "outputs"), self.features(network, part)

    def _kernel(self, network: str, part: str) -> KernelDistance:
        return kernel_distance(*self.pair(network, part))

    @cached_property
    def training_distances(self) -> tuple[np.ndarray, np.ndarray]:
        """Distances to the nearest image of the target training subset: of outputs, of held-out real images."""
        if not len(self.data.target_train):
            raise Undefined("no target training images")
        outputs, reference = self.pair("effnet", "reference", fewest=1)
        return nearest_to_training(outputs, reference, self.features("effnet", "target_train"))

    @cached_property
    def class_classifier(self) -> LinearClassifier:
        """Trained on the labelled training images of both domains; each class of each domain weighs the same."""
        features, labels, domains = self._training_set()
        labelled = labels >= 0
        if len(np.unique(labels[labelled])) < 2:
            raise Undefined("the data set has no class labels")
        classes = labels[labelled]
        return LinearClassifier(features[labelled], classes, classes * 2 + domains[labelled])

    @cached_property
    def domain_classifier(self) -> LinearClassifier:
        """1 for target, 0 for source; trained on equally many training images of both.

        Equal weights instead of equal numbers would favour the larger domain: the smaller one is fitted by heart.
        """
        features, _, domains = self._training_set()
        source, target = np.flatnonzero(domains == 0), np.flatnonzero(domains == 1)
        n = min(len(source), len(target))
        if not n:
            raise Undefined("one of the domains has no training images")
        rows = np.concatenate([_some(features, source, n), _some(features, target, n)])
        return LinearClassifier(features[rows], domains[rows], domains[rows])

    def _training_set(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        source, target = self.data.source_train, self.data.target_train
        features = np.concatenate([self.features("effnet", "source_train"), self.features("effnet", "target_train")])
        domains = np.repeat(np.array([0, 1], np.int64), [len(source), len(target)])
        return features, np.concatenate([source.labels, target.labels]), domains

    @cached_property
    def truth_rows(self) -> np.ndarray:
        """Positions of the outputs that have a ground truth: int64, at least one."""
        if self.outputs.truth is None:
            raise Undefined("the data set has no ground truth")
        known = self.outputs.has_truth
        rows = np.arange(len(self.outputs.images)) if known is None else np.flatnonzero(known)
        if not len(rows):
            raise Undefined("none of the held-out sources has a ground truth")
        return rows

    @cached_property
    def lpips(self) -> Lpips:
        return Lpips(self.device)

    @cached_property
    def lpips_to_partners(self) -> dict[str, np.ndarray]:
        """LPIPS of the outputs to their `sources` and to the `truth` (of truth_rows), in one pass over the outputs."""
        outputs = self.outputs
        partners = {name: p for name in ("sources", "truth") if (p := getattr(outputs, name)) is not None}
        found = self.lpips.to_partners(outputs.images, list(partners.values()), self.report)
        return dict(zip(partners, found))


def _some(features: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    """n of these rows, drawn by the hash of their features: the same ones in whichever order the images come."""
    return np.array(sorted(rows, key=lambda row: hashlib.sha256(features[row].tobytes()).digest())[:n], np.int64)
