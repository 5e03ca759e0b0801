"""`bench evaluate` on plain folders and on images under other programs' names; `bench data export`."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import bench
from bench.cli.app import app
from bench.core.errors import UserError
from bench.runs.record import read_records


def write(folder: Path, *names: str, seed: int = 0, side: int = 16) -> Path:
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(folder / name)
    return folder


def said(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


def evaluate(*words: str) -> dict[str, str]:
    """Metric -> value as printed."""
    found = said("evaluate", *words, "--device", "cpu")
    rows = (line.split("│") for line in found.splitlines() if line.startswith("│"))
    return {cells[1].split()[0]: cells[2].strip() for cells in rows} | {"said": found}


def pixels(folder: Path, *names: str) -> np.ndarray:
    return np.stack([np.asarray(Image.open(folder / name), np.float64) for name in names])


def test_images_of_equal_names_are_pairs(tmp_path: Path) -> None:
    names = [f"{i}.png" for i in range(4)]
    made, real = write(tmp_path / "made", *names), write(tmp_path / "real", *names[1:], "z.png", seed=1)
    found = evaluate("--images", str(made), "--reference", str(real), "--metrics", "l1_truth,psnr_truth,lpips_source")
    expected = np.abs(pixels(made, *names[1:]) - pixels(real, *names[1:])).mean() / 255
    assert found["l1_truth"] == f"{expected:.4g}"
    assert "images: 4, measured at 16 px" in found["said"]
    assert "reference: 4, of which 3 have the name of an image" in found["said"]
    assert "n/a: lpips_source: these images were not made from sources" in found["said"]


def test_equal_names_can_be_a_coincidence(tmp_path: Path) -> None:
    made, real = write(tmp_path / "made", "1.png", "2.png"), write(tmp_path / "real", "1.png", "2.png")
    words = ["--images", str(made), "--reference", str(real), "--metrics", "l1_truth"]
    assert evaluate(*words)["l1_truth"] == "0"
    assert "n/a: l1_truth: there is no ground truth" in evaluate(*words, "--unpaired")["said"]


def test_the_folder_of_cyclegans_test_script_is_understood(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "images", *(f"{i}_{kind}.png" for i in (1, 2, 3) for kind in ("fake_B", "real_A", "rec_A"))
    )
    real = write(tmp_path / "real", "1.png", "2.png", "3.png", seed=5)
    found = evaluate(
        "--images", str(folder), "--sources", str(folder), "--reference", str(real), "--metrics", "l1_truth"
    )
    assert "images: 3 (those whose names end in _fake_B)" in found["said"] and "sources: 3" in found["said"]
    expected = np.abs(
        pixels(folder, "1_fake_B.png", "2_fake_B.png", "3_fake_B.png") - pixels(real, "1.png", "2.png", "3.png")
    )
    assert found["l1_truth"] == f"{expected.mean() / 255:.4g}"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--reference", "{real}"], r"made/..png is 16x16 and .*real/..png is 24x24; say .* --resolution 16 or less"),
        (["--reference", "{real}", "--dataset", "emoji"], "--dataset means nothing beside --reference"),
        (["--reference", "{real}", "--name", "x"], "--name means nothing beside --reference"),
        (["--dataset", "emoji", "--target-size", "9"], "say what is measured: --dataset, --target-size and --name, or"),
        (["--dataset", "emoji", "--target-size", "9", "--name", "x", "--unpaired"], "--unpaired means nothing beside"),
        (["--reference", "{none}"], "there is no folder .*none"),
        (["--reference", "{empty}"], "the folder .*empty holds no images"),
        (["--reference", "{real}", "--sources", "{real}"], r"no image of the name of 1 of 2 translations, .* is 2.png"),
        (["--reference", "{real}", "--fake-suffix", "_x"], "has a name that ends in '_x'; the first is 1.png"),
        (["--reference", "{real}", "--metrics", "fdi"], "unknown metric 'fdi'"),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path: Path, words: list[str], says: str) -> None:
    made = write(tmp_path / "made", "1.png", "2.png")
    write(tmp_path / "real", "1.png", "3.png", side=24)
    (tmp_path / "empty").mkdir()
    places = {name: str(tmp_path / name) for name in ("real", "none", "empty")}
    with pytest.raises(UserError, match=says) as caught:
        said("evaluate", "--images", str(made), *(word.format(**places) for word in words))
    assert "\n" not in str(caught.value)


def test_sides_that_differ_are_measured_at_the_side_that_is_said(tmp_path: Path) -> None:
    made, real = write(tmp_path / "made", "1.png", side=20), write(tmp_path / "real", "1.png", side=24)
    words = ["--images", str(made), "--reference", str(real), "--metrics", "l1_truth", "--resolution", "10"]
    assert "measured at 10 px" in evaluate(*words)["said"]


def test_a_script_reads_the_numbers_as_json(tmp_path: Path) -> None:
    made, real = write(tmp_path / "made", "1.png", "2.png"), write(tmp_path / "real", "1.png", "2.png")
    words = ["evaluate", "--images", str(made), "--reference", str(real), "--metrics", "l1_truth,miou", "--json"]
    result = CliRunner().invoke(app, [*words, "--device", "cpu"], catch_exceptions=False)
    printed = json.loads(result.stdout)["metrics"]
    assert (printed["l1_truth"]["value"], printed["miou"]["value"]) == (0, None)
    assert "label maps" in printed["miou"]["reason"] and "measured at 16 px" in result.stderr


def test_exported_sources_come_back_as_a_row_by_their_names(tmp_path: Path) -> None:
    out = tmp_path / "sources"
    found = said("data", "export", "emoji", "--part", "held-out-source", "--out", str(out), "--resolution", "32")
    task = bench.load_task("emoji", 20, 32)
    assert f"{len(task.source_test)} images of 32 px" in found
    first = np.asarray(Image.open(sorted(out.iterdir())[0])).transpose(2, 0, 1)
    position = [f"{name}.png" for name in task.source_test.ids].index(sorted(out.iterdir())[0].name)
    assert np.array_equal(first, task.source_test.images([position])[0])
    translated = tmp_path / "translated"
    translated.mkdir()
    for file in out.iterdir():
        file.rename(translated / f"{file.stem}_fake_B.png")
    words = ["--images", str(translated), "--dataset", "emoji", "--target-size", "20", "--name", "theirs"]
    said("evaluate", *words, "--resolution", "32", "--metrics", "l1_truth", "--results", str(tmp_path / "r"))
    (record,) = read_records(tmp_path / "r", print)
    unchanged = bench.run(
        method="identity", dataset="emoji", target_size=20, resolution=32, metrics=["l1_truth"], results=tmp_path / "r",
        quiet=True,
    )  # fmt: skip
    assert record.metrics["l1_truth"].value == unchanged.metrics["l1_truth"]


def test_export_of_a_subset_and_into_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    out = tmp_path / "target"
    words = ["data", "export", "emoji", "--out", str(out), "--resolution", "32", "--part"]
    with pytest.raises(UserError, match="add --target-size N"):
        said(*words, "target-train")
    said(*words, "target-train", "--target-size", "5")
    assert sorted(file.stem for file in out.iterdir()) == sorted(bench.load_task("emoji", 5, 32).target_train.ids)
    with pytest.raises(UserError, match="is there already and not an empty folder"):
        said(*words, "held-out-target")
    assert len(list(tmp_path.iterdir())) == 1
