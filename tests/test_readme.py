"""What the README promises: its example of a method is run, as a package of somebody else's."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_the_method_of_the_readme_trains_and_is_recorded(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(code.splitlines()) < 75
    site = tmp_path / "site"
    facts = site / "oneway-1.0.dist-info"
    facts.mkdir(parents=True)
    (site / "oneway_method.py").write_text(code)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: oneway\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[i2i_bench.methods]\noneway = oneway_method:OneWay\n")
    words = ["run", "--method", "oneway", "--dataset", "emoji", "--target-size", "20", "--device", "cpu"]
    words += ["--budget-kimg", "0.4"]
    words += ["--metrics", "kd_effnet,l1_truth", "--set", "width=8"]
    env = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-m", "bench", *words], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = tmp_path.glob("results/runs/emoji/20/oneway/*/record.json")
    record = json.loads(path.read_text())
    assert record["status"] == "done"
    assert record["cost"]["images_seen"] == 400
    assert 0 < record["metrics"]["l1_truth"]["value"] < 0.5
    assert (path.parent / "samples.png").exists()
