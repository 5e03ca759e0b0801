"""The commands of docs/watch.md, in the order of the page and in one folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "watch.md"


@pytest.mark.slow
def test_the_commands_of_the_page(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    root = str(PAGE.parent.parent)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    said = []
    for block in blocks:
        done = subprocess.run(
            ["bash", "-euc", block], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=540
        )
        assert done.returncode == 0, block + done.stdout + done.stderr
        said.append(done.stdout)
    sweep, trained, notified, _ = said
    assert "runs to submit: 4" in sweep and "time: unknown" in sweep and "nothing was started" in sweep
    assert "on training images, best, after" in trained
    (run,) = tmp_path.glob("results/runs/digits8/20/jdbw/*")
    assert {"validation.png", "validation.jsonl", "tensorboard", "samples"} <= {path.name for path in run.iterdir()}
    assert re.search(r"^\d{8}-\d{6}-\w+: 1 done$", notified, re.MULTILINE)
    assert {row["state"] for row in json.loads((tmp_path / "status.json").read_text())["runs"]} == {"done"}
    assert json.loads((tmp_path / "run.json").read_text())["record"]["identity"]["method"] == "identity"
