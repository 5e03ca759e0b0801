"""The small ResNet and what is said with it, on colours that it cannot mistake."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix

from bench.core.errors import Interrupted
from bench.core.progress import Quiet
from bench.core.signals import Signals
from bench.metrics import Images, Outputs, Reference, Value, evaluate, resnet
from bench.metrics.resnet_accuracy import confusion, macro
from bench.training.artifacts import Artifacts
from bench.training.compute import Compute
from bench.training.loop import Loop

CPU = Compute.choose("cpu")
COLOURS = ("red", "green", "blue")
SOURCE, TARGET = 70, 220  # how bright


def coloured(kinds: list[int], brightness: int, seed: int) -> np.ndarray:
    """Noisy images (n, 3, 16, 16) of one colour each."""
    found = np.random.default_rng(seed).integers(0, 30, (len(kinds), 3, 16, 16))
    for image, kind in zip(found, kinds):
        image[kind] += brightness
    return found.astype(np.uint8)


def examples(order: np.ndarray | None = None) -> resnet.Examples:
    kinds = np.arange(60) % 3
    pixels = np.concatenate([coloured(list(kinds[:40]), SOURCE, 0), coloured(list(kinds[40:]), TARGET, 1)])
    domains = np.repeat([0, 1], [40, 20])
    rows = np.arange(60) if order is None else order
    return resnet.Examples.of(pixels[rows], kinds[rows], domains[rows])


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resnet, "STEPS", 90)
    monkeypatch.setattr(resnet, "BATCH", 16)


class After(Signals):
    """A signal that arrives after some looks at it."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._looks = looks

    @property  # type: ignore[override]
    def received(self) -> str | None:
        self._looks -= 1
        return "SIGTERM" if self._looks < 0 else None

    @received.setter
    def received(self, value: str | None) -> None:
        pass


def artifacts(folder: Path, signals: Signals | None = None) -> Artifacts:
    reporter = Quiet()
    if signals is not None:
        reporter.signals = signals
    return Artifacts(folder, Loop(CPU, reporter))


def weights(network: resnet.ResNet) -> dict[str, torch.Tensor]:
    return network.state_dict()


def equal(a: resnet.ResNet, b: resnet.ResNet) -> bool:
    return all(torch.equal(x, weights(b)[name]) for name, x in weights(a).items())


def test_killed_and_begun_again_equals_left_alone_and_is_trained_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = resnet.cached(examples(), artifacts(tmp_path / "a"))
    with pytest.raises(Interrupted, match="classifier is saved at step"):
        resnet.cached(examples(), artifacts(tmp_path / "b", After(40)))
    again = resnet.cached(examples(), artifacts(tmp_path / "b"))
    assert equal(alone, again)
    monkeypatch.setattr(resnet.ResNetTraining, "step", None)
    assert equal(alone, resnet.cached(examples(), artifacts(tmp_path / "b")))


def test_the_order_of_images_does_not_matter_and_their_bytes_do(tmp_path: Path) -> None:
    first, other = examples(), examples(np.random.default_rng(0).permutation(60))
    assert first.sha256 == other.sha256
    changed = examples()
    changed.pixels[0, 0, 0, 0] ^= 1
    assert changed.sha256 != first.sha256


def test_domains_and_classes_are_drawn_equally_often() -> None:
    kinds, domains = np.array([0] * 90 + [1] * 10 + [0, 1]), np.repeat([0, 1], [100, 2])
    pixels = np.random.default_rng(0).integers(0, 256, (102, 3, 8, 8), dtype=np.uint8)
    chosen = resnet.Examples.of(pixels, kinds, domains)
    chance = np.diff(chosen.cumulative, prepend=0)
    for domain in (0, 1):
        for kind in (0, 1):
            rows = (chosen.domains == domain) & (chosen.classes == kind)
            assert chance[rows].sum() == pytest.approx(0.25)


@pytest.mark.parametrize("side", [8, 16, 28, 32, 64, 128])
def test_every_size_of_image(side: int) -> None:
    found = resnet.ResNet(side, 5)(torch.zeros(2, 3, side, side))
    assert [tuple(part.shape) for part in found] == [(2, 5), (2, 2)]


def test_confusion_and_macro_by_hand() -> None:
    true, found = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 0])
    cells = confusion(true, found, ("cat", "dog", "emu"))
    assert cells == {"cat > cat": 2, "cat > dog": 1, "dog > dog": 2, "emu > cat": 1}
    theirs = confusion_matrix(true, found)
    assert sum(v for v in cells.values() if v) == theirs.sum() == 6

    classes = {"cat": np.arange(3), "dog": np.array([3, 4]), "emu": np.array([5])}
    value, low, high, parts = macro(true == found, classes)
    assert parts == {"cat": pytest.approx(2 / 3), "dog": 1, "emu": 0}
    assert value == pytest.approx(5 / 9)
    # variances of (hits + 2) / (n + 4): 4/7, 4/6, 2/5 of 7, 6, 5
    variance = (4 / 7 * 3 / 7 / 7 + 2 / 3 * 1 / 3 / 6 + 2 / 5 * 3 / 5 / 5) / 9
    half = 1.959964 * variance**0.5
    assert (low, high) == pytest.approx((value - half, value + half), rel=1e-6)


KINDS = [0] * 6 + [1] * 4 + [2] * 2
MADE = [0] * 4 + [1] * 2 + [1] * 4 + [2] * 2  # two red sources became green


@pytest.fixture(scope="module")
def found() -> Callable[..., dict[str, Value]]:
    def measured(*names: str, **more: np.ndarray | None) -> dict[str, Value]:
        train = examples()
        of = [Images(train.pixels[train.domains == d], train.classes[train.domains == d]) for d in (0, 1)]
        held_out = Images(coloured([0, 1, 2, 0, 1, 2], TARGET, 5), np.array([0, 1, 2, 0, 1, 2]))
        images = coloured(MADE, TARGET, 3)
        images[0] = coloured([0], SOURCE, 8)[0]  # one output still looks like the source
        outputs = Outputs(images, np.array(KINDS), sources=coloured(KINDS, SOURCE, 4), **more)  # type: ignore[arg-type]
        return evaluate(outputs, Reference(held_out, of[1], of[0], COLOURS), names)

    return measured


def test_what_is_said_of_colours(found: Callable[..., dict[str, Value]]) -> None:
    back = coloured(KINDS, SOURCE, 6)
    back[-1] = coloured([0], SOURCE, 7)[0]
    value = found(
        "class_kept_resnet", "class_real_resnet", "misclassified_resnet", "agreement_resnet", "label_drift_resnet",
        "target_share_resnet", "target_real_resnet", "agreement_two_step_resnet", "confidence_drop_resnet", "rc_resnet",
        returned=back,
    )  # fmt: skip
    assert value["class_kept_resnet"].value == value["rc_resnet"].value == pytest.approx(10 / 12)
    assert value["class_kept_resnet"].parts == {
        "red > red": 4, "red > green": 2, "green > green": 4, "blue > blue": 2
    }  # fmt: skip
    assert value["class_real_resnet"].value == value["target_real_resnet"].value == 1
    assert value["agreement_resnet"].value == pytest.approx((4 / 6 + 1 + 1) / 3)
    assert value["misclassified_resnet"].value == pytest.approx((2 / 6 + 0 + 0) / 3)
    assert value["misclassified_resnet"].parts == {"red": pytest.approx(1 / 3), "green": 0, "blue": 0}
    assert value["agreement_two_step_resnet"].value == pytest.approx((1 + 1 + 1 / 2) / 3)
    assert value["target_share_resnet"].value == pytest.approx(11 / 12)
    # sources: 6, 4, 2 of 12; outputs: 4, 6, 2
    assert value["label_drift_resnet"].value == pytest.approx(2 / 12)
    assert value["label_drift_resnet"].parts == pytest.approx({"red": -1 / 6, "green": 1 / 6, "blue": 0})
    drop = value["confidence_drop_resnet"]
    assert drop.value is not None and drop.parts is not None and drop.parts["red"] is not None
    assert drop.parts["red"] > 0.15 > abs(drop.parts["blue"] or 0)
    assert drop.value == pytest.approx(sum(n * (drop.parts[c] or 0) for n, c in zip((6, 4, 2), COLOURS)) / 12)


def test_confidence_drops_by_what_the_network_says(found: Callable[..., dict[str, Value]], tmp_path: Path) -> None:
    drop = found("confidence_drop_resnet")["confidence_drop_resnet"]
    network = resnet.cached(examples(), artifacts(tmp_path))
    images = coloured(MADE, TARGET, 3)
    images[0] = coloured([0], SOURCE, 8)[0]
    with torch.no_grad():
        said = [network(torch.from_numpy(x) / 127.5 - 1)[0].softmax(1) for x in (coloured(KINDS, SOURCE, 4), images)]
    expected = np.mean([float(said[0][i, kind] - said[1][i, kind]) for i, kind in enumerate(KINDS)])
    assert drop.value == pytest.approx(expected, abs=1e-5)


def test_reverse_classification_learns_from_outputs_alone(
    found: Callable[..., dict[str, Value]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of six red sources became green, so green images teach two labels; the held-out ones are told apart."""
    monkeypatch.setattr(resnet, "STEPS", 270)
    value = found("fc_resnet")["fc_resnet"]
    assert (value.value, value.n_gen, value.n_ref) == (1, 12, 6)


def test_one_direction_has_no_two_step_agreement(found: Callable[..., dict[str, Value]]) -> None:
    value = found("agreement_two_step_resnet")["agreement_two_step_resnet"]
    assert value.reason == "the method translates in one direction only"
