"""Measures while training, on training images alone: nothing that is held out is seen, so choosing by it is fair.

The images of the split are trained on like all others, since a run must not depend on whether somebody looks on. So a
curve says when a training improves and when it falls apart; it does not say that images were copied.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from bench.core.progress import Reporter
from bench.data.task import Domain, TaskData
from bench.metrics.data import Value
from bench.metrics.evaluate import evaluate
from bench.runs.measure import reference_of
from bench.runs.outputs import outputs_of
from bench.runs.translate import Translator
from bench.training import log
from bench.training.compute import Compute
from bench.training.log import Line
from bench.training.loop import Diverged
from bench.training.method import Method

METRICS = (log.CHOOSES, "precision_effnet", "recall_effnet")  # all on the features of one small network
SOURCES = 128  # training sources that are translated, at most
TARGETS = 128  # target training images that they are measured against, at most


def split(data: TaskData) -> TaskData:
    """The task with training images in the place of the held-out ones.

    Of the sources at most SOURCES, evenly spread in the bank; of the target subset every second image, at most TARGETS.
    Nothing is known of pairs.
    """
    source, target = data.source_train, data.target_train
    rows = np.linspace(0, len(source) - 1, min(SOURCES, len(source))).astype(int)
    sources = Domain(source.name, source.bank, source.rows[rows])
    return replace(
        data,
        source_test=sources,
        target_test=Domain(target.name, target.bank, target.rows[::2][:TARGETS]),
        truth=np.full(len(sources), -1, np.int64),
        others_test=data.others,
    )


class Validation:
    """Measures a method while it trains. It draws from generators of its own and leaves torch's as they are."""

    def __init__(self, method: Method, data: TaskData, seed: int, compute: Compute, reporter: Reporter) -> None:
        """Raises Unfit where the method needs more than training images to translate one."""
        self._data = split(data)
        self._compute = replace(compute, amp="off")
        self._reporter = reporter
        self._translator = Translator(method, self._data, seed, compute, reporter)

    def line(self, step: int, images: int) -> Line:
        """What is measured now; None for what cannot be, with its reason said."""
        values = self._measured()
        for name, reason in {v.reason: (n, v.reason) for n, v in values.items() if v.value is None}.values():
            self._reporter.say(f"validation: no {name} at step {step}: {reason}")
        return Line(step, images, {f"validation/{name}": value.value for name, value in values.items()})

    def _measured(self) -> Mapping[str, Value]:
        cuda = [self._compute.device] if self._compute.device.type == "cuda" else []
        rows = np.arange(len(self._data.source_test))
        with torch.random.fork_rng(devices=cuda), self._compute.full_float32():
            try:
                images = self._translator.outputs(rows, "validate")
            except Diverged as error:  # training itself decides whether it has failed
                return {name: Value(None, reason=str(error)) for name in METRICS}
            made = outputs_of(self._data, {"images": images})
            return evaluate(made, reference_of(self._data), METRICS, str(self._compute.device), self._reporter.note)
