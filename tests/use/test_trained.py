"""A finished run's network translates: the very images of the run again, and images of anybody in any form."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from trained_runs import RESULTS, tiny_run

import bench
from bench.core.progress import Quiet
from bench.data.task import load_task
from bench.runs.settings import RunSettings
from bench.runs.translate import Translator
from bench.use.load import load_run


def mine(n: int = 3, side: int = 32) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("cyclegan", {}),
        ("munit", {"guide": "reference"}),
        ("munit", {"guide": "noise"}),
        ("stargan", {"classes": "labels"}),
        ("starganv2", {"classes": "domain"}),
        ("mnm", {}),
        ("unsb", {}),
    ],
)
def test_what_is_loaded_makes_the_images_of_the_run_again(method: str, fields: dict[str, str]) -> None:
    run = tiny_run(method, **fields)
    trained = load_run(run.folder, RunSettings(device="cpu"), Quiet())
    data = load_task("ink", 20, 32)
    again = Translator(trained.method, data, 0, trained.compute, Quiet()).held_out()
    assert np.array_equal(again, run.translations())


def test_an_array_comes_back_in_its_own_form() -> None:
    run, pixels = tiny_run("cyclegan"), mine()
    made = run.translate(pixels, device="cpu")
    assert made.dtype == np.uint8 and made.shape == pixels.shape
    first = run.translate(pixels.transpose(0, 3, 1, 2), device="cpu")
    assert np.array_equal(first.transpose(0, 2, 3, 1), made)
    tensor = torch.from_numpy(pixels / 127.5 - 1).float()
    floats = run.translate(tensor, value_range=(-1, 1), device="cpu")
    assert floats.dtype == torch.float32 and floats.shape == tensor.shape
    assert np.array_equal(np.rint((floats.numpy() + 1) * 127.5), made)


def test_held_out_sources_give_the_translations_of_the_run() -> None:
    run = tiny_run("cyclegan")
    sources = load_task("ink", 20, 32).source_test.images()
    assert np.array_equal(run.translate(sources, device="cpu"), run.translations())


def test_images_of_another_size_are_resized() -> None:
    run = tiny_run("cyclegan")
    constant = np.full((1, 77, 77, 3), 90, np.uint8)
    assert np.array_equal(run.translate(constant, device="cpu"), run.translate(constant[:, :32, :32], device="cpu"))
    assert run.translate(constant[:, :8, :8], device="cpu").shape == (1, 32, 32, 3)


def test_noise_follows_the_seed_and_not_the_company() -> None:
    run = tiny_run("munit", guide="noise")
    pixels = np.repeat(mine(1), 40, axis=0)
    first, second = (run.translate(pixels, seed=seed, device="cpu") for seed in (0, 1))
    assert not np.array_equal(first, second)
    assert np.array_equal(run.translate(pixels, seed=0, device="cpu"), first)
    assert not np.array_equal(first[0], first[1])
    three = run.translate(pixels, per_image=3, device="cpu")
    assert three.shape == (40, 3, 32, 32, 3)
    assert np.array_equal(three[:, 0], first) and not np.array_equal(three[:, 1], first)


def test_a_reference_decides_the_translation() -> None:
    run = tiny_run("munit", guide="reference")
    references = load_task("ink", 20, 32).target_train.images([0, 1])
    both = run.translate(mine(), references=references, device="cpu")
    assert both.shape == (3, 2, 32, 32, 3)
    alone = run.translate(mine(), references=references[1:], device="cpu")
    assert np.abs(alone[:, 0].astype(int) - both[:, 1]).max() <= 1
    assert not np.array_equal(both[:, 0], both[:, 1])


def test_the_way_back_is_the_other_generator() -> None:
    run = tiny_run("cyclegan")
    targets = load_task("ink", 20, 32).target_test.images()
    back = run.translate(targets, back=True, device="cpu")
    assert np.array_equal(back, np.load(run.folder / "backward.npy"))
    with pytest.raises(bench.UserError, match="has no way back: unsb learns one direction only"):
        tiny_run("unsb").translate(mine(), back=True, device="cpu")


@pytest.mark.parametrize(
    ("method", "asked", "says"),
    [
        ("cyclegan", {"per_image": 2}, "gives one translation a source"),
        ("cyclegan", {"label": "food"}, "takes no label"),
        ("cyclegan", {"references": np.zeros((1, 32, 32, 3), np.uint8)}, "takes no reference"),
        ("starganv2", {"label": "fod"}, "unknown label 'fod'"),
    ],
)
def test_a_guide_that_the_method_does_not_take_is_one_line(method: str, asked: dict, says: str) -> None:
    fields = {"classes": "domain"} if method == "starganv2" else {}
    with pytest.raises(bench.UserError, match=says) as caught:
        tiny_run(method, **fields).translate(mine(), device="cpu", **asked)
    assert "\n" not in str(caught.value)


def test_runs_without_a_network_are_refused(tmp_path: Path) -> None:
    anchor = bench.run(
        method="identity", dataset="ink", target_size=20, resolution=32, metrics=[], results=tmp_path, quiet=True
    )
    with pytest.raises(bench.UserError, match="is an anchor row: it has no network of ours"):
        anchor.translate(mine())


def test_a_run_without_its_checkpoint_says_so(tmp_path: Path) -> None:
    run = tiny_run("cyclegan")
    copy = tmp_path / "copy"
    shutil.copytree(run.folder, copy)
    for path in copy.glob("checkpoint-*"):
        path.unlink()
    with pytest.raises(bench.UserError, match="has no checkpoint, so its network is gone"):
        bench.load_run(copy).translate(mine(), device="cpu")


def test_a_run_is_found_by_its_name() -> None:
    run = tiny_run("cyclegan")
    assert bench.load_run("cyclegan", RESULTS) == run
    with pytest.raises(bench.UserError, match="there is no run called 'gan2'"):
        bench.load_run("gan2", RESULTS)
