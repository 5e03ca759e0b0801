"""Held-out source images -> the images that are measured."""

import time
import zlib

import numpy as np
import torch

from bench.core.progress import Reporter
from bench.data.task import Domain, TaskData, companions
from bench.metrics.data import Outputs
from bench.runs.outputs import outputs_of
from bench.training.compute import Compute, to_uint8
from bench.training.loop import Diverged
from bench.training.method import Method

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

    def everything(self) -> Outputs:
        """All that is measured of this method."""
        translated = self.held_out()
        made = {
            "images": translated,
            "diverse": self.diverse(),
            "reference_labels": self._reference_labels(),
            "returned": self._back(translated),
            "backward": self._back(self._data.target_test.images()),
            "alignment": self._alignment(),
            "modes": self._method.source_modes(),
        }
        return outputs_of(self._data, made)

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
        picks, noise = self._picks(len(rows), purpose), self._noise(purpose)
        parts = []
        started = time.monotonic()
        for start in range(0, len(rows), BATCH):
            part = slice(start, start + BATCH)
            parts.append(self._batch(rows[part], picks[part], noise))
            if stage:
                self._reporter.tick(stage, min(start + BATCH, len(rows)), len(rows), started=started)
        return np.concatenate(parts)

    def multiply_adds(self) -> int:
        """The multiply-adds of the translation of one image, counted in convolutions, products of matrices and
        attention.

        The counter hooks the gradient of whatever requires one, also where none is computed, and fails on parametrised
        weights; so meanwhile no parameter requires one.
        """
        from torch.utils.flop_counter import FlopCounterMode

        trained = [p for module in self._method.modules() for p in module.parameters() if p.requires_grad]
        try:
            for parameter in trained:
                parameter.requires_grad_(False)
            with FlopCounterMode(display=False) as counter:
                self._batch(np.zeros(1, np.int64), np.zeros(1, np.int64), self._noise("multiply-adds"))
        finally:
            for parameter in trained:
                parameter.requires_grad_()
        return int(counter.get_total_flops()) // 2

    def _key(self, purpose: str) -> list[int]:
        return [self._seed, zlib.crc32(purpose.encode())]

    def _picks(self, n: int, purpose: str) -> np.ndarray:
        """The target training image that each of n outputs takes as its reference."""
        return np.random.default_rng(self._key(purpose)).integers(0, len(self._data.target_train), n)

    def _noise(self, purpose: str) -> torch.Generator:
        seed = int(np.random.default_rng([*self._key(purpose), 1]).integers(2**62))
        return torch.Generator(self._compute.device).manual_seed(seed)

    def _reference_labels(self) -> np.ndarray | None:
        """The data set's label of each held-out translation's reference, where the method looks at it."""
        method = self._method
        if method.companion or method.label_of == "source":
            return None
        if method.guidance != "reference" and not method.class_conditional:
            return None
        return self._data.target_train.labels[self._picks(len(self._data.source_test), "translate")]

    def _back(self, target: np.ndarray) -> np.ndarray | None:
        """Images of the target domain translated to the source; None where the method learns one direction only."""
        noise = self._noise("back")
        parts = []
        for start in range(0, len(target), BATCH):
            with torch.inference_mode(), self._compute.passes():
                images = self._method.translate_back(self._compute.images(target[start : start + BATCH]), noise)
            if images is None:
                return None
            parts.append(finite_pixels(images))
            self._reporter.tick("translate back", min(start + BATCH, len(target)), len(target))
        return np.concatenate(parts)

    def _alignment(self) -> np.ndarray | None:
        """Cosine between the bottlenecks of a held-out source and of its ground truth, (scenes,); thesis eq. 4.16."""
        rows = np.flatnonzero(self._data.truth >= 0)
        source, target = self._data.source_test, self._data.target_test
        parts = []
        for start in range(0, len(rows), BATCH):
            chosen = rows[start : start + BATCH]
            pairs = [(source, chosen), (target, self._data.truth[chosen])]
            codes = []
            for domain, index in pairs:
                with torch.inference_mode(), self._compute.passes():
                    code = self._method.bottleneck(self._compute.images(domain.images(index)), domain.name)
                if code is None:
                    return None
                codes.append(code.flatten(1).double())
            parts.append(torch.nn.functional.cosine_similarity(codes[0], codes[1]).cpu().numpy())
        return np.concatenate(parts) if parts else None

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
        pixels = finite_pixels(images)
        self.seconds += time.perf_counter() - clock
        if pixels.shape != tuple(source.shape):
            raise ValueError(f"{type(self._method).__name__}.translate gave {pixels.shape} for {tuple(source.shape)}")
        return pixels


def finite_pixels(images: torch.Tensor) -> np.ndarray:
    """What a method made, float (N, C, H, W) in [-1, 1], as uint8. Raises Diverged where a value is not finite: as
    uint8 it would be black, and a run that failed would look like one that is done."""
    if not torch.isfinite(images).all():
        raise Diverged("the method makes images that are not finite")
    return to_uint8(images)
