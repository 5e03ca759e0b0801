"""The order of images and the size of batches change no metric: every one, on real emoji images."""

from dataclasses import replace

import numpy as np
import pytest
from test_evaluate import emoji, part
from test_perceptual import trunk  # noqa: F401 (a fixture)

from bench.metrics import (
    METRICS,
    Images,
    Outputs,
    Reference,
    Value,
    evaluate,
    features,
    judge,
    perceptual,
    resnet,
    translated,
)

N = 24


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resnet, "STEPS", 6)
    monkeypatch.setattr(judge, "STEPS", 6)
    monkeypatch.setattr(translated, "FACTOR", 0.0)  # so little training gives no judge to be trusted
    monkeypatch.setattr(resnet, "BATCH", 8)


def case(order: np.ndarray, real: np.ndarray) -> tuple[Outputs, Reference]:
    """24 images of each part at 32 pixels, the outputs and all that goes with them in one order, real ones in another.

    Two classes, so that each has enough images.
    """
    held_out, data = emoji()
    pixels = held_out.images[:N, :, ::2, ::2]
    labels, rng = np.arange(N) % 2, np.random.default_rng(0)
    truth = data.reference.pixels[:N, :, ::2, ::2]
    made = pixels // 2 + truth // 2
    diverse = np.stack([made, pixels, truth, 255 - pixels], 1)[:8]
    several = np.argsort(order[order < 8].argsort())  # the first eight in their own order
    outputs = Outputs(
        made[order], labels[order], sources=pixels[order], truth=truth[order], diverse=diverse[several],
        reference_labels=labels[order], returned=pixels[order], alignment=rng.random(N)[order],
        backward=(255 - made)[order],
    )  # fmt: skip
    small = [
        Images(np.ascontiguousarray(images.pixels[:N, :, ::2, ::2]), labels)
        for images in (data.reference, data.target_train, data.source_train)
    ]
    parts = [part(images, real) for images in small]
    return outputs, Reference(*parts, label_names=("even", "odd"), far=10.0)


def values(names: list[str], order: np.ndarray, real: np.ndarray, kind: str) -> dict[str, Value]:
    outputs, data = case(order, real)
    return evaluate(outputs, replace(data, kind=kind), names)


@pytest.mark.usefixtures("trunk")
@pytest.mark.parametrize("kind", ["rgb", "labels", "depth"])
def test_order_and_batch_size_change_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    special = {"labels": ["miou", "pixel_accuracy"], "depth": [n for n in METRICS if n.startswith("depth_")]}
    rest = [name for name in METRICS if name not in special["labels"] + special["depth"]]
    names = special.get(kind, rest)
    straight = np.arange(N)
    first = values(names, straight, straight, kind)
    mixed = [np.random.default_rng(seed).permutation(N) for seed in (1, 2)]
    second = values(names, mixed[0], mixed[1], kind)
    monkeypatch.setitem(features.BATCH, "cpu", 5)
    monkeypatch.setattr(perceptual, "BATCH", 3)
    third = values(names, straight, straight, kind)
    measured = {name for name in names if first[name].value is not None}
    without = {name for name in names if "inception" in METRICS[name].needs or "clip" in str(METRICS[name].needs)}
    without |= {"identity_distance", "user_preference_pct", "fd_dinov2"}
    without |= {"modes_nmi"}  # of training images alone
    assert measured == set(names) - without
    for name in measured:
        for other in (second, third):
            assert other[name].value == pytest.approx(first[name].value, rel=1e-6, abs=1e-6), name
            lows = [0.0 if found.low is None else found.low for found in (other[name], first[name])]
            assert lows[0] == pytest.approx(lows[1], rel=1e-4, abs=1e-5), name
