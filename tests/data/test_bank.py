"""The image bank: whole or absent, never stale, the same on every machine."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from places import damaged_values

from bench.core.errors import UserError
from bench.data import bank as banks
from bench.data.bank import ImageBank, prepare
from bench.data.dataset import Dataset, Item
from bench.data.find import make

SIDE = 8


class Colours(Dataset):
    """Images of one colour each, in <domain>/<split>-<number>.bmp below the root."""

    name = "colours"
    domains = ("warm", "cold")
    resolution = SIDE
    layout = homepage = license = "-"

    def scan(self, root: Path) -> list[Item]:
        files = sorted(path.relative_to(root) for path in root.glob("*/*.bmp"))
        return [Item(f.name, f.parts[0], f.stem.split("-")[0], None, f.as_posix(), f.stem) for f in files]


def paint(root: Path, count: int = 6) -> Path:
    for domain, red in (("warm", 200), ("cold", 10)):
        (root / domain).mkdir(parents=True)
        for i in range(count):
            split = "test" if i % 3 == 0 else "train"
            Image.new("RGB", (SIDE, SIDE), (red, i, 0)).save(root / domain / f"{split}-{i:03}.bmp")
    return root


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path / "cache"))
    return paint(tmp_path / "data")


def visible(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "cache" / "banks").iterdir() if not p.name.endswith(".lock"))


def test_bank_holds_the_images_and_their_index(root: Path) -> None:
    bank = prepare(Colours(), root, SIDE)
    assert bank.images.shape == (12, 3, SIDE, SIDE)
    assert bank.images.dtype == np.uint8
    assert not bank.images.flags.writeable
    for row, name in enumerate(bank.ids):
        red = {"warm": 200, "cold": 10}[bank.domains[row]]
        assert (bank.images[row].transpose(1, 2, 0) == (red, int(name[-7:-4]), 0)).all()
        assert bank.splits[row] == name.split("-")[0]
        assert bank.pairs[row] == name.removesuffix(".bmp")
    assert bank.domains == ["warm"] * 6 + ["cold"] * 6
    assert (bank.labels == -1).all()
    assert bank.rows("cold", "test").tolist() == [6, 7]  # by id: test-000, test-003, train-001, ...
    assert bank.manifest["counts"]["cold"] == {"train": {"-": 4}, "test": {"-": 2}}
    gathered = bank.images[np.array([3, 1])]
    assert (gathered == np.stack([bank.images[3], bank.images[1]])).all()


def test_second_prepare_decodes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(Colours(), root, SIDE)
    monkeypatch.setattr(Colours, "load", None)
    assert prepare(Colours(), root, SIDE).folder == first.folder


def test_a_whole_bank_is_opened_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(Colours(), root, SIDE)
    read, opened = banks.read_journal, []

    def counted(folder: Path) -> Any:
        opened.append(folder)
        return read(folder)

    monkeypatch.setattr(banks, "read_journal", counted)
    prepare(Colours(), root, SIDE)
    assert len(opened) == 1


def test_one_changed_pixel_gives_another_bank_even_with_size_and_time_kept(root: Path) -> None:
    before = prepare(Colours(), root, SIDE)
    file = root / "warm" / "train-001.bmp"
    stat, data = file.stat(), bytearray(file.read_bytes())
    data[-1] ^= 255
    time.sleep(0.02)
    file.write_bytes(data)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = prepare(Colours(), root, SIDE)
    assert after.folder != before.folder
    assert after.manifest["content_sha256"] != before.manifest["content_sha256"]
    assert (np.array(after.images) != np.array(before.images)).sum() == 1


@pytest.mark.parametrize("field", ["version", "protocol"])
def test_key_depends_on_the_data_set(root: Path, monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    before = prepare(Colours(), root, SIDE).folder
    monkeypatch.setattr(Colours, field, 7 if field == "version" else "other")
    assert prepare(Colours(), root, SIDE).folder != before


def test_key_depends_on_the_resolution_and_the_folder(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "copy")
    here, small = prepare(Colours(), root, SIDE), prepare(Colours(), root, SIDE // 2)
    copy = prepare(Colours(), tmp_path / "copy", SIDE)
    assert len({here.folder, small.folder, copy.folder}) == 3
    assert copy.manifest == here.manifest  # the same images wherever they lie


def test_an_archive_is_known_by_its_content(tmp_path: Path) -> None:
    emoji = make("emoji")
    shipped = emoji.embedded()
    assert shipped is not None
    copy = tmp_path / "moved.zip"
    shutil.copy(shipped, copy)
    items = banks.index(emoji, shipped)
    assert banks.bank_folder(emoji, shipped, items, 32) == banks.bank_folder(emoji, copy, items, 32)
    with copy.open("ab") as file:
        file.write(b"\0")
    assert banks.bank_folder(emoji, shipped, items, 32) != banks.bank_folder(emoji, copy, items, 32)


def test_content_hash_follows_its_description(root: Path) -> None:
    expected = hashlib.sha256()
    for domain, red in (("warm", 200), ("cold", 10)):
        for split, numbers in (("test", (0, 3)), ("train", (1, 2, 4, 5))):
            for i in numbers:
                stem = f"{split}-{i:03}"
                pixels = bytes([red]) * SIDE**2 + bytes([i]) * SIDE**2 + bytes(SIDE**2)
                facts = [domain, f"{stem}.bmp", split, None, stem, hashlib.sha256(pixels).hexdigest()]
                expected.update(json.dumps(facts).encode() + b"\n")
    bank = prepare(Colours(), root, SIDE)
    assert bank.manifest["content_sha256"] == expected.hexdigest()
    assert bank.content_sha256() == expected.hexdigest()


def flip_last_byte(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def test_hashing_anew_finds_a_flipped_bit(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in an image that opening does not look at."""
    bank = prepare(Colours(), root, SIDE)
    monkeypatch.setattr(banks, "SAMPLED", 0)
    flip_last_byte(bank.folder / "images.npy")
    assert banks.open_bank(bank.folder).content_sha256() != bank.manifest["content_sha256"]


@pytest.mark.parametrize("victim", ["images.npy", "index.json", "manifest.json"])
def test_damaged_bank_is_named_by_open_and_rebuilt_by_prepare(root: Path, victim: str) -> None:
    bank = prepare(Colours(), root, SIDE)
    content = bank.content_sha256()
    file = bank.folder / victim
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(UserError, match=f"{bank.folder / victim} .*delete {bank.folder} and prepare it again"):
        banks.open_bank(bank.folder)
    assert prepare(Colours(), root, SIDE).content_sha256() == content


@pytest.mark.parametrize("victim", ["index.json", "manifest.json"])
def test_damage_anywhere_in_the_index_is_one_line(root: Path, victim: str) -> None:
    bank = prepare(Colours(), root, SIDE)
    path = bank.folder / victim
    whole = json.loads(path.read_text())
    for value in damaged_values(whole):
        path.write_text(json.dumps(value))
        try:
            banks.open_bank(bank.folder)
        except UserError as error:
            assert str(bank.folder) in str(error)


def test_bad_image_is_named_and_leaves_nothing(root: Path, tmp_path: Path) -> None:
    bad = root / "cold" / "train-004.bmp"
    bad.write_bytes(bad.read_bytes()[:60])
    with pytest.raises(UserError, match=str(bad)):
        prepare(Colours(), root, SIDE)
    assert visible(tmp_path) == []


def test_interruption_leaves_no_bank(root: Path, tmp_path: Path) -> None:
    def report(stage: str, done: int, total: int) -> None:
        assert total == 12
        if stage.startswith("preparing"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(Colours(), root, SIDE, report)
    assert [name for name in visible(tmp_path) if not name.startswith(".")] == []


PREPARE = """
import sys, time
sys.path[:0] = [{tests!r}, {tests!r} + '/..']
from pathlib import Path
from bench.data.bank import prepare
from test_bank import Colours
lines = []
def report(stage, done, total):
    lines.append(stage)
    print(stage, done, flush=True)
    time.sleep({pause})
{before}
print("whole", prepare(Colours(), Path({root!r}), {side}, report).content_sha256())
"""


def start(root: Path, pause: float = 0.0, before: str = "") -> "subprocess.Popen[str]":
    values: dict[str, Any] = {"tests": str(Path(__file__).parent), "root": str(root), "side": SIDE}
    program = PREPARE.format(pause=pause, before=before, **values)
    return subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )


def test_of_two_processes_one_builds_and_both_get_the_bank(root: Path) -> None:
    processes = [start(root, pause=1.2) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0].splitlines() for process in processes]
    assert outputs[0][-1] == outputs[1][-1]
    assert outputs[0][-1].startswith("whole")
    builders = [any(line.startswith("preparing") for line in output) for output in outputs]
    assert sorted(builders) == [False, True]
    assert any(line.startswith("waiting for another process") for line in outputs[builders.index(False)])


def test_full_disk_is_one_line_and_leaves_nothing(root: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: writing fails in the middle of images.npy."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))"
    process = start(root, before=limit)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert stderr.splitlines()[-1].startswith("bench.core.errors.UserError: cannot write the image bank")
    assert "I2I_BENCH_CACHE" in stderr
    assert visible(tmp_path) == []


def test_cache_that_cannot_be_written(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("I2I_BENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="cannot write the cache of image banks"):
        prepare(Colours(), root, SIDE)


def held_out(bank: ImageBank, domain: str) -> set[str]:
    return {bank.ids[row] for row in bank.rows(domain, "test")}


def test_a_domain_without_test_part_has_a_fifth_held_out_by_hash(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(root)
    paint(root, 20)
    for file in root.glob("warm/test-*.bmp"):
        file.rename(file.with_name(file.name.replace("test", "train")))
    bank = prepare(Colours(), root, SIDE)
    names = [f"train-{i:03}" for i in range(20)]
    order = sorted(names, key=lambda name: hashlib.sha256(f"colours\nheld out\n{name}".encode()).hexdigest())
    assert held_out(bank, "warm") == {f"{name}.bmp" for name in order[:4]}
    assert all(name.startswith("test") for name in held_out(bank, "cold"))  # has its own test part


def test_pairs_are_held_out_together(root: Path) -> None:
    for file in root.glob("*/test-*.bmp"):
        file.rename(file.with_name(file.name.replace("test", "train")))
    bank = prepare(Colours(), root, SIDE)
    assert held_out(bank, "warm") == held_out(bank, "cold") != set()


def test_a_domain_needs_an_image_on_either_side(root: Path) -> None:
    for file in root.glob("cold/train-*.bmp"):
        file.unlink()
    with pytest.raises(UserError, match="domain cold has 0 images to train on and 2 to test on"):
        prepare(Colours(), root, SIDE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"domain": "hot"}, "unknown domain"),
        ({"split": "valid"}, "split 'valid'"),
        ({"id": "test-000.bmp"}, "two images of the domain warm"),
        ({"id": "a\nb"}, "control characters"),
        ({"id": "caf\udce9"}, "no valid Unicode"),  # a Latin-1 file name, as Python reads it
    ],
)
def test_scan_of_a_faulty_data_set(root: Path, change: dict[str, str], message: str) -> None:
    class Faulty(Colours):
        def scan(self, root: Path) -> list[Item]:
            return [
                replace(item, **change) if item.file == "warm/train-001.bmp" else item for item in super().scan(root)
            ]

    with pytest.raises(UserError, match=message):
        prepare(Faulty(), root, SIDE)


def test_load_of_a_faulty_data_set(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Colours, "load", lambda *_: np.zeros((3, 4, 4), np.uint8))
    with pytest.raises(UserError, match=r"make it uint8 \(3, 8, 8\)"):
        prepare(Colours(), root, SIDE)


def test_pixels_that_are_not_what_was_written_are_seen_on_opening(root: Path) -> None:
    bank = prepare(Colours(), root, SIDE)
    file = bank.folder / "images.npy"
    content = bytearray(file.read_bytes())
    content[-bank.images.nbytes :] = bytes(255 - value for value in content[-bank.images.nbytes :])
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"images\.npy is damaged: image 0 is not what was written"):
        banks.open_bank(bank.folder)
    again = prepare(Colours(), root, SIDE)
    assert again.content_sha256() == again.manifest["content_sha256"]
