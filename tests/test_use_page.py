"""The commands and the Python of docs/use.md, in their order, as somebody would type them."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench.cli.app import app

PAGE = Path(__file__).resolve().parent.parent / "docs" / "use.md"
FOREVER = "bench play"  # ends with Ctrl-C alone; tests/browser/test_play_page.py plays


def test_every_command_of_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("my.png", "photos/a.jpg", "photos/deep/b.webp", "more/one.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((50, 70, 3), 120, np.uint8)).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    said = {}
    for kind, text in re.findall(r"```(bash|python)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        if kind == "python":
            exec(text, {})
            continue
        for line in text.splitlines():
            if not line.startswith(FOREVER):
                done = CliRunner().invoke(app, shlex.split(line)[1:], catch_exceptions=False)
                assert done.exit_code == 0, f"{line}\n{done.output}"
                said[line] = done.output
    assert said["bench card munit"].startswith("---\nlicense: mit")
    assert (tmp_path / "card" / "README.md").read_text(encoding="utf-8") == said["bench card munit"]
    assert {path.name for path in (tmp_path / "four" / "deep").iterdir()} == {f"b-{n}.png" for n in range(1, 5)}
    assert len(list((tmp_path / "held-out").rglob("*.png"))) == 317
