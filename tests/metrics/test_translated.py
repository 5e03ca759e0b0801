"""`translated` and its kin, on domains and classes that a small judge cannot mistake."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bench.metrics import Images, Outputs, Reference, Value, anchors, evaluate, judge, resnet

COLOURS = ("red", "green", "blue", "white")
DARK, BRIGHT = 60, 220


def coloured(kinds: list[int], brightness: int, seed: int) -> np.ndarray:
    """Noisy images (n, 3, 16, 16), each with a square of one of the COLOURS at a place of its own."""
    rng = np.random.default_rng(seed)
    found = rng.integers(0, 30, (len(kinds), 3, 16, 16))
    for image, kind in zip(found, kinds):
        top, left = rng.integers(0, 8, 2)
        channels = slice(None) if kind == 3 else kind
        image[channels, top : top + 8, left : left + 8] += brightness
        image += brightness // 8
    return found.clip(0, 255).astype(np.uint8)


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "STEPS", 150)
    monkeypatch.setattr(resnet, "BATCH", 16)


def reference(target_kinds: list[int] | None = None, labelled: bool = True) -> Reference:
    kinds = [0, 1, 2, 3] * 15
    wanted = kinds if target_kinds is None else target_kinds

    def images(kinds: list[int], brightness: int, seed: int) -> Images:
        labels = np.array(kinds) if labelled else np.full(len(kinds), -1)
        return Images(coloured(kinds, brightness, seed), labels)

    return Reference(
        reference=images(wanted[:28], BRIGHT, 1),
        target_train=images(wanted, BRIGHT, 2),
        source_train=images(kinds, DARK, 3),
        label_names=COLOURS if labelled else (),
        source_test=images(kinds[:28], DARK, 4),
    )


def outputs_of(data: Reference, images: np.ndarray) -> Outputs:
    assert data.source_test is not None
    sources = np.asarray(data.source_test.pixels)
    return Outputs(images, data.source_test.labels, sources, truth=np.asarray(data.reference.pixels))


@pytest.fixture
def measured() -> Callable[..., dict[str, Value]]:
    def found(data: Reference, images: np.ndarray, *names: str) -> dict[str, Value]:
        return evaluate(outputs_of(data, images), data, names)

    return found


def test_an_output_counts_if_it_looks_like_the_target_and_has_its_sources_class(
    measured: Callable[..., dict[str, Value]],
) -> None:
    """Of 28 outputs the first four are untouched sources, the last four of another class, twenty are right."""
    data = reference()
    kinds = [0, 1, 2, 3] * 7
    images = coloured([*kinds[:24], *((kind + 1) % 4 for kind in kinds[24:])], BRIGHT, 7)
    images[:4] = coloured(kinds[:4], DARK, 8)
    found = measured(data, images, "translated", "translated_real", "translated_source")
    assert found["translated"].value == pytest.approx(20 / 28)
    assert (found["translated"].n_gen, found["translated"].n_ref) == (28, 120)
    assert found["translated"].parts == dict.fromkeys(COLOURS, pytest.approx(5 / 7))
    assert found["translated_real"].value == 1
    assert found["translated_source"].value == 0


def test_without_common_classes_the_target_alone_counts(measured: Callable[..., dict[str, Value]]) -> None:
    data = reference(labelled=False)
    images = coloured([0, 1, 2, 3] * 7, BRIGHT, 7)
    images[:4] = coloured([0, 1, 2, 3], DARK, 8)
    assert measured(data, images, "translated")["translated"].value == pytest.approx(24 / 28)


def test_no_value_where_the_untouched_sources_pass(measured: Callable[..., dict[str, Value]]) -> None:
    """Held-out sources that are target images: doing nothing would score 1."""
    data = reference()
    data = replace(data, source_test=data.reference)
    value = measured(data, np.asarray(data.reference.pixels), "translated")["translated"]
    assert value.value is None and value.reason is not None
    assert "1.00 of untouched sources, less than 3 times as many" in value.reason


def test_no_value_where_any_target_image_has_the_class(measured: Callable[..., dict[str, Value]]) -> None:
    """All held-out images are red: a copier would keep every class."""
    data = reference(target_kinds=[0] * 57 + [1, 2, 1])
    assert data.source_test is not None
    data = replace(data, source_test=Images(coloured([0] * 28, DARK, 4), np.zeros(28, np.int64)))
    value = measured(data, coloured([0] * 28, BRIGHT, 5), "translated")["translated"]
    assert value.value is None and value.reason is not None
    assert "1.00 of target images of a random class" in value.reason


def test_truth_is_retrieved_where_the_output_is_the_truth(measured: Callable[..., dict[str, Value]]) -> None:
    data = reference()
    truth = np.asarray(data.reference.pixels)
    images = truth.copy()
    images[:4] = truth[4:8]  # of the same classes, but not their own
    assert measured(data, images, "truth_retrieved")["truth_retrieved"].value == pytest.approx(24 / 28)


def test_no_retrieval_where_the_sources_find_their_truth_already(measured: Callable[..., dict[str, Value]]) -> None:
    data = reference()
    data = replace(data, source_test=data.reference)
    value = measured(data, np.asarray(data.reference.pixels), "truth_retrieved")["truth_retrieved"]
    assert value.value is None and "1.00 of the untouched sources" in str(value.reason)


def test_distance_on_the_judges_features_is_large_for_sources_and_none_for_the_target(
    measured: Callable[..., dict[str, Value]],
) -> None:
    data = reference()
    assert data.source_test is not None
    far = measured(data, np.asarray(data.source_test.pixels), "kd_judge")["kd_judge"].value
    near = measured(data, coloured([0, 1, 2, 3] * 7, BRIGHT, 9), "kd_judge")["kd_judge"].value
    assert far is not None and near is not None and far > 10 * abs(near)


def test_the_anchor_truth_leaves_out_sources_without_truth() -> None:
    data = reference()
    made = outputs_of(data, np.asarray(data.source_test.pixels)) if data.source_test else None
    assert made is not None
    known = np.arange(28) % 2 == 0
    exact, _ = anchors.truth(replace(made, has_truth=known), data)
    assert (exact.images == np.asarray(data.reference.pixels)[::2]).all()
    blurred, _ = anchors.truth_blurred(replace(made, has_truth=known), data)
    assert 0 < np.abs(blurred.images.astype(int) - exact.images).mean() < 20
