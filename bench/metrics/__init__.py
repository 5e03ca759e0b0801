"""Measuring: pure functions on features, a table of metrics, and `evaluate`, which every row goes through.

    from bench.metrics import METRICS, Images, Outputs, Reference, evaluate
    values = evaluate(outputs, data, device="cpu", report=print)   # {"kd_effnet": Value(...), ...}

    from bench.metrics import RunningMetrics, fd   # for scripts and training loops
    fd(made, real).value                           # of folders, arrays, tensors, loaders or features
    psnr(made, truth)                              # image by image: float64 (n,)

Importing this loads neither torch nor SciPy.
"""

from bench.metrics.by_image import l1, lpips, lpips_diversity, psnr, share_translated
from bench.metrics.data import Images, Outputs, Reference, Value
from bench.metrics.evaluate import evaluate
from bench.metrics.library import (
    authentic_share,
    c_t,
    cmmd,
    coverage,
    density,
    fd,
    kd,
    kmmd,
    mean_variance,
    nn_ratio,
    nn_share_p1,
    precision,
    recall,
)  # fmt: skip
from bench.metrics.of_features import Measured
from bench.metrics.registry import METRICS, Metric, default_names, find
from bench.metrics.running import RunningMetrics

__all__ = [
    "METRICS", "Images", "Measured", "Metric", "Outputs", "Reference", "RunningMetrics", "Value", "authentic_share",
    "c_t", "cmmd", "coverage", "default_names", "density", "evaluate", "fd", "find", "kd", "kmmd", "l1", "lpips",
    "lpips_diversity", "mean_variance", "nn_ratio", "nn_share_p1", "precision", "psnr", "recall", "share_translated",
]  # fmt: skip
