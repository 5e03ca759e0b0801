"""The public API: one run, one evaluation, all results, from a script."""

import doctest
import inspect
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image

import bench
from bench import api
from bench.core.errors import UserError
from bench.runs.settings import RunSettings


def images(n: int = 4, side: int = 32, seed: int = 0) -> np.ndarray:
    """uint8 (n, 3, side, side)"""
    return np.random.default_rng(seed).integers(0, 256, (n, 3, side, side), dtype=np.uint8)


def write(folder: Path, pixels: np.ndarray) -> Path:
    folder.mkdir()
    for i, image in enumerate(pixels):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{i:03}.png")
    return folder


def l1(made: Any, truth: Any, **more: Any) -> float:
    value = bench.evaluate(made, truth, truth=truth, metrics=["l1_truth"], **more)["l1_truth"].value
    assert value is not None
    return value


def test_the_examples_of_the_docstrings(tmp_path: Path) -> None:
    """In their order, in one folder: `load_results` reads what `run` made."""
    names = {"results": tmp_path}
    runner = doctest.DocTestRunner()
    for function in (api.run, api.evaluate, api.load_results, api.Run.translate, api.load_run):
        for test in doctest.DocTestFinder().find(function, function.__name__, globs=dict(names)):
            runner.run(test)
    assert runner.summarize(verbose=False) == doctest.TestResults(0, 17)


def test_quiet_prints_nothing_and_a_finished_run_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def ask() -> bench.Run:
        return bench.run(
            method="identity", dataset="emoji", target_size=20, resolution=32, metrics=[], results=tmp_path, quiet=True
        )

    first = ask()
    written = (first.folder / "record.json").stat().st_mtime_ns
    thread = threading.Thread(target=ask)  # where Python allows no handlers of signals
    thread.start()
    thread.join()
    assert ask() == first
    assert (first.folder / "record.json").stat().st_mtime_ns == written
    assert np.array_equal(first.translations(), bench.load_task("emoji", 20, 32).source_test.images())
    assert capsys.readouterr().out == ""


def test_fields_are_those_of_the_config(tmp_path: Path) -> None:
    chosen = {"method": "cyclegan", "dataset": "emoji", "target_size": 20, "preset": "smoke", "results": tmp_path}
    with pytest.raises(UserError, match="did you mean 'width'"):
        bench.run(**chosen, fields={"widht": 8}, device="cpu", quiet=True)
    with pytest.raises(UserError, match=r"skip=maybe: .*true or false"):
        bench.run(**chosen, fields={"skip": "maybe"}, device="cpu", quiet=True)
    assert not list(tmp_path.iterdir())


def test_the_arguments_of_run_have_the_defaults_of_the_settings() -> None:
    arguments = inspect.signature(bench.run).parameters
    assert {f.name: f.default for f in msgspec.structs.fields(RunSettings)} == {
        f.name: arguments[f.name].default for f in msgspec.structs.fields(RunSettings)
    }


@pytest.mark.parametrize("form", ["tensor", "channels last", "float", "minus one to one", "folder", "bfloat16"])
def test_equal_images_in_any_form_give_equal_values(form: str, tmp_path: Path) -> None:
    pixels, truth = images(seed=1), images(seed=2)
    expected = np.abs(pixels.astype(float) - truth).mean() / 255
    assert l1(pixels, truth) == pytest.approx(expected, abs=1e-12)
    forms: dict[str, tuple[Any, Any, dict[str, Any]]] = {
        "tensor": (torch.from_numpy(pixels).requires_grad_(False), torch.from_numpy(truth), {}),
        "channels last": (pixels.transpose(0, 2, 3, 1), truth, {}),
        "float": (pixels / np.float32(255), truth / 255, {"value_range": (0, 1)}),
        "minus one to one": (torch.from_numpy(pixels) / 127.5 - 1, truth, {"value_range": (-1, 1)}),
        "folder": (write(tmp_path / "a", pixels), str(write(tmp_path / "b", truth)), {}),
        "bfloat16": (torch.from_numpy(pixels // 128).bfloat16(), truth, {"value_range": (0, 1)}),
    }
    made, wanted, more = forms[form]
    if form == "bfloat16":
        expected = np.abs((pixels // 128) * 255.0 - truth).mean() / 255
    assert l1(made, wanted, **more) == pytest.approx(expected, abs=1e-12)


def test_what_cannot_be_measured_has_a_reason() -> None:
    found = bench.evaluate(images(), images(seed=1), metrics=["class_kept", "l1_truth", "nn_ratio"])
    assert all(value.value is None and value.reason for value in found.values())


@pytest.mark.parametrize(
    ("made", "more", "says"),
    [
        (images().astype(float), {}, "say which values are black and white"),
        (images() / 255.0, {"value_range": (-1, 0.5)}, r"outside value_range=\(-1, 0.5\)"),
        (np.full((2, 3, 8, 8), np.nan), {"value_range": (0, 1)}, "outside value_range"),
        (images().astype(np.int64), {}, "must be uint8 or floating point, not int64"),
        (images()[:, :1], {}, r"must be images \(n, 3, R, R\)"),
        (images()[0], {}, r"must be images \(n, 3, R, R\)"),
        (images()[:0], {}, "with n > 0"),
        (images()[:, :, :16], {}, "must be square, not 16x32"),
        (images(side=16), {}, "images have a side of 16 pixels, reference of 32"),
        ("/no/such/folder", {}, "there is no folder /no/such/folder"),
        (images(), {"metrics": ["fidd"]}, "did you mean 'fid'"),
        (images(), {"device": "tpu"}, "unknown --device"),
    ],
)
def test_bad_images_are_one_line(made: Any, more: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        bench.evaluate(made, images(), **{"metrics": ["l1_truth"], **more})
    assert "\n" not in str(caught.value)


def test_a_folder_of_several_sides_needs_a_resolution(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", images())
    Image.fromarray(images(1, 48)[0].transpose(1, 2, 0)).save(folder / "z.png")
    with pytest.raises(UserError, match=r"z.png is 48x48, 000.png is 32 wide; give resolution="):
        bench.evaluate(folder, images(5), metrics=["l1_truth"])
    bench.evaluate(folder, images(5), metrics=["l1_truth"], resolution=32)


def test_results_are_one_row_a_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no records below"):
        bench.load_results(tmp_path)
    table = bench.load_results(Path(__file__).parent.parent / "results" / "reference")
    assert len(table) == len(list(Path(__file__).parent.parent.glob("results/reference/runs/*/*/*/*/record.json")))
    anchors = table[table["kind"] == "anchor"]
    assert anchors["config.width"].isna().all() and anchors["translated"].notna().all()
    assert table["lpips_diversity"].dtype == float


def test_a_damaged_record_is_left_out_with_a_warning(tmp_path: Path) -> None:
    bench.run(method="identity", dataset="emoji", target_size=20, resolution=32, metrics=[], results=tmp_path)
    damaged = tmp_path / "runs" / "emoji" / "20" / "other" / "0-a" / "record.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    with pytest.warns(UserWarning, match="left out: .*0-a"):
        assert len(bench.load_results(tmp_path)) == 1


def test_the_api_is_offered_without_torch() -> None:
    code = "import bench, sys; bench.run, bench.evaluate, bench.load_results; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"


def test_the_command_says_its_version() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"i2i-bench {bench.__version__}\n")


def test_a_shell_can_complete_commands() -> None:
    asked = {"_BENCH_COMPLETE": "complete_bash", "COMP_WORDS": "bench lea", "COMP_CWORD": "1"}
    code = "import sys; sys.argv = ['bench']; from bench.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["leaderboard"]
