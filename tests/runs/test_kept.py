"""What is kept of a run: its translations come back to the bit."""

import json
from pathlib import Path

import numpy as np
import pytest
from as_record import as_record
from records import run

from bench.core.checksums import file_sha256
from bench.core.errors import UserError
from bench.runs.kept import keep_run
from bench.runs.outputs import read_translations
from bench.runs.packed import PACKED, pack, unpack
from bench.runs.record import write_record


def finished(folder: Path, n: int = 37, side: int = 8) -> np.ndarray:
    """A run's folder with random translations, which no lossy format would bring back."""
    images = np.random.default_rng(0).integers(0, 256, (n, 3, side, side), dtype=np.uint8)
    folder.mkdir(parents=True)
    np.save(folder / "translated.npy", images)
    hashes = {"translated.npy": file_sha256(folder / "translated.npy"), "returned.npy": "0"}
    (folder / "outputs.json").write_text(json.dumps(hashes))
    (folder / "train.jsonl").write_text('{"step": 1}\n')
    record = run("a", 0.5, identity={"resolution": side}, task={"n_source_test": n}, outputs=hashes)
    write_record(folder, as_record(record))
    return images


def test_translations_come_back_to_the_bit(tmp_path: Path) -> None:
    images = finished(tmp_path / "run")
    keep_run(tmp_path / "run", tmp_path / "kept")
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {
        "record.json", "train.jsonl", "translated.webp",
    }  # fmt: skip
    assert np.array_equal(read_translations(tmp_path / "kept"), images)
    written = (tmp_path / "run" / "translated.npy").read_bytes()
    assert (tmp_path / "kept" / "translated.npy").read_bytes() == written


def test_a_picture_that_was_changed_is_refused(tmp_path: Path) -> None:
    images = finished(tmp_path / "run")
    keep_run(tmp_path / "run", tmp_path / "kept")
    (tmp_path / "kept" / PACKED).write_bytes(pack(255 - images))
    with pytest.raises(UserError, match=r"translated.webp is damaged: its images are not those that were measured"):
        read_translations(tmp_path / "kept")


def test_the_picture_has_32_images_in_a_row(tmp_path: Path) -> None:
    images = np.zeros((33, 3, 4, 4), np.uint8)
    images[31], images[32] = 50, 100
    (tmp_path / PACKED).write_bytes(pack(images))
    assert np.array_equal(unpack(tmp_path / PACKED, 33, 4), images)
    with pytest.raises(UserError, match="no picture of 80 images of 4 pixels"):
        unpack(tmp_path / PACKED, 80, 4)


def test_a_run_that_diverged_keeps_its_record_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    write_record(folder, as_record(run("a", None, status="diverged", error="nan", metrics={})))
    keep_run(folder, tmp_path / "kept")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["record.json"]
