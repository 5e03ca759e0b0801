"""scripts/check_submission.sh: which files of a pull request are taken, and that each is checked."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from records import runs, write

from bench.leaderboard.pack import write_pack

SCRIPT = Path(__file__).parents[2] / "scripts" / "check_submission.sh"


def git(root: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *words], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def pack(tmp_path: Path) -> bytes:
    (record,) = runs("cyclegan", [0.001], identity={"dataset": "ink"})
    record["task"] = {"manifest_sha256": "same", "source": "flat", "target": "ink"}
    write(tmp_path / "theirs", [record])
    write_pack(tmp_path / "theirs", tmp_path / "pack.zip")
    return (tmp_path / "pack.zip").read_bytes()


def submitted(root: Path, change: Callable[[Path], object], bench: str = "true") -> subprocess.CompletedProcess:
    """What the script says of a commit that changes results/submitted, where old.zip was before."""
    folder = root / "repository" / "results" / "submitted"
    folder.mkdir(parents=True)
    (folder / "old.zip").write_bytes(b"old")
    git(root / "repository", "init", "-q")
    git(root / "repository", "add", ".")
    git(root / "repository", "commit", "-qm", "base")
    base = git(root / "repository", "rev-parse", "HEAD")
    change(folder)
    git(root / "repository", "add", "-A")
    git(root / "repository", "commit", "-qm", "head", "--allow-empty")
    head = git(root / "repository", "rev-parse", "HEAD")
    git(root / "repository", "checkout", "-q", base)
    words = ["sh", str(SCRIPT), head, str(root / "taken")]
    environment = {"PATH": "/usr/bin:/bin", "BENCH": bench, "PYTHONPATH": str(SCRIPT.parents[1])}
    return subprocess.run(words, cwd=root / "repository", env=environment, capture_output=True, text=True)


def test_a_new_pack_is_taken_and_checked(tmp_path: Path, pack: bytes) -> None:
    bench = f"{sys.executable} -m bench"
    done = submitted(tmp_path, lambda folder: (folder / "my results.zip").write_bytes(pack), bench)
    assert done.returncode == 0, done.stderr
    assert "my results.zip" in done.stdout and "1 runs, nothing to object to" in done.stdout
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["1.zip"]


def test_a_pack_with_faults_fails(tmp_path: Path) -> None:
    done = submitted(tmp_path, lambda folder: (folder / "a.zip").write_bytes(b"no"), f"{sys.executable} -m bench")
    assert done.returncode == 2 and "is no pack of results" in done.stderr


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda folder: None, "no pack was added"),
        (lambda folder: (folder / "evil.py").write_text("x"), "may only gain .zip files: A results/submitted/evil.py"),
        (lambda folder: (folder / "old.zip").write_bytes(b"new"), "may only gain .zip files: M"),
        (lambda folder: (folder / "old.zip").unlink(), "may only gain .zip files: D"),
        (lambda folder: (folder / "a.zip").symlink_to("/etc/passwd"), "is no plain file"),
    ],
)
def test_nothing_but_new_plain_files_is_taken(tmp_path: Path, change: Callable[[Path], object], why: str) -> None:
    done = submitted(tmp_path, change)
    assert done.returncode == 2 and why in done.stderr
