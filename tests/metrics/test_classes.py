"""Metrics of each class, on features that are plain means of pixels."""

import numpy as np
import pytest
from conftest import quarters
from pytorch_fid.fid_score import calculate_frechet_distance

from bench.metrics import Images, Outputs, Reference, evaluate
from bench.metrics.kernel import kernel_distance
from bench.metrics.precision_recall import covered

pytestmark = [
    pytest.mark.usefixtures("toy_effnet"),
    pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning"),
]
NAMES = ("cat", "dog", "emu")


def images(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.integers(0, 256, (n, 3, 8, 8), dtype=np.uint8)


def reference(rng: np.random.Generator, labels: np.ndarray) -> Reference:
    held_out, training = Images(images(rng, len(labels)), labels), Images(images(rng, 12), np.arange(12) % 2)
    return Reference(held_out, training, training, NAMES)


def pytorch_fid(x: np.ndarray, y: np.ndarray) -> float:
    moments = [(z.mean(0), np.cov(z, rowvar=False)) for z in (x, y)]
    return calculate_frechet_distance(*moments[0], *moments[1])


def test_each_class_by_itself_and_small_ones_left_out(rng: np.random.Generator) -> None:
    made, mine = images(rng, 60), np.repeat([0, 1, 2], [30, 28, 2])
    data = reference(rng, np.repeat([0, 1, 2], [25, 20, 9]))
    found = evaluate(Outputs(made, mine), data, ["mfd_effnet", "mkd_effnet"])
    x, y = quarters(made).astype(float), quarters(data.reference.pixels).astype(float)
    theirs = data.reference.labels
    frechet = [pytorch_fid(x[mine == c], y[theirs == c]) for c in (0, 1)]
    kernel = [kernel_distance(x[mine == c], y[theirs == c]).value for c in (0, 1)]
    assert found["mfd_effnet"].value == pytest.approx(np.mean(frechet), rel=1e-5)
    assert found["mfd_effnet"].parts == {"cat": pytest.approx(frechet[0], rel=1e-5), "dog": pytest.approx(
        frechet[1], rel=1e-5), "emu": None}  # fmt: skip
    assert found["mkd_effnet"].value == pytest.approx(np.mean(kernel), rel=1e-9)
    assert (found["mkd_effnet"].n_gen, found["mkd_effnet"].n_ref) == (58, 45)
    low, high = found["mkd_effnet"].low, found["mkd_effnet"].high
    assert low is not None and high is not None and low < np.mean(kernel) < high


def test_the_class_of_the_reference_counts_where_the_target_has_no_source_class(rng: np.random.Generator) -> None:
    data = reference(rng, np.repeat([1, 2], [20, 20]))
    data = Reference(data.reference, Images(images(rng, 8), np.repeat([1, 2], 4)), data.source_train, NAMES)
    made, kinds = images(rng, 40), np.repeat([2, 1], 20)
    of_another_kind = np.zeros(40, np.int64)
    told = evaluate(Outputs(made, of_another_kind, reference_labels=kinds), data, ["mfd_effnet"])["mfd_effnet"]
    same = evaluate(Outputs(made, kinds), data, ["mfd_effnet"])["mfd_effnet"]
    assert told.value is not None
    assert (told.value, told.parts) == (same.value, same.parts)
    untold = evaluate(Outputs(made, of_another_kind), data, ["mfd_effnet"])["mfd_effnet"]
    assert untold.reason == "no class has 3 outputs and 3 held-out target images"


def test_recall_of_each_class(rng: np.random.Generator) -> None:
    data = reference(rng, np.repeat([0, 1], [25, 20]))
    made = images(rng, 30) // 2 + 64
    found = evaluate(Outputs(made, np.full(30, -1)), data, ["recall_by_class_effnet"])["recall_by_class_effnet"]
    hit = covered(quarters(data.reference.pixels).astype(float), quarters(made).astype(float))
    parts = {"cat": hit[:25].mean(), "dog": hit[25:].mean()}
    assert found.parts == pytest.approx(parts)
    assert found.value == pytest.approx(np.mean(list(parts.values())))


def test_the_gap_of_the_frechet_distance_is_at_equal_numbers(rng: np.random.Generator) -> None:
    draw, made = images(rng, 96), images(rng, 40)
    labels = np.full(96, -1)
    held_out, training = Images(draw[:64], labels[:64]), Images(draw[64:], labels[64:])
    x, t = quarters(made).astype(float), quarters(training.pixels).astype(float)

    half = Images(draw[:32], labels[:32])
    found = evaluate(Outputs(made, labels[:40]), Reference(half, training, training), ["fd_effnet_gap"])
    y = quarters(half.pixels).astype(float)
    assert found["fd_effnet_gap"].value == pytest.approx(pytorch_fid(x, y) - pytorch_fid(x, t), rel=1e-4)

    copier = evaluate(Outputs(training.pixels, labels[:32]), Reference(held_out, training, training), ["fd_effnet_gap"])
    assert copier["fd_effnet_gap"].n_ref == 32
    assert copier["fd_effnet_gap"].value == pytest.approx(pytorch_fid(t, quarters(held_out.pixels)), rel=0.5)
