"""Files are whole or absent, on a full disk too."""

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import UserError
from bench.core.files import append_text, atomic, digest, writable_folder, write_bytes, write_json, write_text
from bench.core.ownership import Ownership
from bench.data import montage
from bench.runs import outputs
from bench.runs.state import RunState, State
from bench.training import checkpoint, log


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_an_exception_leaves_nothing_new_and_the_old_untouched(tmp_path: Path, error: type[BaseException]) -> None:
    for path, earlier in ((tmp_path / "new", None), (tmp_path / "old", "earlier")):
        if earlier:
            path.write_text(earlier)
        with pytest.raises(error), atomic(path) as temporary:
            temporary.write_text("half")
            raise error
    assert names(tmp_path) == ["old"]
    assert (tmp_path / "old").read_text() == "earlier"


def test_the_old_content_stands_until_the_new_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_text(path, "one")
    with atomic(path) as temporary:
        temporary.write_text("two")
        assert path.read_text() == "one"
        assert temporary.parent == path.parent
    assert path.read_text() == "two"
    assert names(path.parent) == ["file"]


def test_the_mode_is_that_of_an_ordinary_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    write_text(tmp_path / "ours", "x")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "ours")}
    assert len(modes) == 1


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB; needs root and mount rights."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("cannot mount a small file system here; the test with a file size limit stands in")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_earlier_state(full_disk: Path) -> None:
    write_bytes(full_disk / "file", b"earlier")
    checkpoint.save(full_disk, 1, {"x": 1})
    before = names(full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(full_disk / "file", bytes(1 << 20))
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(full_disk, 2, {"x": "y" * (1 << 20)})
    assert names(full_disk) == before
    assert (full_disk / "file").read_bytes() == b"earlier"
    assert checkpoint.load_latest(full_disk, pytest.fail) == {"x": 1}


def test_every_writer_says_where_the_disk_is_full(full_disk: Path) -> None:
    """A write that fails names no file by itself; what the command line prints must."""
    line = log.Line(1, 4, {"G": 0.5})
    log.append(full_disk / log.FILE, line)
    (full_disk / "history.jsonl").touch()
    (full_disk / "filler").write_bytes(bytes(48 << 10))
    with suppress(OSError), (full_disk / "filler").open("ab", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    writers: dict[str, Callable[[], object]] = {
        "file.json": lambda: write_json(full_disk / "file.json", ["x" * 8192]),
        "checkpoint": lambda: checkpoint.save(full_disk, 1, {"x": "y" * 8192}),
        "state.json": lambda: RunState(full_disk).replace(State(error="x" * 8192)),
        "train.jsonl": lambda: [log.append(full_disk / log.FILE, line) for _ in range(200)],
        "history.jsonl": lambda: append_text(full_disk / "history.jsonl", "x" * 8192, flush=True),
        "translated.npy": lambda: outputs._save(full_disk / "translated.npy", image),
        "picture.png": lambda: montage.save(full_disk / "picture.png", Image.fromarray(image)),
        "disk": lambda: Ownership(full_disk).acquire(),
    }
    for name, write in writers.items():
        with pytest.raises(OSError) as caught:
            write()
        assert caught.value.filename and name in str(caught.value.filename), name


LIMITED = """
import resource, signal, sys
from pathlib import Path
from bench.core.files import write_bytes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_bytes(Path(sys.argv[1]), bytes(1 << 20))
except OSError as error:
    print(error.strerror)
"""


def test_a_write_that_the_system_cuts_short_leaves_the_earlier_state(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("earlier")
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "file")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == os.strerror(27)  # EFBIG
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "earlier"


def test_json_refuses_what_is_not_json(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": [1, None, "é"]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"b": [1, None, "é"]}
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"b": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text())["b"][0] == 1


def test_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2, 3]}) == digest({"b": [2, 3], "a": 1})
    assert digest({"a": 1}) == hashlib.sha256(b'{"a": 1}').hexdigest()
    assert digest([1, 2]) != digest([2, 1])


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"cannot write the results folder .*choose another folder") as caught:
        writable_folder(tmp_path / "file" / "below", "results folder")
    assert "\n" not in str(caught.value)
    assert writable_folder(tmp_path / "a" / "b", "results folder").is_dir()
    assert names(tmp_path / "a" / "b") == []


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no folder here that exists and takes no files")
def test_a_folder_that_exists_but_takes_no_files_is_one_line() -> None:
    with pytest.raises(UserError, match="cannot write the results folder /proc/self"):
        writable_folder(Path("/proc/self"), "results folder")
