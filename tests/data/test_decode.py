"""Decoding in several processes: killed anywhere, started again, the same bank."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_bank import Colours

from bench.core import parallel
from bench.core.errors import UserError
from bench.data.bank import ImageBank, open_bank, prepare
from bench.data.dataset import Item
from bench.data.decode import CHUNK

COUNT = 3 * CHUNK + 10  # images a domain


class Counted(Colours):
    """Leaves one byte in the file `loads` beside the root for each image that any process decodes."""

    name = "counted"

    def load(self, root: Path, item: Item, resolution: int) -> np.ndarray:
        with (root.parent / "loads").open("ab") as file:
            file.write(b".")
        if os.environ.get("SLOW"):
            time.sleep(0.01)
        return super().load(root, item, resolution)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(parallel, "cores", lambda: 3)
    for d, domain in enumerate(Colours.domains):
        (tmp_path / "data" / domain).mkdir(parents=True)
        for i in range(COUNT):
            split = "test" if i % 5 == 0 else "train"
            Image.new("RGB", (8, 8), (d, i, 7)).save(tmp_path / "data" / domain / f"{split}-{i:03}.bmp")
    return tmp_path / "data"


def loads(root: Path) -> int:
    file = root.parent / "loads"
    return file.stat().st_size if file.exists() else 0


def check(bank: ImageBank) -> None:
    """Every row holds the colour that its file name says."""
    assert len(bank.ids) == 2 * COUNT
    for row, name in enumerate(bank.ids):
        red = Colours.domains.index(bank.domains[row])
        assert (bank.images[row] == np.array([red, int(name[-7:-4]), 7])[:, None, None]).all(), name
    assert bank.content_sha256() == bank.manifest["content_sha256"]


def test_three_processes_and_one_make_the_same_bank(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = prepare(Counted(), root, 8)
    check(many)
    assert loads(root) == 2 * COUNT
    hashes = (many.folder / "hashes.jsonl").read_text()
    many.folder.rename(many.folder.with_name("elsewhere"))
    monkeypatch.setattr(parallel, "cores", lambda: 1)
    one = prepare(Counted(), root, 8)
    check(one)
    assert one.manifest == many.manifest
    assert (one.folder / "hashes.jsonl").read_text() == hashes


KILLED = """
import sys
sys.path[:0] = [{tests!r}, {tests!r} + '/..']
from pathlib import Path
from bench.core import parallel
from bench.data.bank import prepare
from test_decode import Counted
parallel.cores = lambda: 3
prepare(Counted(), Path({root!r}), 8, lambda stage, done, total: print(stage, done, flush=True))
"""


def kill_after(root: Path, lines: int) -> list[str]:
    program = KILLED.format(tests=str(Path(__file__).parent), root=str(root))
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env={**os.environ, "SLOW": "1"}
    )
    assert process.stdout is not None
    said: list[str] = []
    while len(said) < lines:
        line = process.stdout.readline()
        assert line, "it ended before it could be killed"
        if line.startswith("preparing"):
            said.append(line)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return said


def test_killed_twice_it_goes_on_and_makes_the_same_bank(root: Path, tmp_path: Path) -> None:
    first = kill_after(root, 2)
    assert int(first[-1].split()[-1]) == 2 * CHUNK
    banks = tmp_path / "cache" / "banks"
    assert all(place.name.startswith(".") for place in banks.iterdir())
    kill_after(root, 2)  # one line says what is there, one that a further chunk is done
    time.sleep(0.3)  # the workers die with their parent: nothing is decoded any more
    before = loads(root)
    time.sleep(0.3)
    assert loads(root) == before
    bank = prepare(Counted(), root, 8)
    check(bank)
    assert loads(root) - before <= 2 * COUNT - 3 * CHUNK
    assert [place.name for place in banks.iterdir() if not place.name.endswith(".lock")] == [bank.folder.name]


@pytest.mark.parametrize("damage", ["torn line", "pixels", "garbage"])
def test_what_a_power_failure_leaves_is_not_trusted(root: Path, damage: str) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if stage.startswith("preparing") and done > 3 * CHUNK:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(Counted(), root, 8, stop)
    partial = next((root.parent / "cache" / "banks").glob(".*.partial"))
    journal, images = partial / "hashes.jsonl", partial / "images.npy"
    if damage == "torn line":
        journal.write_text(journal.read_text()[:-20])
    elif damage == "garbage":
        journal.write_bytes(b'\xff\x00{"\n[3, 4]\n[7, ["x"]]' + journal.read_bytes())
    else:
        data = bytearray(images.read_bytes())
        data[:] = data[:200] + bytes(len(data) - 200)  # all written pixels are lost but the first
        images.write_bytes(data)
    check(prepare(Counted(), root, 8))


def test_the_first_bad_image_is_named_whoever_is_faster(root: Path, tmp_path: Path) -> None:
    for name in ("warm/train-101.bmp", "warm/train-202.bmp", "cold/train-004.bmp"):
        (root / name).write_bytes(b"BM")
    for _ in range(3):
        with pytest.raises(UserError, match=r"cannot decode the image .*warm/train-101\.bmp"):
            prepare(Counted(), root, 8)
    left = [place.name for place in (tmp_path / "cache" / "banks").iterdir() if not place.name.endswith(".lock")]
    assert left == []


def test_what_was_begun_with_other_files_is_swept_away(root: Path, tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if stage.startswith("preparing"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(Counted(), root, 8, stop)
    (root / "warm" / "train-001.bmp").unlink()
    bank = prepare(Counted(), root, 8)
    left = [place.name for place in (tmp_path / "cache" / "banks").iterdir() if not place.name.endswith(".lock")]
    assert left == [bank.folder.name]


def test_a_killed_worker_is_one_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = os.getpid()

    def load(*_: object) -> np.ndarray:
        assert os.getpid() != parent
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    monkeypatch.setattr(Counted, "load", load)
    with pytest.raises(UserError, match="a worker process was killed"):
        prepare(Counted(), root, 8)


MEASURED = """
import re, sys
from pathlib import Path

import numpy as np
from bench.data.bank import open_bank
bank = open_bank(Path(sys.argv[1]))
generator = np.random.default_rng(0)
rows = bank.rows("a", "train")
total = 0
for _ in range(20):
    total += int(bank.images[generator.choice(rows, 16)].sum())
print(re.search(r"RssAnon:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1))
"""


def sparse_bank(folder: Path, count: int, side: int) -> Path:
    """A bank of black images without a byte of pixels on disk."""
    folder.mkdir()
    with (folder / "images.npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, 3, side, side)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + count * 3 * side**2)
    index: dict[str, list[Any]] = {
        "ids": [f"{i:06}" for i in range(count)],
        "domains": ["a"] * count,
        "splits": ["train"] * count,
    }
    index |= {"labels": [-1] * count, "pairs": [None] * count, "attributes": [], "files": [""] * count}
    (folder / "index.json").write_text(json.dumps(index))
    manifest: dict[str, Any] = {"dataset": "black", "version": 1, "protocol": "default", "resolution": side}
    manifest |= {"labels": [], "images": count, "counts": {}, "content_sha256": ""}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_batches_of_100_000_images_need_no_more_memory_than_of_1_000(tmp_path: Path) -> None:
    """Memory of the process itself; pages of the file that the system caches are free to go at any time."""

    def kilobytes(count: int) -> int:
        folder = sparse_bank(tmp_path / str(count), count, 128)
        assert open_bank(folder).images.nbytes == count * 49152
        done = subprocess.run([sys.executable, "-c", MEASURED, str(folder)], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert kilobytes(100_000) - kilobytes(1_000) < 100_000  # the index; the pixels are 4.9 GB
