"""Measuring: pure functions on features, a table of metrics, and `evaluate`, which every row goes through.

    from bench.metrics import METRICS, Images, Outputs, Reference, evaluate
    values = evaluate(outputs, data, device="cpu", report=print)   # {"kd_effnet": Value(...), ...}

Importing this loads neither torch nor SciPy.
"""

from bench.metrics.data import Images, Outputs, Reference, Value
from bench.metrics.evaluate import evaluate
from bench.metrics.registry import METRICS, Metric, default_names, find

__all__ = ["METRICS", "Images", "Metric", "Outputs", "Reference", "Value", "default_names", "evaluate", "find"]
