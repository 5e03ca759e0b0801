"""Metrics image by image, as functions: the numbers of other libraries and of `evaluate`."""

import doctest
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import lpips as package
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from skimage.metrics import peak_signal_noise_ratio
from torchvision.models import alexnet

from bench.core.errors import UserError
from bench.metrics import (
    Images,
    Outputs,
    Reference,
    by_image,
    evaluate,
    judge,
    l1,
    lpips,
    lpips_diversity,
    psnr,
    resnet,
    share_translated,
    weights,
)


def images(n: int, seed: int, side: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 3, side, side), dtype=np.uint8)


MADE, TRUTH = images(9, 0), images(9, 1)


@pytest.fixture
def alex(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> package.LPIPS:
    """The package's LPIPS with a random trunk, which is put where ours is looked for."""
    torch.manual_seed(1)
    trunk = alexnet().features.state_dict()
    path = tmp_path / weights.entry("lpips-alex").file
    save_file({f"features.{name}": tensor for name, tensor in trunk.items()}, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(weights.WEIGHTS, "lpips-alex", replace(weights.entry("lpips-alex"), sha256=sha256))
    monkeypatch.setenv("I2I_BENCH_WEIGHTS", str(tmp_path))
    model = package.LPIPS(net="alex", pnet_rand=True, verbose=False)
    state = {name: trunk[name.split(".", 1)[1]] for name in model.net.state_dict()}
    model.net.load_state_dict(state)
    return model


def theirs(model: package.LPIPS, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        found = model(*(torch.from_numpy(x).float() / 255 for x in (a, b)), normalize=True)
    return np.asarray(found.flatten().double().numpy())


def test_differences_of_pixels_are_those_of_other_libraries() -> None:
    made, truth = torch.from_numpy(MADE).double() / 255, torch.from_numpy(TRUTH).double() / 255
    expected = torch.nn.functional.l1_loss(made, truth, reduction="none").mean((1, 2, 3))
    np.testing.assert_allclose(l1(MADE, TRUTH), expected, rtol=1e-12)
    ratios = [peak_signal_noise_ratio(real, image, data_range=255) for real, image in zip(TRUTH, MADE)]
    np.testing.assert_allclose(psnr(MADE, TRUTH), ratios, rtol=1e-12)
    assert psnr(MADE, MADE).tolist() == pytest.approx([10 * np.log10(255**2 * 12)] * 9)


def test_lpips_is_that_of_the_package(alex: package.LPIPS) -> None:
    made, truth = images(5, 2, 32), images(5, 3, 32)
    np.testing.assert_allclose(lpips(made, truth, device="cpu"), theirs(alex, made, truth), rtol=1e-4)
    several = images(6, 4, 32).reshape(2, 3, 3, 32, 32)
    expected = [np.mean([theirs(alex, row[[i]], row[[j]]) for i, j in ((0, 1), (0, 2), (1, 2))]) for row in several]
    np.testing.assert_allclose(lpips_diversity(several, device="cpu"), expected, rtol=1e-4)
    halves = torch.from_numpy(several).permute(0, 1, 3, 4, 2) / 127.5 - 1
    np.testing.assert_allclose(lpips_diversity(halves, value_range=(-1, 1), device="cpu"), expected, rtol=1e-4)


def test_the_means_are_the_metrics_of_the_tables(alex: package.LPIPS) -> None:
    made, truth, sources = images(5, 2, 32), images(5, 3, 32), images(5, 4, 32)
    bare = Images(truth, np.full(5, -1))
    outputs = Outputs(made, np.full(5, -1), sources, truth, diverse=np.stack([made, truth], 1))
    found = evaluate(
        outputs,
        Reference(bare, bare, bare),
        ["l1_truth", "psnr_truth", "lpips_truth", "lpips_source", "lpips_diversity"],
    )
    means = (
        l1(made, truth), psnr(made, truth), lpips(made, truth, device="cpu"), lpips(made, sources, device="cpu"),
        lpips_diversity(np.stack([made, truth], 1), device="cpu"),
    )  # fmt: skip
    assert [value.value for value in found.values()] == pytest.approx([float(mean.mean()) for mean in means], rel=1e-6)


def test_sets_in_any_form_give_equal_numbers(tmp_path: Path) -> None:
    for i, image in enumerate(MADE):
        Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / f"{i}.png")
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.from_numpy(MADE)), 4)
    for made in (tmp_path, MADE.transpose(0, 2, 3, 1), torch.from_numpy(MADE), loader, [MADE[:2], MADE[2:]]):
        assert np.array_equal(l1(made, TRUTH), l1(MADE, TRUTH)), type(made)
    assert np.array_equal(l1(MADE / 255, torch.from_numpy(TRUTH) / 255, value_range=(0, 1)), l1(MADE, TRUTH))


@pytest.mark.parametrize(
    ("function", "sets", "says"),
    [
        (l1, (MADE, TRUTH[:4]), "there are 9 of 16 pixels and 4 of 16 pixels"),
        (psnr, (MADE, images(9, 1, 8)), "there are 9 of 16 pixels and 9 of 8 pixels"),
        (l1, (MADE / 255, TRUTH), "made are float64: say which values are black and white"),
        (l1, ([], TRUTH), "made must be one image or more, all of one side"),
        (l1, ([MADE, images(2, 0, 8)], TRUTH), "made must be one image or more, all of one side"),
        (lpips, (MADE, TRUTH), "LPIPS needs images of at least 31 pixels, these have 16"),
        (lpips_diversity, (MADE,), r"several must be outputs \(m, k, 3, R, R\) with k > 1 .*not \(9, 3, 16, 16\)"),
        (lpips_diversity, (MADE[:, None],), r"not \(9, 1, 3, 16, 16\)"),
        (lpips_diversity, ("folder",), "not str"),
        (share_translated, (MADE, TRUTH[:4], TRUTH, TRUTH, TRUTH), "made has 9 images and sources 4"),
        (share_translated, (MADE, TRUTH, TRUTH, images(9, 1, 8), TRUTH), "different sides in pixels: .*'training': 8"),
    ],
)
def test_what_cannot_be_measured_is_one_line(function: Any, sets: tuple[Any, ...], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        function(*sets)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("classes", "says"),
    [
        ({"target": [0] * 9}, "unknown set with classes 'target'"),
        ({"real": [0] * 8}, "classes of real must be 9 whole numbers from -1 on"),
        ({"real": [0.5] * 9}, "classes of real must be 9 whole numbers from -1 on"),
        ({"real": [-2] * 9}, "classes of real must be 9 whole numbers from -1 on"),
    ],
)
def test_classes_that_fit_no_set_are_refused(classes: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        share_translated(MADE, TRUTH, TRUTH, TRUTH, TRUTH, classes=classes)


def squares(kinds: list[int], brightness: int, seed: int) -> np.ndarray:
    """Noisy images (n, 3, 16, 16) with a square of the channel `kind`: dark ones are sources, bright ones targets."""
    rng = np.random.default_rng(seed)
    found = rng.integers(0, 30, (len(kinds), 3, 16, 16))
    for image, kind in zip(found, kinds):
        top, left = rng.integers(0, 8, 2)
        image[kind, top : top + 8, left : left + 8] += brightness
        image += brightness // 8
    return found.clip(0, 255).astype(np.uint8)


def test_a_judge_counts_what_is_target_and_of_its_sources_class(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of 24 outputs the first four are untouched sources, the last four of another class, sixteen are right."""
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(judge, "STEPS", 150)
    monkeypatch.setattr(resnet, "BATCH", 16)
    kinds = [0, 1, 2] * 20
    held = kinds[:24]
    made = squares([*held[:20], *((kind + 1) % 3 for kind in held[20:])], 220, 7)
    made[:4] = squares(held[:4], 60, 8)
    sets = (made, squares(held, 60, 4), squares(held, 220, 1), squares(kinds, 220, 2), squares(kinds, 60, 3))
    classes = {"sources": held, "real": held, "training": kinds, "training_sources": kinds}
    found = share_translated(*sets, classes=classes, device="cpu")
    assert found.metric == "translated" and found.reason is None
    assert found.value == pytest.approx(16 / 24)
    assert found.low is not None and found.high is not None and found.low < 16 / 24 < found.high
    assert share_translated(sets[1], *sets[1:], classes=classes, device="cpu").value == 0


def test_the_examples_of_the_docstrings() -> None:
    assert doctest.testmod(by_image) == doctest.TestResults(0, 4)
