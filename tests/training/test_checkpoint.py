"""Checkpoints: whole or passed over."""

from pathlib import Path

import pytest
import torch

from bench.training import checkpoint

CPU = torch.device("cpu")


def payload(step: int) -> dict:
    return {"step": step, "weights": torch.full((64,), float(step))}


def loaded(folder: Path) -> tuple[int | None, list[str]]:
    said: list[str] = []
    found = checkpoint.load_latest(folder, CPU, said.append)
    return (None if found is None else found["step"]), said


def test_round_trip_keeps_values_exactly(tmp_path: Path) -> None:
    rng = torch.Generator().manual_seed(3)
    tensors = {"x": torch.rand(7, generator=rng), "rng": rng.get_state()}
    others = {"n": 2**200, "text": "é", "none": None, "list": [1, 0.1]}
    checkpoint.save(tmp_path, 5, {**tensors, **others})
    found = checkpoint.load_latest(tmp_path, CPU, pytest.fail)
    assert found is not None
    for name, value in tensors.items():
        assert torch.equal(found.pop(name), value)
    assert found == others


def test_the_two_newest_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 9, 10, 100):
        checkpoint.save(tmp_path, step, payload(step))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name.split("-")[1] for name in names] == ["000000010", "000000100"]
    assert loaded(tmp_path) == (100, [])


@pytest.mark.parametrize("position", [0.0, 0.3, 0.999])
def test_a_flipped_bit_falls_back_and_says_so(tmp_path: Path, position: float) -> None:
    checkpoint.save(tmp_path, 1, payload(1))
    newest = checkpoint.save(tmp_path, 2, payload(2))
    data = bytearray(newest.read_bytes())
    data[int(position * len(data))] ^= 1
    newest.write_bytes(data)
    step, said = loaded(tmp_path)
    assert step == 1
    assert len(said) == 1
    assert str(newest) in said[0] and "damaged" in said[0]
    assert not newest.exists()
    assert newest.with_suffix(".damaged").exists()
    assert loaded(tmp_path) == (1, [])  # said once


@pytest.mark.parametrize("left", [0, 1, 100])
def test_a_truncated_file_falls_back(tmp_path: Path, left: int) -> None:
    checkpoint.save(tmp_path, 1, payload(1))
    newest = checkpoint.save(tmp_path, 2, payload(2))
    newest.write_bytes(newest.read_bytes()[:left])
    assert loaded(tmp_path)[0] == 1


def test_all_damaged_means_none(tmp_path: Path) -> None:
    for step in (1, 2):
        checkpoint.save(tmp_path, step, payload(step)).write_bytes(b"?")
    found, said = loaded(tmp_path)
    assert found is None
    assert len(said) == 2


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    assert loaded(tmp_path) == (None, [])


def test_code_inside_a_checkpoint_does_not_run(tmp_path: Path) -> None:
    """A file with a right checksum but a pickle that would call something."""
    import hashlib
    import os
    import pickle

    class Trap:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "ran"),)

    data = pickle.dumps(Trap(), protocol=2)
    name = f"checkpoint-000000001-{hashlib.sha256(data).hexdigest()[:16]}.pt"
    (tmp_path / name).write_bytes(data)
    assert loaded(tmp_path)[0] is None
    assert not (tmp_path / "ran").exists()


def test_keep_latest_and_clear(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text("{}")
    for step in (1, 2):
        checkpoint.save(tmp_path, step, payload(step))
    checkpoint.keep_latest(tmp_path)
    assert loaded(tmp_path)[0] == 2
    assert len(list(tmp_path.glob("checkpoint-*"))) == 1
    checkpoint.clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]
