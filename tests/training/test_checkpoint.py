"""Checkpoints: whole or passed over."""

import multiprocessing
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.training import checkpoint


def payload(step: int) -> dict:
    return {"step": step, "weights": torch.full((64,), float(step))}


def loaded(folder: Path) -> tuple[int | None, list[str]]:
    said: list[str] = []
    found = checkpoint.load_latest(folder, said.append)
    return (None if found is None else found["step"]), said


def test_round_trip_keeps_values_exactly(tmp_path: Path) -> None:
    rng = torch.Generator().manual_seed(3)
    tensors = {"x": torch.rand(7, generator=rng), "rng": rng.get_state()}
    others = {"n": 2**200, "text": "é", "none": None, "list": [1, 0.1]}
    checkpoint.save(tmp_path, 5, {**tensors, **others})
    found = checkpoint.load_latest(tmp_path, pytest.fail)
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


def test_tensors_come_back_on_the_cpu_wherever_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Generator.set_state` takes a state on the CPU alone, that of a GPU's generator too."""
    asked = []
    load = torch.load

    def watched(*args: Any, map_location: Any, **more: Any) -> Any:
        asked.append(map_location)
        return load(*args, map_location=map_location, **more)  # type: ignore[misc]

    monkeypatch.setattr(torch, "load", watched)
    checkpoint.save(tmp_path, 1, {"rng": torch.Generator().manual_seed(3).get_state()})
    found = checkpoint.load_latest(tmp_path, pytest.fail)
    assert found is not None
    assert asked == ["cpu"]
    torch.Generator().set_state(found["rng"])


class TestWriter:
    def test_it_writes_what_the_state_was_when_it_was_handed_over(self, tmp_path: Path) -> None:
        network = torch.nn.BatchNorm1d(3)
        weights = network.weight.detach()
        with checkpoint.Writer(tmp_path) as writer:
            writer.submit(1, {"step": 1, "network": network.state_dict(), "pair": (weights, "text")})
            weights.fill_(7.0)
        found = checkpoint.load_latest(tmp_path, pytest.fail)
        assert found is not None
        assert torch.equal(found["pair"][0], torch.ones(3))
        assert torch.equal(found["network"]["weight"], torch.ones(3))
        assert found["network"]._metadata == network.state_dict()._metadata  # type: ignore[attr-defined]  # versions of the layers

    def test_training_goes_on_while_it_writes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        go_on = threading.Event()
        save = checkpoint.save
        monkeypatch.setattr(checkpoint, "save", lambda *a: go_on.wait(10) and save(*a))
        with checkpoint.Writer(tmp_path) as writer:
            writer.submit(1, payload(1))
            assert writer.busy  # this line is reached although nothing is written yet
            go_on.set()
            writer.wait()
            assert not writer.busy
        assert loaded(tmp_path) == (1, [])

    def test_what_fails_in_the_thread_is_raised_by_the_next_call(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*a: object) -> Path:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(checkpoint, "save", full)
        with pytest.raises(OSError, match="No space left"), checkpoint.Writer(tmp_path) as writer:
            writer.submit(1, payload(1))


def _save_for_ever(folder: Path) -> None:
    with checkpoint.Writer(folder) as writer:
        for step in range(1, 10**6):
            writer.submit(step, {"step": step, "weights": torch.full((1 << 18,), float(step))})


def test_kill_9_at_any_moment_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    chance = random.Random(0)
    checkpoint.save(tmp_path, 0, {"step": 0, "weights": torch.zeros(1 << 18)})
    for _ in range(12):
        child = multiprocessing.get_context("fork").Process(target=_save_for_ever, args=(tmp_path,))
        child.start()
        time.sleep(chance.uniform(0.01, 0.3))
        child.kill()
        child.join()
        found = checkpoint.load_latest(tmp_path, pytest.fail)
        assert found is not None
        assert (found["weights"] == found["step"]).all()
        last = found["step"]
    assert last > 0


def test_a_whole_checkpoint_stays_where_memory_is_too_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = checkpoint.save(tmp_path, 1, payload(1))

    def short(*_: Any, **__: Any) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", short)
        with pytest.raises(RuntimeError, match="can't allocate memory"):
            loaded(tmp_path)
    assert newest.exists() and loaded(tmp_path) == (1, [])
