"""`bench data check` and --held-out, as the owner of a few photographs types them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench.cli.app import app
from bench.core.errors import UserError


def photographs(root: Path, side: int = 40, **counts: int) -> Path:
    rng = np.random.default_rng(0)
    for folder, n in counts.items():
        (root / folder).mkdir(parents=True)
        for i in range(n):
            pixels = rng.integers(0, 256, (side, side + i % 3, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{i:02}.png")
    return root


def said(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


def test_check_says_what_is_used_as_what_and_what_is_left_out(tmp_path: Path) -> None:
    photographs(tmp_path, cat=40, dog=12, owl=3)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "cat" / ".thumb.png").write_bytes((tmp_path / "cat" / "00.png").read_bytes())
    found = said("data", "check", f"{tmp_path}:source=cat:target=dog")
    assert "read as imagefolder: torchvision's ImageFolder" in found
    rows = {tuple(cell.strip() for cell in line.split("│")[1:4]) for line in found.splitlines() if line[:1] == "│"}
    assert rows == {
        ("source", "train", "32"), ("source", "held out", "8"), ("target", "train", "10"), ("target", "held out", "2"),
    }  # fmt: skip
    assert "40x40" in found and "42x40" in found
    assert "left out: no images: 1 (notes.txt)" in found
    assert "was not chosen: 3 (owl/00.png, owl/01.png, owl/02.png)" in found
    assert "hidden, or put there by a file server or a system: 1 (cat/.thumb.png)" in found
    assert "largest --resolution: 40" in found
    assert "10 target images to train on and 2 held out" in found
    assert "kd_effnet" in found and "(images in reference: 2; at least 3 are needed)" in found
    assert "--held-out N holds out another number of images" in found


def test_what_is_held_out_can_be_said(tmp_path: Path) -> None:
    photographs(tmp_path, source=20, target=12)
    found = said("data", "check", str(tmp_path), "--held-out", "6", "--target-size", "3")
    assert "3 target images to train on and 6 held out" in found
    assert "Too few images" not in found


def test_many_images_are_enough(tmp_path: Path) -> None:
    photographs(tmp_path, side=8, source=60, target=60)
    found = said("data", "check", str(tmp_path), "--held-out", "50")
    assert "enough images for every metric" in found and "left out: nothing" in found


def test_copies_and_damaged_images_are_named(tmp_path: Path) -> None:
    photographs(tmp_path, source=4, target=4)
    for split in ("train", "test"):
        (tmp_path / "target" / split).mkdir()
    for i in range(3):
        (tmp_path / "target" / f"{i:02}.png").rename(tmp_path / "target" / "train" / f"{i:02}.png")
    (tmp_path / "target" / "03.png").rename(tmp_path / "target" / "test" / "03.png")
    (tmp_path / "target" / "train" / "copy.png").write_bytes((tmp_path / "target" / "test" / "03.png").read_bytes())
    found = said("data", "check", str(tmp_path))
    assert "training images that are copies of held-out ones: 1 (train/copy.png)" in found
    (tmp_path / "source" / "02.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"images that cannot be read: 1, the first: .*source/02.png: not an image"):
        said("data", "check", str(tmp_path))


def test_held_out_is_a_part_of_the_identity_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photographs(tmp_path / "photos", source=12, target=12)
    words = ["run", "--method", "identity", "--dataset", f"folder:{tmp_path / 'photos'}", "--target-size", "3"]
    words += ["--resolution", "32", "--metrics", "l1_truth", "--results", str(tmp_path / "results"), "--device", "cpu"]
    assert "nothing new" not in said(*words)  # what has no value is not measured twice
    printed = said(*words, "--held-out", "4")
    assert "no value: l1_truth; the reasons: python -m bench show" in printed
    assert "3 target images to train on and 4 held out" in printed
    assert len(list(tmp_path.glob("results/runs/*/3/identity/*/record.json"))) == 2


def test_a_sweep_holds_out_as_a_run_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep plans the runs that --held-out names, and finds the one of `bench run` done."""
    photographs(tmp_path / "photos", source=12, target=12)
    monkeypatch.chdir(tmp_path)
    own = ["--metrics", "l1_truth", "--resolution", "32", "--held-out", "4"]
    said("run", "--method", "identity", "--dataset", "folder:photos", "--target-size", "3", *own)
    words = ["sweep", "--methods", "identity", "--datasets", "folder:photos", *own]
    assert "nothing to submit" in said(*words, "--target-sizes", "3")
    assert "runs to submit: 1" in said(*words, "--target-sizes", "4")
    with pytest.raises(UserError, match="held-out=many: give a number of images"):
        said(*words[:-1], "many", "--target-sizes", "3")


def test_data_sets_with_a_protocol_refuse_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--held-out is for own data .*what emoji holds out is a part of its protocol"):
        said("run", "--method", "identity", "--dataset", "emoji", "--target-size", "3", "--held-out", "4")
