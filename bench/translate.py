"""Held-out source images -> the images that are measured."""

import time
import zlib

import numpy as np
import torch

from bench.compute import Compute, to_uint8
from bench.method import Method
from bench.progress import Reporter
from bench.task import Domain, TaskData, companions

BATCH = 32  # fixed: noise is drawn batch by batch
DIVERSE_SOURCES = 100
DIVERSE_OUTPUTS = 10


class Translator:
    """Translates with codes and references drawn from the run's seed; equal calls give equal images."""

    def __init__(self, method: Method, data: TaskData, seed: int, compute: Compute, reporter: Reporter) -> None:
        self._method = method
        self._data = data
        self._seed = seed
        self._compute = compute
        self._reporter = reporter
        self._classes = np.asarray(method.target_classes(data), dtype=np.int64)
        self._companions = self._find_companions()
        self.seconds = 0.0  # inside translate

    def _find_companions(self) -> tuple[Domain, np.ndarray] | None:
        name = self._method.companion
        return None if name is None else (self._data.others_test[name], companions(self._data, name))

    def held_out(self) -> np.ndarray:
        """uint8 (n, C, R, R): every held-out source once."""
        return self.outputs(np.arange(len(self._data.source_test)), "translate", "translate")

    def diverse(self) -> np.ndarray | None:
        """uint8 (m, 10, C, R, R): 10 outputs for each of the first m <= 100 held-out sources; None where a source has
        one translation only."""
        if self._method.guidance == "none":
            return None
        count = min(DIVERSE_SOURCES, len(self._data.source_test))
        rows = np.repeat(np.arange(count), DIVERSE_OUTPUTS)
        flat = self.outputs(rows, "diversity", "translate for diversity")
        return flat.reshape(count, DIVERSE_OUTPUTS, *flat.shape[1:])

    def outputs(self, rows: np.ndarray, purpose: str, stage: str | None = None) -> np.ndarray:
        """Translations of these held-out sources; draws depend on the run's seed and on `purpose` alone."""
        key = [self._seed, zlib.crc32(purpose.encode())]
        picks = np.random.default_rng(key).integers(0, len(self._data.target_train), len(rows))
        noise = torch.Generator(self._compute.device).manual_seed(int(np.random.default_rng([*key, 1]).integers(2**62)))
        parts = []
        started = time.monotonic()
        for start in range(0, len(rows), BATCH):
            part = slice(start, start + BATCH)
            parts.append(self._batch(rows[part], picks[part], noise))
            if stage:
                self._reporter.tick(stage, min(start + BATCH, len(rows)), len(rows), started=started)
        return np.concatenate(parts)

    def _batch(self, rows: np.ndarray, picks: np.ndarray, noise: torch.Generator) -> np.ndarray:
        source = self._compute.images(self._data.source_test.images(rows))
        if self._companions is None:
            reference = self._compute.images(self._data.target_train.images(picks))
        else:
            domain, position = self._companions
            reference = self._compute.images(domain.images(position[rows]))
        of_source = self._method.label_of == "source"
        classes = self._data.source_test.labels[rows] if of_source else self._classes[picks]
        label = torch.from_numpy(classes).to(self._compute.device)
        clock = time.perf_counter()
        with torch.inference_mode(), self._compute.passes():
            images = self._method.translate(source, reference=reference, rng=noise, label=label)
        pixels = to_uint8(images)
        self.seconds += time.perf_counter() - clock
        if pixels.shape != tuple(source.shape):
            raise ValueError(f"{type(self._method).__name__}.translate gave {pixels.shape} for {tuple(source.shape)}")
        return pixels
