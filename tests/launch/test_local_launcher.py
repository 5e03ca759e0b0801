"""`bench sweep --launcher local` as a user meets it: real processes, real kills, a real (slow) method."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.launch import sweeps

PLUGIN = Path(__file__).parents[1] / "slurm" / "plugin"  # the method `sleepy`
STEPS = 20  # of each run
SECONDS = "0.1"  # of each step


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which sleepy writes its steps down."""
    (tmp_path / "log").mkdir()
    monkeypatch.setenv("SLEEPY_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("SLEEPY_SECONDS", SECONDS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PLUGIN), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path / "log"


def command(results: Path, *more: str, sizes: str = "20", seeds: str = "0,1") -> list[str]:
    grid = ["--methods", "sleepy", "--datasets", "emoji", "--target-sizes", sizes, "--seeds", seeds, "--preset", "cpu"]
    quick = ["--budget-kimg", str(STEPS * 4 / 1000), "--metrics", "l1_truth"]
    return [sys.executable, "-m", "bench", "sweep", *grid, *quick, "--results", str(results), *more]


def sweep(results: Path, *more: str, sizes: str = "20", seeds: str = "0,1") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(results, *more, sizes=sizes, seeds=seeds), capture_output=True, text=True, timeout=240
    )


def status(results: Path) -> list[str]:
    words = [sys.executable, "-m", "bench", "status", "--results", str(results)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()


def records(results: Path) -> dict[str, dict]:
    found = {str(p.parent.relative_to(results)): json.loads(p.read_text()) for p in results.rglob("record.json")}
    return {name: {k: r[k] for k in ("identity", "task", "config", "status", "metrics")} for name, r in found.items()}


def steps(log: Path) -> dict[str, list[int]]:
    """Of each run, the steps in the order in which they were taken, over all processes."""
    found = {}
    for path in sorted((log / "steps").glob("*.jsonl")):
        found[path.stem] = [json.loads(line)["step"] for line in path.read_text().splitlines()]
    return found


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)


def begun(log: Path) -> bool:
    return any(len(taken) >= 3 for taken in steps(log).values()) if (log / "steps").exists() else False


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, bank_cache: Path) -> dict[str, dict]:
    """Records of the same runs, each started by hand."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "log").mkdir()
    path = os.pathsep.join([str(PLUGIN), os.environ.get("PYTHONPATH", "")])
    places = {"I2I_BENCH_CACHE": str(bank_cache), "SLEEPY_LOG": str(folder / "log"), "PYTHONPATH": path}
    for seed in ("0", "1"):
        words = ["run", "--method", "sleepy", "--dataset", "emoji", "--target-size", "20", "--preset", "cpu"]
        more = ["--seed", seed, "--device", "cpu", "--results", str(folder / "results"), "--metrics", "l1_truth"]
        quick = ["--budget-kimg", str(STEPS * 4 / 1000)]
        subprocess.run([sys.executable, "-m", "bench", *words, *more, *quick], env={**os.environ, **places}, check=True)
    return records(folder / "results")


def test_without_yes_nothing_starts(environment: Path, tmp_path: Path) -> None:
    done = sweep(tmp_path / "results", sizes="20,9999")
    assert done.returncode == 0, done.stderr
    assert "total 4: 2 new, 2 skipped" in done.stdout
    assert "skipped 2: --target-size 9999 is not possible" in done.stdout
    assert "--yes" in done.stdout
    assert not (tmp_path / "results").exists()


def test_a_sweep_that_can_do_nothing_keeps_what_it_skipped_once(environment: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    for _ in range(2):
        done = sweep(results, "--yes", sizes="9999")
        assert "nothing to submit" in done.stdout and done.returncode == 0, done.stderr
    (kept,) = sweeps.read_all(results, print)
    assert kept.runs == [] and [run.spec.seed for run in kept.skipped] == [0, 1]
    assert status(results) == ["total 0"]


@pytest.mark.slow
def test_one_that_fails_does_not_disturb_others_and_is_retried_on_request(
    environment: Path, tmp_path: Path, undisturbed: dict
) -> None:
    results = tmp_path / "results"
    (environment / "broken-21").touch()
    done = sweep(results, "--yes", "--workers", "2", sizes="20,21,9999")
    assert done.returncode == 0, done.stderr
    (submitted,) = sweeps.read_all(results, print)
    assert [(run.spec.target_size, run.spec.seed) for run in submitted.skipped] == [(9999, 0), (9999, 1)]
    assert all("--target-size 9999 is not possible" in run.reason for run in submitted.skipped)
    lines = status(results)
    assert sum(" done " in line for line in lines) == 2
    assert sum("failed       RuntimeError: broken-21 is there" in line for line in lines) == 2
    assert records(results) == undisturbed

    before = steps(environment)
    assert "2 done, 2 failed" in sweep(results, "--yes", sizes="20,21").stdout
    assert steps(environment) == before

    (environment / "broken-21").unlink()
    (mend,) = [line for line in status(results) if "--retry failed" in line]
    assert mend.startswith("2 failed: python -m bench sweep --methods sleepy")
    done = sweep(results, "--yes", "--retry", "failed", "--workers", "2", sizes="20,21")
    assert "[2/2]" in done.stdout
    assert len(records(results)) == 4
    assert all(taken[-1] == STEPS - 1 for taken in steps(environment).values())


@pytest.mark.slow
def test_ctrl_c_saves_all_and_the_same_command_goes_on(environment: Path, tmp_path: Path, undisturbed: dict) -> None:
    results = tmp_path / "results"
    first = subprocess.Popen(
        command(results, "--yes", "--workers", "2"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: begun(environment), first)
    first.send_signal(signal.SIGINT)
    _, error = first.communicate(timeout=120)
    assert first.returncode == 75
    assert error.startswith("stopped: SIGINT")
    assert not records(results)
    assert len(list(results.rglob("checkpoint-*.pt"))) >= 1
    assert any("interrupted" in line for line in status(results))

    assert sweep(results, "--yes", "--workers", "2").returncode == 0
    assert records(results) == undisturbed
    for taken in steps(environment).values():
        assert taken == list(range(STEPS))  # none twice: the second start went on from the first


@pytest.mark.slow
def test_a_killed_sweep_is_taken_up_again(environment: Path, tmp_path: Path, undisturbed: dict) -> None:
    results = tmp_path / "results"
    more = ("--yes", "--workers", "2", "--checkpoint-seconds", "0.3")
    first = subprocess.Popen(command(results, *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: any("running" in p.read_text() for p in results.glob("runs/*/*/*/*/state.json")), first)
    wait_for(lambda: begun(environment), first)
    children = [json.loads(p.read_text()).get("pid") for p in results.glob("runs/*/*/*/*/state.json")]
    for pid in (first.pid, *filter(None, children)):
        os.kill(pid, signal.SIGKILL)
    first.communicate()
    assert sum("interrupted" in line or " new" in line for line in status(results)[:2]) == 2

    done = sweep(results, *more)
    assert done.returncode == 0, done.stderr
    assert records(results) == undisturbed


@pytest.mark.slow
def test_two_sweeps_at_the_same_moment_run_nothing_twice(environment: Path, tmp_path: Path, undisturbed: dict) -> None:
    results = tmp_path / "results"
    both = [
        subprocess.Popen(command(results, "--yes"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    said = "".join(out for out, _ in outputs)
    assert said.count(": begins") == 2
    assert "nothing to submit" in said
    assert records(results) == undisturbed
    assert all(taken == list(range(STEPS)) for taken in steps(environment).values())


@pytest.mark.slow
def test_cancelled_means_cancelled(environment: Path, tmp_path: Path, undisturbed: dict) -> None:
    results = tmp_path / "results"
    process = subprocess.Popen(
        command(results, "--yes", "--workers", "1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: begun(environment), process)
    done = subprocess.run(
        [sys.executable, "-m", "bench", "cancel", "--all", "--results", str(results)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("cancelled emoji/20/sleepy/") == 2
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert len(steps(environment)) == 1  # the second never began
    assert sum(" cancelled" in line for line in status(results)[:2]) == 2
    assert "nothing to submit" in sweep(results, "--yes").stdout

    assert sweep(results, "--yes", "--retry", "cancelled", "--workers", "2").returncode == 0
    assert records(results) == undisturbed
