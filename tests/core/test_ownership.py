"""Who owns a folder: real processes, killed for real."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bench.core import ownership
from bench.core.errors import Busy
from bench.core.ownership import DEAD_AFTER, Owner, Ownership, owner_of

HOLD = """
import sys, time
from pathlib import Path
from bench.core.ownership import Ownership
Ownership(Path(sys.argv[1])).acquire()
print("mine", flush=True)
time.sleep(600)
"""

CONTEND = """
import sys, time
from pathlib import Path
from bench.core.errors import Busy
from bench.core.ownership import Ownership
root, start = Path(sys.argv[1]), float(sys.argv[2])
won = []
for i, folder in enumerate(sorted(root.iterdir())):
    time.sleep(max(0.0, start + 0.01 * i - time.time()))
    lock = Ownership(folder, beat=0.02)
    try:
        lock.acquire()
        won.append(folder.name)
    except Busy:
        pass
print(" ".join(won), flush=True)
sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "mine\n"
    return process


def elsewhere(folder: Path, age: float) -> Path:
    """An owner on another machine whose last heartbeat was `age` seconds ago."""
    folder.mkdir(parents=True)
    path = folder / ".owner-000004"
    path.write_text(json.dumps(asdict(replace(Owner.this(), host="node7", place="node7 other boot"))))
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_a_living_owner_keeps_others_out_until_it_lets_go(tmp_path: Path) -> None:
    with Ownership(tmp_path / "run"):
        with pytest.raises(Busy, match=f"pid {os.getpid()}"):
            Ownership(tmp_path / "run").acquire()
        assert owner_of(tmp_path / "run") == Owner.this()
    assert owner_of(tmp_path / "run") is None
    with Ownership(tmp_path / "run"):
        assert owner_of(tmp_path / "run") == Owner.this()


def test_a_killed_owner_on_this_machine_is_succeeded_at_once(tmp_path: Path) -> None:
    process = holder(tmp_path)
    with pytest.raises(Busy, match=f"pid {process.pid}"):
        Ownership(tmp_path).acquire()
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and still a zombie
    with Ownership(tmp_path):
        pass
    process.wait()


def test_a_pid_that_is_used_again_is_not_its_owner(tmp_path: Path) -> None:
    (tmp_path / ".owner-000000").write_text(json.dumps(asdict(replace(Owner.this(), started="1"))))
    with Ownership(tmp_path):
        pass


def test_an_owner_elsewhere_lives_as_long_as_its_heart_beats(tmp_path: Path) -> None:
    elsewhere(tmp_path / "fresh", DEAD_AFTER - 20)
    with pytest.raises(Busy, match="node7"):
        Ownership(tmp_path / "fresh").acquire()
    path = elsewhere(tmp_path / "stale", DEAD_AFTER + 20)
    with Ownership(tmp_path / "stale", beat=0.02):
        assert not path.exists()
        assert owner_of(tmp_path / "stale") == Owner.this()


@pytest.mark.parametrize("jump", [-3600.0, 3600.0], ids=["set back", "set forward"])
def test_a_clock_that_jumps_neither_kills_an_owner_nor_lets_a_dead_one_live(tmp_path: Path, jump: float) -> None:
    path = elsewhere(tmp_path / "run", jump)
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(0.05):
            os.utime(path, (path.stat().st_mtime + 0.05,) * 2)

    heart = threading.Thread(target=beat)
    heart.start()
    try:
        with pytest.raises(Busy, match="node7"):
            Ownership(tmp_path / "run", beat=0.5).acquire()
    finally:
        stop.set()
        heart.join()
    with Ownership(tmp_path / "run", beat=0.05):
        assert not path.exists()


def test_the_clock_of_a_watcher_does_not_decide_who_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere(tmp_path / "run", 1)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert owner_of(tmp_path / "run") is not None


def test_the_heart_beats(tmp_path: Path) -> None:
    with Ownership(tmp_path, beat=0.05):
        (path,) = tmp_path.glob(".owner-*")
        os.utime(path, (0, 0))
        until = time.monotonic() + 10
        while path.stat().st_mtime < time.time() - 60:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_an_owner_that_was_succeeded_hears_of_it_and_leaves_the_other_alone(tmp_path: Path) -> None:
    told: list[bool] = []
    first = Ownership(tmp_path, lambda: told.append(True), beat=0.05)
    first.acquire()
    (path,) = tmp_path.glob(".owner-*")
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "place": "a machine that sleeps"}))
    os.utime(path, (0, 0))
    second = Ownership(tmp_path, beat=0)
    second.acquire()
    until = time.monotonic() + 10
    while not told:
        assert time.monotonic() < until
        time.sleep(0.02)
    first.release()
    assert owner_of(tmp_path) == Owner.this()
    second.release()


def test_of_many_that_want_a_dead_owners_folder_one_gets_it(tmp_path: Path) -> None:
    for i in range(40):
        elsewhere(tmp_path / f"{i:02d}", DEAD_AFTER + 20)
    start = str(time.time() + 4)
    command = [sys.executable, "-c", CONTEND, str(tmp_path), start]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    won: list[str] = []
    for process in processes:
        assert process.stdout is not None
        won += process.stdout.readline().split()
    for process in processes:
        process.communicate()
    assert sorted(won) == [f"{i:02d}" for i in range(40)]


def test_of_two_that_saw_the_same_dead_owner_one_gets_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second takes the folder after the first has looked and before it acts."""
    elsewhere(tmp_path / "run", DEAD_AFTER + 20)
    second, look = Ownership(tmp_path / "run", beat=0.02), ownership._silent

    def meanwhile(path: Path, found: ownership._Sighting, seconds: float) -> bool:
        monkeypatch.setattr(ownership, "_silent", look)
        silent = look(path, found, seconds)
        second.acquire()
        return silent

    monkeypatch.setattr(ownership, "_silent", meanwhile)
    with pytest.raises(Busy):
        Ownership(tmp_path / "run", beat=0.02).acquire()
    second.release()


def test_waiting_ends_when_the_owner_lets_go_or_when_told_to(tmp_path: Path) -> None:
    owner, other = Ownership(tmp_path), Ownership(tmp_path)
    owner.acquire()
    said: list[str] = []

    def waiting(busy: Busy) -> None:
        said.append(str(busy))
        if len(said) == 2:
            owner.release()

    other.acquire_when_free(0.01, waiting)
    assert len(said) == 2 and "is working on" in said[0]
    other.release()

    def stop(busy: Busy) -> None:
        raise busy

    with Ownership(tmp_path), pytest.raises(Busy):
        other.acquire_when_free(0.01, stop)
