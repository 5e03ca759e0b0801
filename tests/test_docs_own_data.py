"""The commands of the pages on own data, images of other programs and metrics as a library do what the pages say."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench.cli.app import app

DOCS = Path(__file__).resolve().parent.parent / "docs"
# What is added so that a command takes seconds; what is said on the page stays as it is.
SMALL = {
    "run": "--preset smoke --budget-kimg 0.02 --metrics none --resolution 32 --device cpu",
    "evaluate": "--metrics l1_truth --device cpu",
    "data": "",
}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def draw(*files: str, side: int = 32) -> None:
    rng = np.random.default_rng(len(files))
    for file in files:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(file)


def numbered(pattern: str, n: int) -> list[str]:
    return [pattern.format(i) for i in range(n)]


def said(command: str) -> str:
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "bench"], command
    words = words[3:] + shlex.split(SMALL[words[3]])
    result = CliRunner().invoke(app, words, catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == 0, f"{command}\n{result.output}"
    return result.output


def commands(page: str) -> list[str]:
    return [line for block in blocks(page, "sh") for line in block.splitlines()]


def test_own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw(*numbered("photos/source/{}.png", 40), *numbered("photos/target/{}.jpg", 40))
    draw(*(f"animals/{kind}/{i}.png" for kind in ("cat", "lynx", "dog") for i in range(5)))
    draw(*(f"horse2zebra/{part}/{i}.png" for part in ("trainA", "trainB", "testA", "testB") for i in range(3)))
    draw(*(f"{time}/{i}.png" for time in ("day", "night") for i in range(4)))
    rows = [f"{time}/{i}.png,{time}" for time in ("day", "night") for i in range(4)]
    Path("list.csv").write_text("\n".join(["path,domain", *rows]))
    output = "".join(said(command) for command in commands("own-data.md"))
    for layout in ("source-target", "cyclegan", "imagefolder", "csv"):
        assert f"read as {layout}" in output, layout
    assert "6 target images to train on and 8 held out" in output
    assert len(list(Path("results").glob("runs/*/*/cyclegan/*/record.json"))) == 2


def test_images_of_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw(*numbered("out/{}.png", 4), *numbered("real/{}.png", 4))
    draw(*(f"cyclegan_results/{i}_{kind}.png" for i in range(4) for kind in ("fake_B", "real_A")))
    draw(*numbered("other_results/{}-out.png", 4))
    output = ""
    for command in commands("outside-images.md"):
        if "--images translated" in command:
            shutil.copytree("emoji/testA", "translated")
        output += said(command)
    assert output.count("measured at 32 px") == 3 and "those whose names end in -out" in output
    assert len(list(Path("emoji/trainB").iterdir())) == 20
    assert len(list(Path("results").glob("runs/emoji/20/theirs/*/record.json"))) == 1


def test_metrics_in_your_own_code(capsys: pytest.CaptureFixture[str]) -> None:
    sets, by_image, running = blocks("metrics-library.md", "python")
    names: dict[str, object] = {}
    exec(sets, names)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["kd_effnet", "recall_effnet", "fd"]
    exec(by_image, names)
    assert capsys.readouterr().out.startswith("(8,) 0.3")
    exec(running, {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["0", "1"]
