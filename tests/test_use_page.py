"""The commands and the Python of docs/use.md, in their order, as somebody would type them."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

PAGE = Path(__file__).resolve().parent.parent / "docs" / "use.md"
FOREVER = "bench play"  # ends with Ctrl-C alone; tests/browser/test_play_page.py plays


def test_every_command_of_the_page_works(tmp_path: Path) -> None:
    for name in ("my.png", "photos/a.jpg", "photos/deep/b.webp", "more/one.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((50, 70, 3), 120, np.uint8)).save(tmp_path / name)
    ran = 0
    for kind, text in re.findall(r"```(bash|python)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        for line in text.splitlines() if kind == "bash" else [text]:
            if line.startswith(FOREVER):
                continue
            words = ["-m", *shlex.split(line)] if kind == "bash" else ["-c", line]
            done = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, f"{line}\n{done.stderr}"
            ran += 1
    assert ran == 10
    assert done.stdout.startswith("---\nlicense: mit") or (tmp_path / "card" / "README.md").exists()
    assert {path.name for path in (tmp_path / "four" / "deep").iterdir()} == {f"b-{n}.png" for n in range(1, 5)}
    assert len(list((tmp_path / "held-out").rglob("*.png"))) == 317
