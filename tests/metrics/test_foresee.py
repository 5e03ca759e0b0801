"""What will have no value is known beforehand: the same metrics, for the same reasons, as when it is measured."""

import numpy as np
import pytest

from bench.metrics import METRICS, Images, Outputs, Reference, evaluate
from bench.metrics.data import TooFew
from bench.metrics.foresee import foresee

# Judged by networks that would be trained here for a minute; their own checks are those of the others.
NAMES = [
    "kd_effnet", "fd_effnet", "kd_effnet_gap", "mkd_effnet", "precision_effnet", "recall_effnet", "density_effnet",
    "coverage_effnet", "mean_variance_effnet", "nn_ratio", "nn_share_p1", "authentic_share", "c_t", "class_kept",
    "class_real", "target_share", "l1_truth", "psnr_truth", "miou", "depth_rmse", "kd_effnet_back",
]  # fmt: skip


def images(n: int, seed: int, label: int | None) -> Images:
    rng = np.random.default_rng(seed)
    labels = np.full(n, -1) if label is None else np.arange(n) % 2
    return Images(rng.integers(0, 256, (n, 3, 16, 16), dtype=np.uint8), labels.astype(np.int64))


@pytest.mark.usefixtures("toy_effnet")
@pytest.mark.parametrize("classes", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 6, 40])
def test_foresight_agrees_with_the_measurement(n: int, classes: bool) -> None:
    label = 0 if classes else None
    held_out, train, source = images(n, 0, label), images(max(n, 2), 1, label), images(9, 2, label)
    outputs = Outputs(images(8, 3, label).pixels, images(8, 3, label).labels)
    data = Reference(held_out, train, source, ("a", "b"))
    found = {name: str(reason) for name, reason in foresee(outputs, data, NAMES).items()}
    measured = {name: v.reason for name, v in evaluate(outputs, data, NAMES).items() if v.value is None}
    later = {name for name in measured if "cell" in str(measured[name])}  # c_t: seen in the features
    assert found == {name: reason for name, reason in measured.items() if name not in later}


def test_too_few_images_are_told_from_what_the_data_do_not_have() -> None:
    outputs = Outputs(images(8, 3, None).pixels, images(8, 3, None).labels)
    data = Reference(images(2, 0, None), images(9, 1, None), images(9, 2, None))
    found = foresee(outputs, data, ["kd_effnet", "class_kept", "target_share"])
    assert isinstance(found["kd_effnet"], TooFew) and not isinstance(found["class_kept"], TooFew)
    assert "target_share" not in found


@pytest.mark.parametrize("kind", ["rgb", "labels", "depth", "grey"])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_no_metric_breaks_on_stand_ins(kind: str, n: int) -> None:
    """With all that outputs may have, and with images alone: a run must not end because of what is said before it."""
    made, hidden = images(n, 3, 0), np.zeros(9, np.int64)
    outputs = Outputs(
        images=made.pixels,
        source_labels=made.labels,
        sources=images(n, 4, None).pixels,
        truth=images(n, 5, None).pixels,
        diverse=np.repeat(made.pixels[:2, None], 2, axis=1),
        returned=made.pixels,
        backward=images(n, 6, None).pixels,
        alignment=np.zeros(2),
        modes=hidden,
    )
    data = Reference(images(n, 0, 0), images(n, 1, 0), images(9, 2, 0), ("a", "b"), kind=kind, far=20, hidden=hidden)
    bare = Outputs(made.pixels, made.labels)
    for one, names in ((outputs, METRICS), (bare, METRICS)):
        assert set(foresee(one, data, list(names))) <= set(METRICS)
