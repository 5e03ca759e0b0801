"""What goes into measuring and what comes out: plain arrays, so that any program's images can be measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from bench.core.errors import UserError


class Rows:
    """Rows (int64, n) of a larger array, such as a memory map: `rows[index]` gathers these and reads nothing else."""

    def __init__(self, array: np.ndarray, rows: np.ndarray) -> None:
        self._array, self._rows = array, rows
        self.shape, self.dtype, self.ndim = (len(rows), *array.shape[1:]), array.dtype, array.ndim

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        return self._array[self._rows[index]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All of them: for whoever needs every image in memory."""
        return np.asarray(self[:], dtype)


Pixels = np.ndarray | Rows


@dataclass(frozen=True)
class Images:
    """Real images of one domain: uint8 (n, 3, R, R), with labels int64 (n,), -1 where there is none."""

    pixels: Pixels
    labels: np.ndarray

    def __post_init__(self) -> None:
        _check_pixels("real images", self.pixels)
        _check_length("labels of real images", self.labels, len(self.pixels))

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True)
class Outputs:
    """The translations that are measured, and what is known of their sources.

    images         uint8 (n, 3, R, R): image i is the translation of held-out source i
    source_labels  int64 (n,): the class of source i, -1 where there is none
    sources        uint8 (n, 3, R, R), or None where the images were not made from sources (the `real` anchor)
    truth          uint8 (n, 3, R, R): the ground truth of source i, or None where the data set has none
    has_truth      bool (n,): rows of `truth` that count; None means all of them
    diverse        uint8 (m, k, 3, R, R): k outputs for each of the first m sources; None for a deterministic method
    reference_labels  int64 (n,): the class of the reference or label that output i was made with; None where the method
                   takes none
    returned       uint8 (n, 3, R, R): output i translated back to the source domain; None where the method cannot
    backward       uint8 (m, 3, R, R): the held-out target images translated to the source domain; None where the
                   method cannot
    alignment      float64 (k,): cosine between the bottlenecks of source and target of k held-out scenes; None where
                   the method has no common bottleneck
    modes          int64 (k,): the class that the method has put each source training image into; None where it looks
                   for no classes
    """

    images: np.ndarray
    source_labels: np.ndarray
    sources: np.ndarray | None = None
    truth: np.ndarray | None = None
    has_truth: np.ndarray | None = None
    diverse: np.ndarray | None = None
    reference_labels: np.ndarray | None = None
    returned: np.ndarray | None = None
    backward: np.ndarray | None = None
    alignment: np.ndarray | None = None
    modes: np.ndarray | None = None

    def __post_init__(self) -> None:
        n = len(self.images)
        _check_pixels("outputs", self.images)
        _check_length("source labels", self.source_labels, n)
        for name, pixels in (
            ("sources", self.sources),
            ("ground truth", self.truth),
            ("returned images", self.returned),
        ):
            if pixels is not None:
                _check_pixels(name, pixels)
                _check_length(name, pixels, n)
        for name, facts in (("has_truth", self.has_truth), ("reference labels", self.reference_labels)):
            if facts is not None:
                _check_length(name, facts, n)
        if self.backward is not None:
            _check_pixels("target images translated back", self.backward)
        if self.diverse is not None:
            if self.diverse.ndim != 5:
                raise UserError(f"diverse outputs must be (sources, outputs, 3, R, R), not {self.diverse.shape}")
            _check_pixels("diverse outputs", self.diverse.reshape(-1, *self.diverse.shape[2:]))


@dataclass(frozen=True)
class Reference:
    """The real images that outputs are measured against.

    reference     held-out images of the target domain, never trained on
    target_train  the target subset that was trained on
    source_train  training images of the source domain, or those that the data set keeps for classifiers: what the
                  classifiers learn of it
    target_pool   all training images of the target domain, the subset among them, or those that the data set keeps for
                  classifiers: the classifiers that judge every size of subset alike learn from them; None where there
                  are no others
    source_test   the held-out sources, untouched; None where they are not known
    hidden        int64 (k,): the hidden label of each source training image (Dataset.hidden), -1 where it has none;
                  None where there are no hidden labels
    kind, far     what the target's images hold, and the largest depth in metres (bench.data.modality)
    """

    reference: Images
    target_train: Images
    source_train: Images
    label_names: tuple[str, ...] = ()
    target_pool: Images | None = None
    source_test: Images | None = None
    kind: str = "rgb"
    far: float = 0.0
    hidden: np.ndarray | None = None

    @property
    def known_target(self) -> Images:
        return self.target_train if self.target_pool is None else self.target_pool


class Value(msgspec.Struct, frozen=True):
    """One measured number; `value` is None exactly where `reason` says why there is none.

    low, high  95 % interval over images, None where no honest one exists (Frechet distances)
    n_gen      outputs that were measured; n_ref real images (or outputs' partners) they were measured against
    version    the metric's version; values of different versions are never compared
    parts      what the value is made of, by name: of a mean over classes the number of each, None where there is none
    study      the human study that the value comes from
    network    sha256 of the classifier behind the value, where it was trained on the data set: machines train their own
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n_gen: int | None = 0
    n_ref: int | None = 0
    reason: str | None = None
    version: int = 1
    parts: dict[str, float | None] | UnsetType = UNSET
    study: str | UnsetType = UNSET
    network: str | UnsetType = UNSET

    def to_dict(self) -> dict[str, Any]:
        """The value as JSON has it: `parts`, `study` and `network` only where there are some."""
        return msgspec.to_builtins(self)

    def checked(self, version: int) -> "Value":
        """This value with its version; one that is not a finite number becomes a reason."""
        if self.value is None:
            return replace(self, version=version)
        if not np.isfinite(self.value):
            return undefined("the computation gave no finite number", self.n_gen, self.n_ref, version)
        low, high = _finite(self.low), _finite(self.high)
        parts = {name: _finite(part) for name, part in self.parts.items()} if self.parts else self.parts
        return replace(self, value=float(self.value), low=low, high=high, version=version, parts=parts)


class Undefined(Exception):
    """This number does not exist for this input; the message says why. The table shows it in place of a value."""


class TooFew(Undefined):
    """More images would give this number."""


def _finite(number: float | None) -> float | None:
    return None if number is None or not np.isfinite(number) else float(number)


def undefined(reason: str, n_gen: int | None = 0, n_ref: int | None = 0, version: int = 1) -> Value:
    return Value(None, n_gen=n_gen, n_ref=n_ref, reason=reason, version=version)


def _check_pixels(what: str, pixels: Pixels) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1] != 3:
        raise UserError(f"{what} must be uint8 (n, 3, R, R), not {pixels.dtype} {pixels.shape}")


def _check_length(what: str, array: Pixels, expected: int) -> None:
    if len(array) != expected:
        raise UserError(f"{what}: {len(array)}, images: {expected}; there must be one each")
