"""A trained method that translates any images, with references, classes and noise that are drawn or chosen."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import UserError, unknown
from bench.runs.record import Record
from bench.runs.spec import RunSpec
from bench.runs.translate import BATCH, finite_pixels
from bench.training.compute import Compute
from bench.training.loop import Diverged
from bench.training.method import Method, Task


@dataclass(frozen=True)
class References:
    """The target training images that translations are guided by.

    images   gives uint8 (n, 3, R, R) for the positions int64 (n,)
    classes  int64, one a reference, as the method means them
    names    what the classes of the method are called, by class
    """

    images: Callable[[np.ndarray], np.ndarray]
    classes: np.ndarray
    names: dict[int, str]


@dataclass(frozen=True)
class Guide:
    """What leads to one of the translations of a source.

    reference  uint8 (3, R, R), for methods that are guided by one
    label      class of the reference or of the source, as the method means it; None where it is not known
    seed       of the noise
    """

    reference: np.ndarray | None
    label: int | None
    seed: tuple[int, int]


@dataclass(frozen=True)
class Trained:
    """A method with the weights of a finished run.

    name    what messages call it
    task    what the method knew of its data
    record  of the run
    """

    name: str
    spec: RunSpec
    task: Task
    method: Method
    compute: Compute
    record: Record
    references: References

    @property
    def resolution(self) -> int:
        return self.task.resolution

    def guides(
        self,
        count: int = 1,
        seed: int = 0,
        label: str | int | None = None,
        references: np.ndarray | Sequence[np.ndarray] | None = None,
    ) -> list[Guide]:
        """One guide for each translation that is wanted of a source.

        count       how many, where no references are given
        seed        of the noise and of the choice of references
        label       name or number of the class
        references  uint8 (3, R, R) each: one guide a reference

        Raises UserError for what the method cannot be guided by.
        """
        chosen = self.label_of(label)
        if references is not None:
            return self._by_own_references(references, chosen, seed)
        if count > 1 and not self._varies(chosen):
            raise UserError(f"{self.name} gives one translation a source: {self.spec.method} draws nothing")
        return [self._drawn(number, chosen, seed) for number in range(count)]

    def translate(self, sources: np.ndarray, guide: Guide, start: int = 0) -> np.ndarray:
        """uint8 (N, 3, R, R) -> uint8 (N, 3, R, R). Equal calls give equal images.

        start  the number of the first source, a multiple of 32, where many are translated piece by piece

        Raises UserError where what the network makes is not finite.
        """
        return np.concatenate([self._checked(steps[-1]) for steps in self._batches(sources, guide, start, False)])

    def steps(self, sources: np.ndarray, guide: Guide, start: int = 0) -> list[np.ndarray]:
        """`translate` with every image on the way, uint8 (N, 3, R, R) each; the last one is the translation."""
        parts = [[self._checked(image) for image in steps] for steps in self._batches(sources, guide, start, True)]
        return [np.concatenate(images) for images in zip(*parts)]

    def back(self, images: np.ndarray, seed: int = 0, start: int = 0) -> np.ndarray:
        """Images of the target domain, uint8 (N, 3, R, R), to the source domain.

        Raises UserError where the method learns one direction only.
        """
        parts = []
        for first in range(0, len(images), BATCH):
            rng = self._noise((seed, 0), start + first)
            with torch.inference_mode(), self.compute.passes():
                made = self.method.translate_back(self.compute.images(images[first : first + BATCH]), rng)
            if made is None:
                raise UserError(f"{self.name} has no way back: {self.spec.method} learns one direction only")
            parts.append(self._checked(made))
        return np.concatenate(parts)

    def label_of(self, label: str | int | None) -> int | None:
        """The class with this number; of a text the class with this name, or else the one with this number.

        Raises UserError where there is none, or where the method takes none.
        """
        if label is None:
            return None
        names = self.labels
        if not names:
            raise UserError(f"{self.name} takes no label: {self.spec.method} does not translate to a class")
        known: dict[str | int, int] = {number: number for number in names}
        known.update((str(number), number) for number in names)
        known.update((name, number) for number, name in names.items())
        if label not in known:
            raise unknown("label", str(label), names.values(), f"({self.name})")
        return known[label]

    @property
    def labels(self) -> dict[int, str]:
        """The classes that can be asked for, by number: those of the target, or those of the sources for a method that
        wants to know what class a source is of; empty where the method takes none."""
        if self.method.label_of == "source":
            return dict(enumerate(self.task.label_names))
        if not self.method.class_conditional:
            return {}
        numbers = [int(number) for number in np.unique(self.references.classes)]
        return {number: self.references.names.get(number, str(number)) for number in numbers}

    def _varies(self, label: int | None) -> bool:
        several_classes = self.method.label_of == "reference" and len(self.labels) > 1 and label is None
        return self.method.guidance != "none" or several_classes

    def _by_own_references(
        self, references: np.ndarray | Sequence[np.ndarray], label: int | None, seed: int
    ) -> list[Guide]:
        if self.method.guidance != "reference":
            raise UserError(f"{self.name} takes no reference: {self.spec.method} is not guided by one")
        if self.method.class_conditional and label is None:
            if len(self.labels) > 1:
                names = ", ".join(self.labels.values())
                raise UserError(f"say with --label which class the reference shows; {self.name} knows {names}")
            label = next(iter(self.labels))
        return [Guide(reference, label, (seed, number)) for number, reference in enumerate(references)]

    def _drawn(self, number: int, label: int | None, seed: int) -> Guide:
        """A reference of the target training images, and its class."""
        if self.method.label_of == "source":
            return Guide(None, -1 if label is None else label, (seed, number))
        classes = self.references.classes
        among = np.arange(len(classes)) if label is None else np.flatnonzero(classes == label)
        pick = among[np.random.default_rng([seed, number]).integers(len(among), size=1)]
        guided = self.method.guidance == "reference"
        return Guide(self.references.images(pick)[0] if guided else None, int(classes[pick[0]]), (seed, number))

    def _batches(self, sources: np.ndarray, guide: Guide, start: int, steps: bool) -> Iterator[list[Tensor]]:
        for first in range(0, len(sources), BATCH):
            images = self.compute.images(sources[first : first + BATCH])
            reference, label = self._repeated(guide, len(images))
            rng = self._noise(guide.seed, start + first)
            with torch.inference_mode(), self.compute.passes():
                translate = self.method.translate_steps if steps else self._at_once
                yield translate(images, reference, rng, label)

    def _at_once(
        self, source: Tensor, reference: Tensor | None, rng: torch.Generator, label: Tensor | None
    ) -> list[Tensor]:
        return [self.method.translate(source, reference, rng, label)]

    def _repeated(self, guide: Guide, n: int) -> tuple[Tensor | None, Tensor | None]:
        reference = label = None
        if guide.reference is not None:
            reference = self.compute.images(np.repeat(guide.reference[None], n, axis=0))
        if guide.label is not None:
            label = self.compute.tensor(np.full(n, guide.label, np.int64))
        return reference, label

    def _noise(self, seed: tuple[int, int], start: int) -> torch.Generator:
        drawn = int(np.random.default_rng([*seed, start]).integers(2**62))
        return torch.Generator(self.compute.device).manual_seed(drawn)

    def _checked(self, images: Tensor) -> np.ndarray:
        try:
            return finite_pixels(images)
        except Diverged as error:
            raise UserError(f"{self.name}: {error}; take another run") from None
