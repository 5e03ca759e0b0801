"""One measurement: the arrays, and everything that several metrics share, computed when first asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.classifier import LinearClassifier
from bench.metrics.data import Outputs, Pixels, Reference, Undefined
from bench.metrics.depth import depth_errors
from bench.metrics.distances import some
from bench.metrics.features import FeatureStore
from bench.metrics.kernel import KernelDistance, kernel_distance
from bench.metrics.neighbours import nearest_to_training
from bench.metrics.perceptual import Lpips, check_size
from bench.metrics.segmentation import label_counts

if TYPE_CHECKING:
    import torch

    from bench.metrics.resnet import ResNet
    from bench.training.artifacts import Artifacts

FEWEST = 3  # images in a set, for a distance between sets


class Measurement:
    """What the functions of the registered metrics see. Its methods raise Undefined or MissingWeights."""

    def __init__(
        self,
        outputs: Outputs,
        data: Reference,
        device: str = "cpu",
        report: Callable[[str], None] = lambda _: None,
        artifacts: Artifacts | None = None,
    ) -> None:
        """`artifacts` keeps the classifier of a data set; by default in the cache, trained without a word."""
        self.outputs = outputs
        self.data = data
        self.device = device
        self.report = report
        self._artifacts = artifacts
        self._store = FeatureStore(device, report)
        self.features = cache(self._features)
        self.kernel = cache(self._kernel)
        self._judge = cache(self._judged)

    def _features(self, network: str, part: str) -> np.ndarray:
        """Features float64 (n, d) of one of `pixels`."""
        features = self._store.of(network, self.pixels(part), real=part not in ("outputs", "backward"))
        if not np.isfinite(features).all():
            raise Undefined(f"{network} gives features of {part} that are not finite")
        return features

    def pair(self, network: str, part: str, fewest: int = FEWEST) -> tuple[np.ndarray, np.ndarray]:
        """Features of the outputs and of a real part, each of at least `fewest` images."""
        return self.two_sets(network, "outputs", part, fewest)

    def two_sets(self, network: str, first: str, second: str, fewest: int = FEWEST) -> tuple[np.ndarray, np.ndarray]:
        """Features of two of `pixels`, each of at least `fewest` images."""
        for part in (first, second):
            check_set(part, fewest, self.pixels(part))
        return self.features(network, first), self.features(network, second)

    def pixels(self, part: str) -> Pixels:
        """`outputs`, `backward`, `sources`, or one of the parts of the reference, by name."""
        made = {"outputs": self.outputs.images, "backward": self.outputs.backward, "sources": self.outputs.sources}
        found = made[part] if part in made else getattr(self.data, part).pixels
        assert found is not None
        return found

    @cached_property
    def expected_labels(self) -> np.ndarray:
        """The class that each output should have, int64 (n,): that of its source, -1 where it has none.

        Where no target image is of a source class (other kinds of animals), it is the class of the reference or label
        that the method was given, -1 where it takes none.
        """
        sources = self.outputs.source_labels
        wanted = self.outputs.reference_labels
        targets = np.concatenate([self.data.reference.labels, self.data.target_train.labels])
        if np.isin(sources[sources >= 0], targets).any() or not (targets >= 0).any():
            return sources
        return np.full(len(sources), -1) if wanted is None else wanted

    def classes(self, labels: np.ndarray) -> dict[str, np.ndarray]:
        """The rows of each class that occurs, by its name."""
        names = self.data.label_names
        return {
            names[label] if label < len(names) else str(label): np.flatnonzero(labels == label)
            for label in np.unique(labels[labels >= 0])
        }

    def class_pairs(self, network: str) -> dict[str, tuple[np.ndarray, np.ndarray] | None]:
        """For each class of the held-out target images, the features of outputs that should be of it and of theirs;
        None where either set is too small or all the same."""
        outputs, reference = self.pair(network, "reference")
        made, real = self.classes(self.expected_labels), self.classes(self.data.reference.labels)
        found: dict[str, tuple[np.ndarray, np.ndarray] | None] = {}
        for name, rows in real.items():
            mine = made.get(name, np.array([], np.int64))
            try:
                check_set("outputs", FEWEST, self.outputs.images[mine])
                check_set("reference", FEWEST, self.data.reference.pixels[rows])
                found[name] = outputs[mine], reference[rows]
            except Undefined:
                found[name] = None
        if not any(found.values()):
            raise Undefined(f"no class has {FEWEST} outputs and {FEWEST} held-out target images")
        return found

    def _kernel(self, network: str, part: str) -> KernelDistance:
        return kernel_distance(*self.pair(network, part))

    @cached_property
    def training_distances(self) -> tuple[np.ndarray, np.ndarray]:
        """Distances to the nearest image of the target training subset: of outputs, of held-out real images."""
        if not len(self.data.target_train):
            raise Undefined("no target training images")
        outputs, reference = self.pair("effnet", "reference", fewest=2)
        return nearest_to_training(outputs, reference, self.features("effnet", "target_train"))

    @cached_property
    def class_classifier(self) -> LinearClassifier:
        """Trained on the labelled training images of both domains; each class of each domain weighs the same."""
        labels = np.concatenate([self.data.source_train.labels, self.data.target_train.labels])
        labelled = labels >= 0
        if len(np.unique(labels[labelled])) < 2:
            raise Undefined("the data set has no class labels")
        features, labels, domains = self._training_set()
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
        chosen = np.concatenate([some(features[source], n), some(features[target], n)])
        labels = np.repeat(np.array([0, 1], np.int64), n)
        return LinearClassifier(chosen, labels, labels)

    def _training_set(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        source, target = self.data.source_train, self.data.target_train
        if len(source) + len(target):
            check_set("the training images", 2, source.pixels, target.pixels)
        features = np.concatenate([self.features("effnet", "source_train"), self.features("effnet", "target_train")])
        domains = np.repeat(np.array([0, 1], np.int64), [len(source), len(target)])
        return features, np.concatenate([source.labels, target.labels]), domains

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The name of each label, also of one that the data set does not name."""
        data, outputs = self.data, self.outputs
        parts = [data.source_train.labels, data.known_target.labels, data.reference.labels, outputs.source_labels]
        n = int(np.concatenate(parts).max(initial=-1)) + 1
        return tuple(data.label_names[:n]) + tuple(str(i) for i in range(len(data.label_names), n))

    @cached_property
    def n_classifier(self) -> int:
        """Real images that the small ResNet was trained on."""
        return len(self.data.source_train) + len(self.data.known_target)

    def class_probabilities(self, part: str) -> np.ndarray:
        """The small ResNet's of `outputs`, `sources`, `returned` or `reference`: float64 (n, classes)."""
        if (np.unique(self._classes_known) >= 0).sum() < 2:
            raise Undefined("the data set has no class labels")
        found = self._judge(part)[0]
        unknown = len(self.class_names) - found.shape[1]  # classes without a training image
        return np.pad(found, ((0, 0), (0, unknown)))

    def domain_probabilities(self, part: str) -> np.ndarray:
        """The small ResNet's of source and target: float64 (n, 2)."""
        return self._judge(part)[1]

    @property
    def _classes_known(self) -> np.ndarray:
        return np.concatenate([self.data.source_train.labels, self.data.known_target.labels])

    def _judged(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        from bench.metrics import resnet

        found = {"outputs": self.outputs.images, "reference": self.data.reference.pixels}
        pixels = found[part] if part in found else getattr(self.outputs, part)
        check_set(part, 2, pixels)
        self.report(f"classifier on {part}")
        network, device = self._resnet
        probabilities = resnet.judge(network, pixels, device)
        if not all(np.isfinite(p).all() for p in probabilities):
            raise Undefined(f"the classifier gives probabilities of {part} that are not finite")
        return probabilities

    @cached_property
    def _resnet(self) -> tuple[ResNet, torch.device]:
        from bench.metrics import resnet

        source, target = self.data.source_train, self.data.known_target
        if not len(source) or not len(target):
            raise Undefined("one of the domains has no training images")
        pixels = np.concatenate([source.pixels[:], target.pixels[:]])
        check_set("the training images", 2, pixels)
        domains = np.repeat(np.array([0, 1], np.int64), [len(source), len(target)])
        examples = resnet.Examples.of(pixels, self._classes_known, domains)
        artifacts = self._artifacts or _own_artifacts(self.device)
        return resnet.cached(examples, artifacts), artifacts.loop.compute.device

    @cached_property
    def reverse_probabilities(self) -> np.ndarray:
        """Of held-out target images by a ResNet that was trained on the outputs and the classes they should have."""
        import torch

        from bench.metrics import resnet

        check_set("outputs", 2, self.outputs.images)
        check_set("reference", 2, self.data.reference.pixels)
        wanted = self.expected_labels
        rows = np.flatnonzero(wanted >= 0)
        if len(np.unique(wanted[rows])) < 2:
            raise Undefined("the outputs have no classes to tell apart")
        examples = resnet.Examples.of(self.outputs.images[rows], wanted[rows], np.zeros(len(rows), np.int64))
        device = torch.device(self.device)
        network = resnet.trained(examples, device, resnet.STEPS // 3, self.report)
        found = resnet.judge(network, self.data.reference.pixels, device)[0]
        if not np.isfinite(found).all():
            raise Undefined("the classifier of the outputs gives probabilities that are not finite")
        return found

    @cached_property
    def truth_rows(self) -> np.ndarray:
        """Positions of the outputs that have a ground truth: int64, at least one."""
        if self.outputs.truth is None:
            raise Undefined("there is no ground truth for these outputs")
        known = self.outputs.has_truth
        rows = np.arange(len(self.outputs.images)) if known is None else np.flatnonzero(known)
        if not len(rows):
            raise Undefined("none of the held-out sources has a ground truth")
        return rows

    @cached_property
    def label_counts(self) -> tuple[np.ndarray, np.ndarray]:
        return label_counts(self)

    @cached_property
    def depth_errors(self) -> dict[str, np.ndarray]:
        return depth_errors(self)

    @cached_property
    def lpips(self) -> Lpips:
        return Lpips(self.device)

    @property
    def diverse(self) -> np.ndarray:
        diverse = self.outputs.diverse
        if diverse is None or not len(diverse) or diverse.shape[1] < 2:
            raise Undefined("one output for a source: nothing to compare")
        return diverse

    @cached_property
    def lpips_pairs(self) -> np.ndarray:
        """LPIPS of all pairs of outputs of each source with several: float64 (m, pairs)."""
        diverse = self.diverse
        check_size(diverse)
        return self.lpips.pairs(diverse, self.report)

    @cached_property
    def lpips_to_partners(self) -> dict[str, np.ndarray]:
        """LPIPS of the outputs to their `sources` and to the `truth` (of truth_rows), in one pass over the outputs."""
        outputs = self.outputs
        partners = {name: p for name in ("sources", "truth") if (p := getattr(outputs, name)) is not None}
        found = self.lpips.to_partners(outputs.images, list(partners.values()), self.report)
        return dict(zip(partners, found))


def _own_artifacts(device: str) -> Artifacts:
    from bench.core.paths import cache_root
    from bench.core.progress import Quiet
    from bench.training.artifacts import Artifacts
    from bench.training.compute import Compute
    from bench.training.loop import Loop

    return Artifacts(cache_root() / "artifacts", Loop(Compute.choose(device), Quiet()))


def check_set(name: str, fewest: int, *parts: Pixels) -> None:
    """Undefined where there are too few images (n, 3, R, R) for a statistic of a set, or all are the same."""
    n = sum(map(len, parts))
    if n < fewest:
        raise Undefined(f"images in {name}: {n}; at least {fewest} are needed")
    images = (image for part in parts for image in part)
    first = next(images, None)
    if n > 1 and first is not None and all(np.array_equal(image, first) for image in images):
        raise Undefined(f"all {n} images in {name} are identical")
