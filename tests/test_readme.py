"""What README and docs promise: the example of a method runs as somebody else's package, and keeps every promise."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def python_blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def package(folder: Path) -> Path:
    """The example of docs/own-method.md and its test, as an installed package in a folder of its own."""
    code, test = python_blocks("docs/own-method.md")
    assert len(code.splitlines()) < 75
    facts = folder / "oneway-1.0.dist-info"
    facts.mkdir(parents=True)
    (folder / "oneway_method.py").write_text(code)
    (folder / "test_oneway.py").write_text(test)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: oneway\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[i2i_bench.methods]\noneway = oneway_method:OneWay\n")
    return folder


def run(folder: Path, site: Path, *words: str) -> subprocess.CompletedProcess:
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, "-m", *words], env=env, cwd=folder, capture_output=True, text=True, timeout=300
    )


def test_the_example_method_trains_and_is_recorded(tmp_path: Path) -> None:
    site = package(tmp_path / "site")
    words = ["run", "--method", "oneway", "--dataset", "emoji", "--target-size", "20", "--device", "cpu"]
    words += ["--budget-kimg", "0.4"]
    words += ["--metrics", "kd_effnet,l1_truth", "--set", "width=8"]
    done = run(tmp_path, site, "bench", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = tmp_path.glob("results/runs/emoji/20/oneway/*/record.json")
    record = json.loads(path.read_text())
    assert record["status"] == "done"
    assert record["cost"]["images_seen"] == 400
    assert 0 < record["metrics"]["l1_truth"]["value"] < 0.5
    assert (path.parent / "samples.png").exists()


def test_the_example_method_keeps_every_promise_of_the_contract(tmp_path: Path) -> None:
    site = package(tmp_path / "site")
    done = run(tmp_path, site, "pytest", "-q", "-p", "no:cacheprovider", str(site / "test_oneway.py"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout and "skipped" not in done.stdout, done.stdout


def test_the_python_of_the_readme_runs() -> None:
    (code,) = python_blocks("README.md")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1] == "125"


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
