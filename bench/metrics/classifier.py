"""Linear classifiers on features: is the content kept, does an output look like the target domain?"""

import numpy as np

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
