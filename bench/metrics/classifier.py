"""Linear classifiers on features: is the content kept, does an output look like the target domain?"""

from __future__ import annotations

import numpy as np

from bench.metrics import intervals
from bench.metrics.data import Undefined, Value
from bench.metrics.distances import some
from bench.metrics.measurement import Measurement, check_set
from bench.metrics.registry import metric

PENALTY = 100.0  # L2; features are standardised and outnumber the images


class LinearClassifier:
    """Multinomial logistic regression on standardised features (n, d), trained on groups of equal total weight."""

    def __init__(self, features: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> None:
        """`labels` and `groups` are int64 (n,): however many images a group has, all groups weigh the same."""
        from sklearn.linear_model import LogisticRegression

        weight = balanced(groups)
        self._mean = weight @ features
        self._scale = np.sqrt(weight @ (features - self._mean) ** 2) + 1e-8
        self._model = LogisticRegression(C=1 / PENALTY, max_iter=2000, tol=1e-4)
        self._model.fit((features - self._mean) / self._scale, labels, sample_weight=weight * len(features))

    def predict(self, features: np.ndarray) -> np.ndarray:
        """The most likely label of each row of features (m, d): int64 (m,)."""
        return self._model.predict((features - self._mean) / self._scale)


def balanced(groups: np.ndarray) -> np.ndarray:
    """Weights (n,) that sum to one, and to the same for every group."""
    _, index, count = np.unique(groups, return_inverse=True, return_counts=True)
    weight = 1 / count[index]
    return weight / weight.sum()


def class_classifier(m: Measurement) -> LinearClassifier:
    """Trained on the labelled training images of both domains; each class of each domain weighs the same."""
    labels = np.concatenate([m.data.source_train.labels, m.data.target_train.labels])
    labelled = labels >= 0
    if len(np.unique(labels[labelled])) < 2:
        raise Undefined("the data set has no class labels")
    features, labels, domains = m.once(_training_set)
    classes = labels[labelled]
    return LinearClassifier(features[labelled], classes, classes * 2 + domains[labelled])


def domain_classifier(m: Measurement) -> LinearClassifier:
    """1 for target, 0 for source; trained on equally many training images of both.

    Equal weights instead of equal numbers would favour the larger domain: the smaller one is fitted by heart.
    """
    features, _, domains = m.once(_training_set)
    source, target = np.flatnonzero(domains == 0), np.flatnonzero(domains == 1)
    n = min(len(source), len(target))
    if not n:
        raise Undefined("one of the domains has no training images")
    chosen = np.concatenate([some(features[source], n), some(features[target], n)])
    labels = np.repeat(np.array([0, 1], np.int64), n)
    return LinearClassifier(chosen, labels, labels)


def _training_set(m: Measurement) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels and domains (0 source, 1 target) of all training images."""
    source, target = m.data.source_train, m.data.target_train
    if len(source) + len(target):
        check_set("the training images", 2, source.pixels, target.pixels)
    features = np.concatenate([m.features("effnet", "source_train"), m.features("effnet", "target_train")])
    domains = np.repeat(np.array([0, 1], np.int64), [len(source), len(target)])
    return features, np.concatenate([source.labels, target.labels]), domains


@metric(better="higher", range=(0, 1), needs=("effnet-lite0",))
def class_kept(m: Measurement) -> Value:
    """Share of outputs in the class of their source, by a linear classifier on EfficientNet-Lite0 features"""
    return _accuracy(m, "outputs", m.outputs.source_labels)


@metric(better=None, range=(0, 1), needs=("effnet-lite0",))
def class_real(m: Measurement) -> Value:
    """Accuracy of the classifier of class_kept on held-out target images: what class_kept can reach"""
    return _accuracy(m, "reference", m.data.reference.labels)


@metric(better="higher", range=(0, 1), needs=("effnet-lite0",))
def target_share(m: Measurement) -> Value:
    """Share of outputs called target by a linear source-or-target classifier on EfficientNet-Lite0 features"""
    outputs = m.features("effnet", "outputs")
    trained_on = len(m.data.source_train) + len(m.data.target_train)
    return intervals.share(m.once(domain_classifier).predict(outputs) == 1, trained_on)


def _accuracy(m: Measurement, part: str, labels: np.ndarray) -> Value:
    labelled = labels >= 0
    if not labelled.any():
        raise Undefined("the data set has no class labels")
    classifier = m.once(class_classifier)
    right = classifier.predict(m.features("effnet", part)[labelled]) == labels[labelled]
    return intervals.share(right, len(m.data.source_train) + len(m.data.target_train))
