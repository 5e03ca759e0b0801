import csv
import io
import json
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.core.errors import UserError
from bench.metrics import METRICS, Images, Outputs, Reference, Value, anchors, evaluate

EMOJI = Path(__file__).parents[2] / "datasets" / "embedded" / "emoji64.zip"
SHARED = ["kd_effnet", "kd_effnet_train", "kd_effnet_gap", "recall_effnet", "nn_ratio", "nn_share_p1"]


@cache
def emoji() -> tuple[Outputs, Reference]:
    """A part of the real data at 64 pixels: 90 held-out sources and targets, 90 and 45 training images."""
    with zipfile.ZipFile(EMOJI) as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("index.csv"), encoding="utf-8")))
        names = tuple(sorted({row["category"] for row in rows}))

        def images(style: str, split: str, n: int) -> Images:
            chosen = [row for row in rows if row["split"] == split]
            chosen = [chosen[i] for i in np.random.default_rng(5).permutation(len(chosen))[:n]]
            files = [f"{style}/{split}/{row['category']}/{row['codepoints']}.png" for row in chosen]
            pixels = [np.asarray(Image.open(archive.open(file)).convert("RGB")).transpose(2, 0, 1) for file in files]
            return Images(np.stack(pixels), np.array([names.index(row["category"]) for row in chosen]))

        sources, targets = images("twemoji", "test", 90), images("noto", "test", 90)
        data = Reference(targets, images("noto", "train", 45), images("twemoji", "train", 90), names)
    held_out = Outputs(sources.pixels, sources.labels, sources=sources.pixels, truth=targets.pixels)
    return held_out, data


def value(found: dict[str, Value], name: str) -> float:
    number = found[name].value
    assert number is not None, found[name].reason
    return number


def test_anchor_rows_bracket_everything_on_real_images() -> None:
    held_out, data = emoji()
    floor = evaluate(*anchors.real(data), [*SHARED, "target_share", "class_kept"])
    ceiling = evaluate(*anchors.identity(held_out, data), [*SHARED, "target_share", "l1_truth"])
    memoriser = evaluate(*anchors.copies(held_out, data), [*SHARED, "class_kept"])

    low, high = floor["kd_effnet"].low, floor["kd_effnet"].high
    assert low is not None and high is not None and low < 0 < high
    assert value(ceiling, "kd_effnet") > value(floor, "kd_effnet")
    assert value(floor, "target_share") > value(ceiling, "target_share") + 0.2
    assert 0.8 < value(floor, "nn_ratio") < 1.2
    assert value(floor, "nn_share_p1") < 0.1
    assert 0.05 < value(ceiling, "l1_truth") < 0.3

    assert value(memoriser, "nn_ratio") == 0
    assert value(memoriser, "nn_share_p1") == 1
    assert value(memoriser, "kd_effnet_train") < 0 < value(memoriser, "kd_effnet_gap")
    assert value(memoriser, "recall_effnet") < value(floor, "recall_effnet")
    assert value(memoriser, "class_kept") < value(floor, "class_kept") - 0.2


def test_l1_and_the_mask_of_ground_truth_by_hand() -> None:
    _, data = emoji()
    images = np.zeros((4, 3, 64, 64), np.uint8)
    truth = np.stack([np.full((3, 64, 64), v, np.uint8) for v in (51, 102, 255, 255)])
    made = Outputs(images, np.full(4, -1), truth=truth, has_truth=np.array([True, True, False, False]))
    found = evaluate(made, data, ["l1_truth"])["l1_truth"]
    assert (found.value, found.n_gen, found.n_ref) == (pytest.approx(0.3), 2, 2)


def part(images: Images, rows: np.ndarray) -> Images:
    return Images(images.pixels[rows], images.labels[rows])


def test_order_does_not_matter() -> None:
    held_out, data = emoji()
    held_out = Outputs(held_out.images[:24], held_out.source_labels[:24])
    few = np.arange(24)
    data = Reference(part(data.reference, few), part(data.target_train, few), part(data.source_train, few))
    rows, train = np.random.default_rng(1).permutation(24), np.random.default_rng(2).permutation(24)

    other = Reference(part(data.reference, rows[::-1]), part(data.target_train, train), part(data.source_train, rows))
    made = Outputs(held_out.images[rows], held_out.source_labels[rows])
    names = ["kd_effnet", "fd_effnet", "precision_effnet", "nn_ratio", "class_kept", "target_share"]
    first, second = evaluate(held_out, data, names), evaluate(made, other, names)
    for name in names:
        assert value(first, name) == pytest.approx(value(second, name), rel=1e-9), name


def test_what_cannot_be_measured_has_a_reason_and_is_json() -> None:
    images = np.zeros((2, 3, 16, 16), np.uint8)
    images[1] = 255
    bare = Images(images, np.full(2, -1))
    found = evaluate(Outputs(images, np.full(2, -1)), Reference(bare, bare, Images(images[:0], bare.labels[:0])))
    assert list(found) == [name for name, metric in METRICS.items() if metric.default]
    for name, entry in found.items():
        assert (entry.value is None) == (entry.reason is not None), name
        assert json.dumps(entry.to_dict(), allow_nan=False)
    assert "images in outputs: 2; at least 3" in str(found["kd_effnet"].reason)
    assert "identical to training images" in str(found["nn_ratio"].reason)
    assert found["class_kept"].reason == "the data set has no class labels"
    assert found["target_share"].reason == "one of the domains has no training images"
    assert found["l1_truth"].reason == "there is no ground truth for these outputs"
    assert found["lpips_diversity"].reason == "one output for a source: nothing to compare"
    assert found["lpips_source"].reason == "these images were not made from sources"


def test_a_value_that_is_not_finite_becomes_a_reason() -> None:
    for bad in (float("nan"), float("inf")):
        assert Value(bad, 0.0, 1.0).checked(3).to_dict() == {
            "value": None, "low": None, "high": None, "n_gen": 0, "n_ref": 0,
            "reason": "the computation gave no finite number", "version": 3,
        }  # fmt: skip


def test_bad_arrays_are_named() -> None:
    images = np.zeros((3, 3, 8, 8), np.uint8)
    with pytest.raises(UserError, match="source labels: 2, images: 3; there must be one each"):
        Outputs(images, np.zeros(2, np.int64))
    with pytest.raises(UserError, match=r"outputs must be uint8 \(n, 3, R, R\), not float64"):
        Outputs(images / 255, np.zeros(3, np.int64))
    with pytest.raises(UserError, match="no outputs to measure"):
        evaluate(Outputs(images[:0], np.zeros(0, np.int64)), emoji()[1])


def test_measuring_leaves_the_random_state_alone() -> None:
    """So a run that is measured halfway trains on as if it had not been."""
    images = np.zeros((4, 3, 32, 32), np.uint8)
    bare = Images(images, np.full(4, -1))
    before = torch.get_rng_state()
    evaluate(Outputs(images, bare.labels, sources=images), Reference(bare, bare, bare), ["kd_effnet", "lpips_source"])
    assert torch.equal(torch.get_rng_state(), before)


def test_halves_are_disjoint_stratified_and_independent_of_order() -> None:
    _, data = emoji()
    first, second = anchors.halves(data.reference)
    assert sorted([*first, *second]) == list(range(90))
    labels = data.reference.labels
    for label in set(labels):
        assert abs((labels[first] == label).sum() - (labels[second] == label).sum()) <= 1
    order = np.random.default_rng(3).permutation(90)
    again, _ = anchors.halves(Images(data.reference.pixels[order], labels[order]))
    assert set(order[again]) == set(first)
