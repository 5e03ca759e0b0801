"""`bench check` as a user meets it: a method of another package, its baseline, and what happens when it is changed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # fourteen runs of seconds, most of them for importing torch

TOY = Path(__file__).parents[1] / "toy.py"
ROOT = Path(__file__).parents[2]
GRID = {
    "dataset": "emoji",
    "target_size": 20,
    "resolution": 32,
    "preset": "cpu",
    "device": "cpu",
    "metrics": ["l1_truth"],
    "seeds": [0, 1],
    "confirm_seeds": [8, 9],
    "baseline_seeds": [0, 1, 2, 3, 4],
    "family_error": 0.01,
    "tolerance": {"cost/speed": 0.9, "cost/memory": 0.9},
    "methods": {"toy": {"budget_kimg": 0.2, "settings": []}},
}


class Checkout:
    """A folder with a baseline, and the package `toysite` on the path, whose method is checked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.module = folder / "site" / "toysite.py"
        self.baseline = folder / "ci.json"
        facts = folder / "site" / "toysite-1.0.dist-info"
        facts.mkdir(parents=True)
        (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: toysite\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text("[i2i_bench.methods]\ntoy = toysite:Toy\n")
        shutil.copy(TOY, self.module)
        self.baseline.write_text(json.dumps({"schema": 1, "grid": GRID, "methods": {}}))

    def check(self, *words: str) -> subprocess.CompletedProcess[str]:
        with self.started(*words) as process:
            out, error = process.communicate(timeout=400)
        return subprocess.CompletedProcess(process.args, process.returncode, out, error)

    def started(self, *words: str) -> "subprocess.Popen[str]":
        paths = [str(self.folder / "site"), str(ROOT), os.environ.get("PYTHONPATH", "")]
        command = [sys.executable, "-m", "bench", "check", "--baseline", str(self.baseline)]
        command += ["--results", str(self.folder / "check"), *words]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=environment, cwd=self.folder, stdout=pipe, stderr=pipe, text=True)

    def edit(self, old: str, new: str) -> None:
        text = self.module.read_text()
        assert old in text
        self.module.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, bank_cache: Path) -> Checkout:
    """A checkout whose baseline was written by --update."""
    os.environ["I2I_BENCH_CACHE"] = str(bank_cache)
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    before = checkout.check()
    assert before.returncode == 2 and "has no figures of toy yet" in before.stderr
    done = checkout.check("--update")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[5/5]" in done.stdout
    return checkout


@pytest.fixture
def checkout(made: Checkout, tmp_path: Path) -> Checkout:
    """A copy of it, runs included, that a test may change."""
    copy = tmp_path / "copy"
    shutil.copytree(made.folder, copy)
    mine = object.__new__(Checkout)
    mine.folder, mine.module, mine.baseline = copy, copy / "site" / "toysite.py", copy / "ci.json"
    return mine


def test_the_baseline_says_what_was_measured_and_how(made: Checkout) -> None:
    entry = json.loads(made.baseline.read_text())["methods"]["toy"]
    assert entry["seeds"] == [0, 1, 2, 3, 4]
    assert set(entry["values"]) == {"l1_truth", "loss/gap", "cost/speed", "cost/memory"}, "parts/... is no loss"
    for measured in entry["values"].values():
        values = measured["values"]
        centre = sum(values) / 5
        assert measured["mean"] == pytest.approx(centre)
        assert measured["spread"] == pytest.approx((sum((v - centre) ** 2 for v in values) / 4) ** 0.5)
    assert len(set(entry["values"]["l1_truth"]["values"])) == 5, "the seeds are different runs"
    how = entry["how"]
    assert how["command"].startswith("python -m bench check --update")
    assert how["commit"] and how["cpu"] and how["python"] and how["packages"]["torch"]
    assert entry["config"]["budget_kimg"] == 0.2
    logs = sorted(made.folder.glob("check/*/runs/emoji/20/toy/*/train.jsonl"))
    assert len(logs) == 5
    assert not list(made.folder.glob("check/*/runs/emoji/20/toy/*/*.pt")), "nothing heavy stays"
    lines = [json.loads(line) for line in logs[0].read_text().splitlines()]
    last = [line["gap"] for line in lines if line["step"] > 37.5]  # 200 images in batches of 4: 50 steps
    assert sum(last) / len(last) in [pytest.approx(v) for v in entry["values"]["loss/gap"]["values"]]


def test_unchanged_code_is_fine_and_its_runs_are_not_repeated(checkout: Checkout) -> None:
    done = checkout.check()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Values compared: 4 (0 failed" in done.stdout
    assert "4 of 4 values of the baseline's seeds are equal to the bit" in done.stdout
    assert "[1/2]" not in done.stdout


def test_a_bug_fails_with_what_moved_and_the_last_commit_at_which_it_was_fine(checkout: Checkout) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout[:10]
    assert checkout.check().returncode == 0
    before = checkout.baseline.read_bytes()
    checkout.edit('minimise("G", loss)', 'minimise("G", -loss)')
    done = checkout.check()
    assert done.returncode == 1, done.stdout + done.stderr
    (row,) = [line for line in done.stdout.splitlines() if "loss/gap" in line and "toy" in line]
    assert "MOVED" in row and re.search(r"[+-]\d+\.\d spreads", row)
    assert head in row
    clean = f"git bisect start HEAD {head} && git bisect run python -m bench check --methods toy"
    assert clean in done.stdout or f"{head} with changes" in row
    assert "--update --methods toy" in done.stdout
    assert "loss/gap" in (checkout.folder / "check" / "check.md").read_text()
    assert checkout.baseline.read_bytes() == before, "a check never writes the baseline"
    history = [json.loads(line) for line in (checkout.folder / "check" / "history.jsonl").read_text().splitlines()]
    assert "toy loss/gap" in history[0]["fine"] and "toy loss/gap" in history[1]["failed"]


def test_a_diverged_run_fails_by_name_and_an_update_leaves_the_file_alone(checkout: Checkout) -> None:
    checkout.edit("nan_at: int = -1", "nan_at: int = 3")
    before = checkout.baseline.read_bytes()
    done = checkout.check("--update")
    assert done.returncode == 1 and "is left as it was" in done.stdout
    assert checkout.baseline.read_bytes() == before
    done = checkout.check()
    assert done.returncode == 1
    assert "seed 0" in done.stdout and "seed 1" in done.stdout and "diverged" in done.stdout


def test_a_method_that_cannot_be_loaded_fails_by_name(checkout: Checkout) -> None:
    checkout.edit("import torch\n", "import torch_of_another_name\n")
    done = checkout.check()
    assert done.returncode == 1
    assert "not started" in done.stdout and "torch_of_another_name" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_signal_stops_the_runs_and_the_same_command_goes_on(checkout: Checkout) -> None:
    with checkout.started("--seeds", "50", "--workers", "1") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.rstrip().endswith(": begins"):
                process.terminate()
        assert process.wait(timeout=60) == 75
    assert not list(checkout.folder.glob("check/*/runs/emoji/20/toy/50-*/record.json"))
    done = checkout.check("--seeds", "50")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--methods", "toi"), "did you mean 'toy'"),
        (("--seeds", "a"), "--seeds 'a'"),
        (("--seeds", "1,1"), "each once"),
        (("--seeds", "1,2", "--update"), "--seeds goes with a check"),
        (("--workers", "0"), "at least 1"),
    ],
)
def test_bad_input_is_one_line(made: Checkout, words: tuple[str, ...], expected: str) -> None:
    done = made.check(*words)
    assert done.returncode == 2
    assert expected in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_a_check_whose_runs_are_all_there_does_not_import_torch(made: Checkout) -> None:
    code = (
        "import sys; from bench.cli.app import main\n"
        "try: main()\nexcept SystemExit as e: print('code', e.code)\nprint('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, "check", "--baseline", str(made.baseline)]
    paths = [str(made.folder / "site"), str(ROOT)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [*command, "--results", str(made.folder / "check")], env=environment, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-2:] == ["code 0", "False"], done.stdout + done.stderr
