"""Does mode finding find what is there? Classes of the source's training images against the hidden labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.data import Undefined, Value
from bench.metrics.registry import metric

if TYPE_CHECKING:
    from bench.metrics.measurement import Measurement


@metric(better="higher", range=(0, 1), default=False)
def modes_nmi(m: Measurement) -> Value:
    """Mutual information of the source's modes and its hidden labels, over the mean of their entropies (NMI)

    1 where modes and labels are one partition, 0 where they are independent; of the source's training images that have
    a hidden label (`styles`: the style). The entropies' arithmetic mean, as in scikit-learn.
    """
    modes, hidden = m.outputs.modes, m.data.hidden
    if hidden is None:
        raise Undefined("the data set has no hidden labels")
    if modes is None:
        raise Undefined("the method has put the source images into no classes")
    rows = hidden >= 0
    return Value(normalised_mutual_information(modes[rows], hidden[rows]), n_gen=int(rows.sum()), n_ref=int(rows.sum()))


def normalised_mutual_information(a: np.ndarray, b: np.ndarray) -> float:
    """2 I(a; b) / (H(a) + H(b)) of two labellings, int64 (n,) each; 0 where both have one class alone."""
    from sklearn.metrics import normalized_mutual_info_score  # slow to import

    if a.min() == a.max() and b.min() == b.max():
        return 0.0  # where scikit-learn says 1
    return float(normalized_mutual_info_score(a, b))
