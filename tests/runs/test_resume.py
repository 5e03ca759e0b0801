"""A run that is killed and started again equals one left alone: real processes, real signals, real images."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SMALL = {
    "cyclegan": ["width=4", "blocks=1", "batch_size=8", "budget_kimg=1.6"],
    "balagan": [
        *("width=4", "downs=2", "reference_downs=3", "discriminator_downs=3", "batch_size=4", "budget_kimg=1.4"),
        *("classes=modes:3", "encoder_images=source", "encoder_width=8", "encoder_batch=64", "encoder_epochs=3"),
    ],
}
METRICS = "kd_effnet,fd_effnet,nn_ratio,target_share"
TIMEOUT = 480


def command(method: str, results: Path, *more: str) -> list[str]:
    fixed = ["--dataset", "emoji", "--target-size", "20", "--preset", "cpu", "--device", "cpu", "--resolution", "32"]
    fields = [word for setting in SMALL[method] for word in ("--set", setting)]
    quick = ["--metrics", METRICS, "--checkpoint-seconds", "0.3", "--results", str(results)]
    return [sys.executable, "-m", "bench", "run", "--method", method, *fixed, *fields, *quick, *more]


def environment(cache: Path, shared: Path) -> dict[str, str]:
    """A cache of its own, so that stages are built anew, but the image bank and the real features of all tests."""
    cache.mkdir(parents=True, exist_ok=True)
    for name in ("banks", "features"):
        (shared / name).mkdir(exist_ok=True)
        if not (cache / name).exists():
            (cache / name).symlink_to(shared / name)
    return {**os.environ, "I2I_BENCH_CACHE": str(cache), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def finish(method: str, results: Path, env: dict[str, str]) -> dict:
    done = subprocess.run(command(method, results), env=env, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    return record_of(results)


def record_of(results: Path) -> dict:
    (path,) = results.glob("runs/*/*/*/*/record.json")
    return json.loads(path.read_text())


def same(record: dict) -> dict:
    """What must be equal: all but costs, times and machines."""
    return {key: record[key] for key in ("identity", "task", "config", "status", "metrics")}


def log_of(results: Path) -> list[dict]:
    (path,) = results.glob("runs/*/*/*/*/train.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def kill_when(method: str, results: Path, env: dict[str, str], seen: str, delay: float, number: int) -> int:
    """Starts the run, waits until it prints `seen`, then `delay` seconds, then sends the signal. Its exit code."""
    process = subprocess.Popen(
        command(method, results), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    printed = []
    for line in process.stdout:
        printed.append(line)
        if seen in line:
            break
    else:
        raise AssertionError(f"the run ended before it said {seen!r}:\n{''.join(printed)}")
    time.sleep(delay)
    process.send_signal(number)
    process.stdout.read()
    return process.wait(timeout=TIMEOUT)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, bank_cache: Path) -> dict[str, tuple[dict, list]]:
    found = {}
    for method in SMALL:
        folder = tmp_path_factory.mktemp(method)
        env = environment(folder / "cache", bank_cache)
        found[method] = same(finish(method, folder / "results", env)), log_of(folder / "results")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("method", list(SMALL))
def test_sigkill_at_random_steps(method: str, undisturbed: dict, tmp_path: Path, bank_cache: Path) -> None:
    env = environment(tmp_path / "cache", bank_cache)
    results = tmp_path / "results"
    chance = random.Random(method)
    if method == "balagan":
        assert kill_when(method, results, env, "modes: step 1/", 0.3, signal.SIGKILL) == -signal.SIGKILL
        assert list((tmp_path / "cache" / "artifacts").glob("*/*.part")), "the kill did not come during prepare"
    for _ in range(3):
        delay = chance.uniform(0.5, 3.5)
        assert kill_when(method, results, env, "train: ", delay, signal.SIGKILL) == -signal.SIGKILL
    record = finish(method, results, env)
    assert same(record) == undisturbed[method][0]
    assert log_of(results) == undisturbed[method][1]
    assert not list(results.rglob("*.tmp"))


@pytest.mark.slow
def test_sigkill_while_measuring(undisturbed: dict, tmp_path: Path, bank_cache: Path) -> None:
    env = environment(tmp_path / "cache", bank_cache)
    results = tmp_path / "results"
    code = kill_when("cyclegan", results, env, "translate:", 2.0, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not list(results.glob("runs/*/*/*/*/record.json"))
    trained = next(results.glob("runs/*/*/*/*/translated.npy")).stat().st_mtime_ns
    assert same(finish("cyclegan", results, env)) == undisturbed["cyclegan"][0]
    assert next(results.glob("runs/*/*/*/*/translated.npy")).stat().st_mtime_ns == trained


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_checkpoints_and_leaves_with_its_own_code(
    number: int, undisturbed: dict, tmp_path: Path, bank_cache: Path
) -> None:
    env = environment(tmp_path / "cache", bank_cache)
    results = tmp_path / "results"
    assert kill_when("cyclegan", results, env, "folder:", 2.0, number) == 75
    saved = list(results.glob("runs/*/*/*/*/checkpoint-*.pt"))
    assert saved
    assert same(finish("cyclegan", results, env)) == undisturbed["cyclegan"][0]


@pytest.mark.slow
def test_two_processes_on_one_run(undisturbed: dict, tmp_path: Path, bank_cache: Path) -> None:
    env = environment(tmp_path / "cache", bank_cache)
    results = tmp_path / "results"
    first = subprocess.Popen(
        command("cyclegan", results), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert first.stdout is not None
    for line in first.stdout:
        if "train: step" in line or "folder:" in line:
            break
    time.sleep(1.5)
    second = subprocess.run(command("cyclegan", results), env=env, capture_output=True, text=True, timeout=TIMEOUT)
    assert second.returncode == 4
    assert re.search(r"another process \(.*pid \d+\) is working on", second.stderr)
    first.stdout.read()
    assert first.wait(timeout=TIMEOUT) == 0
    assert same(record_of(results)) == undisturbed["cyclegan"][0]
