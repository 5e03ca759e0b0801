"""Do source and target of one scene meet in one place of the latent space? (M&MNets, thesis section 4.6.1)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics import intervals
from bench.metrics.data import Undefined, Value
from bench.metrics.registry import metric

if TYPE_CHECKING:
    from bench.metrics.measurement import Measurement


@metric(better="higher", range=(-1, 1))
def alignment_factor(m: Measurement) -> Value:
    """Cosine between the bottlenecks of source and target of a held-out scene, mean over scenes (thesis, eq. 4.16)"""
    cosines = m.outputs.alignment
    if cosines is None:
        raise Undefined("the method has no common bottleneck, or no held-out source has its ground truth")
    if len(cosines) < 2:
        raise Undefined("only one held-out source has its ground truth")
    return intervals.mean(cosines, len(cosines))
