"""The other direction, where a method has both: held-out target images translated to the source domain.

Measured against held-out source images. What is scarce here is what the method learnt to read, not what it makes.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.data import Undefined, Value
from bench.metrics.frechet import frechet_distance
from bench.metrics.kernel import kernel_distance, kernel_value
from bench.metrics.registry import metric

if TYPE_CHECKING:
    from bench.metrics.measurement import Measurement


@metric(better="lower", range=(-inf, inf), needs=("effnet-lite0",), scale=1000)
def kd_effnet_back(m: Measurement) -> Value:
    """kd_effnet of the other direction: held-out target images translated back, against held-out sources (x1000)"""
    return kernel_value(kernel_distance(*_sets(m, "effnet")))


@metric(better="lower", range=(0, inf), needs=("effnet-lite0",))
def fd_effnet_back(m: Measurement) -> Value:
    """fd_effnet of the other direction: held-out target images translated back, against held-out sources"""
    return _frechet(m, "effnet")


@metric(better="lower", range=(-inf, inf), needs=("inception",), scale=1000)
def kid_back(m: Measurement) -> Value:
    """kid of the other direction: held-out target images translated back, against held-out sources (x1000)"""
    return kernel_value(kernel_distance(*_sets(m, "inception")))


@metric(better="lower", range=(0, inf), needs=("inception",))
def fid_back(m: Measurement) -> Value:
    """fid of the other direction: held-out target images translated back, against held-out sources"""
    return _frechet(m, "inception")


def _frechet(m: Measurement, network: str) -> Value:
    made, sources = _sets(m, network)
    return Value(max(0.0, frechet_distance(made, sources)), n_gen=len(made), n_ref=len(sources))


def _sets(m: Measurement, network: str) -> tuple[np.ndarray, np.ndarray]:
    if m.outputs.backward is None or m.outputs.sources is None:
        raise Undefined("no target images translated back: one direction only, or a run from before they were stored")
    return m.two_sets(network, "backward", "sources")
