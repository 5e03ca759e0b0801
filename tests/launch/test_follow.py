"""`bench logs`: the end of what a run printed, and with -f what it prints until it ends."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bench.core.errors import UserError
from bench.core.ownership import Ownership
from bench.launch import follow, sweeps


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run that a sweep submitted and that has printed a few lines."""
    run = tmp_path / "runs" / "e" / "9" / "m" / "0-a"
    run.mkdir(parents=True)
    sweeps.Sweep("s", "local", ["runs/e/9/m/0-a"], []).write(tmp_path)
    (run / "state.json").write_text(json.dumps({"state": "running", "sweep": "s", "time": 1.0, "starts": 1}))
    (run / "log.txt").write_text("".join(f"line {i}\n" for i in range(50)) + "unfin")
    return run


def test_the_last_lines(tmp_path: Path, folder: Path) -> None:
    assert list(follow.lines(tmp_path, folder, 3, False)) == [
        f"==> {folder / 'log.txt'}", "line 48", "line 49", "unfin",
    ]  # fmt: skip
    assert len(list(follow.lines(tmp_path, folder, 0, False))) == 52


def test_following_shows_what_is_added_until_the_run_has_ended(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "POLL", 0.05)
    begun, said = threading.Event(), []

    def work() -> None:
        with Ownership(folder):
            begun.set()
            time.sleep(0.5)
            with (folder / "log.txt").open("a") as file:
                file.write("ished\r50 %\rdone\n")
            (folder / "state.json").write_text(json.dumps({"state": "failed", "error": "no luck", "sweep": "s"}))

    worker = threading.Thread(target=work)
    worker.start()
    assert begun.wait(10)
    for line in follow.lines(tmp_path, folder, 1, True):
        said.append(line)
    worker.join()
    assert said == [f"==> {folder / 'log.txt'}", "line 49", "unfinished", "50 %", "done", "==> failed: no luck"]


def test_a_run_without_a_log_is_one_line(tmp_path: Path, folder: Path) -> None:
    (folder / "log.txt").unlink()
    for following in (False, True):
        with pytest.raises(UserError, match="has no log yet"):
            list(follow.lines(tmp_path, folder, 1, following))


def test_the_command(tmp_path: Path, folder: Path) -> None:
    words = [sys.executable, "-m", "bench", "logs", "-f", "-n", "1", "0-a", "--results", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env={**os.environ})
    assert done.stdout.splitlines()[-1] == "==> interrupted"
    assert done.stdout.splitlines()[1] == "unfin" and done.returncode == 0
