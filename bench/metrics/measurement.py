"""One measurement: the arrays, their features, and whatever several metrics share, computed when first asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from bench.metrics.data import Outputs, Pixels, Reference, TooFew, Undefined
from bench.metrics.features import FeatureStore

if TYPE_CHECKING:
    from bench.training.artifacts import Artifacts

P = ParamSpec("P")
Shared = TypeVar("Shared")

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
        self._remembered: dict[Any, Any] = {}

    def once(self, function: Callable[Concatenate[Measurement, P], Shared], *words: P.args, **more: P.kwargs) -> Shared:
        """function(self, *words), computed when it is first asked for: how metrics share what is slow.

        A family of metrics keeps such functions beside its metrics, so a new family edits no other file. An error is
        not remembered: the next metric that asks gets it anew.
        """
        key = (function, words, tuple(sorted(more.items())))
        if key not in self._remembered:
            self._remembered[key] = function(self, *words, **more)
        return self._remembered[key]

    @cached_property
    def artifacts(self) -> Artifacts:
        """Where networks that are trained once a data set are kept."""
        return self._artifacts or _own_artifacts(self.device)

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
        array = made[part] if part in made else getattr(self.data, part).pixels
        assert array is not None
        return array

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
        """By class of the held-out target images, the features of outputs that should be of it and of theirs;
        None where either set is too small or all the same."""
        for part in ("outputs", "reference"):
            check_set(part, FEWEST, self.pixels(part))
        rows = self._class_rows()
        if not rows:
            raise Undefined("the data set has no class labels")
        if not any(rows.values()):
            raise TooFew(f"no class has {FEWEST} outputs and {FEWEST} held-out target images")
        outputs, reference = self.features(network, "outputs"), self.features(network, "reference")
        return {name: None if pair is None else (outputs[pair[0]], reference[pair[1]]) for name, pair in rows.items()}

    def _class_rows(self) -> dict[str, tuple[np.ndarray, np.ndarray] | None]:
        """The rows of the outputs and of the held-out target images of each class; None where either set is too small
        or all the same."""
        made, real = self.classes(self.expected_labels), self.classes(self.data.reference.labels)
        pairs: dict[str, tuple[np.ndarray, np.ndarray] | None] = {}
        for name, rows in real.items():
            mine = made.get(name, np.array([], np.int64))
            try:
                check_set("outputs", FEWEST, self.outputs.images[mine])
                check_set("reference", FEWEST, self.data.reference.pixels[rows])
                pairs[name] = mine, rows
            except Undefined:
                pairs[name] = None
        return pairs

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The name of each label, also of one that the data set does not name."""
        data, outputs = self.data, self.outputs
        parts = [data.source_train.labels, data.known_target.labels, data.reference.labels, outputs.source_labels]
        n = int(np.concatenate(parts).max(initial=-1)) + 1
        return tuple(data.label_names[:n]) + tuple(str(i) for i in range(len(data.label_names), n))

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


def _own_artifacts(device: str) -> Artifacts:
    from bench.core.paths import artifacts_folder
    from bench.core.progress import Quiet
    from bench.training.artifacts import Artifacts
    from bench.training.compute import Compute
    from bench.training.loop import Loop

    return Artifacts(artifacts_folder(), Loop(Compute.choose(device), Quiet()))


def check_set(name: str, fewest: int, *parts: Pixels) -> None:
    """Undefined where there are too few images (n, 3, R, R) for a statistic of a set, or all are the same."""
    n = sum(map(len, parts))
    if n < fewest:
        raise TooFew(f"images in {name}: {n}; at least {fewest} are needed")
    images = (image for part in parts for image in part)
    first = next(images, None)
    if n > 1 and first is not None and all(np.array_equal(image, first) for image in images):
        raise Undefined(f"all {n} images in {name} are identical")
