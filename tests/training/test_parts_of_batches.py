"""Several processes that train together on parts of each batch, over gloo on the CPU."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.core.errors import UserError
from bench.core.registry import entries
from bench.launch.processes import free_port
from bench.runs.lifecycle import undivided
from bench.runs.settings import RunSettings
from bench.runs.spec import RunSpec
from bench.testing import CPU, Case, tiny_task
from bench.testing.learning import train_by_plain_descent
from bench.training.compute import Compute
from bench.training.config import as_json
from bench.training.ranks import Ranks
from bench.training.sampler import Sampler, Stream

WORKER = Path(__file__).with_name("rank_worker.py")


def can_be_divided(name: str) -> bool:
    cls = entries("methods")[name].load()
    preset = cls.presets.get("smoke") or cls.presets["cpu"]
    return cls.whole_batch(cls.Config(**{**preset, "batch_size": 4})) is None


DIVISIBLE = [name for name in entries("methods") if can_be_divided(name)]


def in_two_processes(folder: Path, names: list[str]) -> None:
    here = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    command = [sys.executable, str(WORKER), str(folder), *names]
    workers = [subprocess.Popen(command, env={**os.environ, **here, "RANK": str(rank)}) for rank in range(2)]
    assert [worker.wait(timeout=500) for worker in workers] == [0, 0]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    in_two_processes(folder, DIVISIBLE)
    return folder


@pytest.mark.parametrize("name", DIVISIBLE)
def test_two_processes_with_half_of_each_batch_train_as_one_with_the_whole(name: str, trained: Path) -> None:
    first, second = (torch.load(trained / f"{name}-{rank}.pt", weights_only=True) for rank in range(2))
    for key, value in first["weights"].items():
        assert torch.equal(value, second["weights"][key]), f"{key} differs between the processes"
    assert torch.equal(first["rng"], second["rng"])
    case = Case(entries("methods")[name].load(), trained, {"batch_size": 4})
    losses = train_by_plain_descent(case)
    assert torch.equal(case.method.rng.get_state(), first["rng"])
    for whole, parts in ((losses, first["losses"]), (case.parameters(), first["weights"])):
        for key, value in whole.items():
            torch.testing.assert_close(parts[key].float(), value.float(), rtol=5e-4, atol=2e-5, msg=key)


def test_the_parts_of_a_batch_are_its_rows_in_blocks() -> None:
    data, stream = tiny_task(), Stream("source", 8, blocks=2)
    whole = Sampler({"a": stream}, data, 0, CPU).batch(3)["a"]
    parts = [
        Sampler({"a": stream}, data, 0, Compute(CPU.device, ranks=Ranks(rank, 2))).batch(3)["a"] for rank in (0, 1)
    ]
    rows = [[0, 1, 4, 5], [2, 3, 6, 7]]
    for rank in (0, 1):
        assert torch.equal(parts[rank].image, whole.image[rows[rank]])
        assert torch.equal(whole.part(rank, 2).index, whole.index[rows[rank]])
    with pytest.raises(UserError, match="a batch of 4 has no 3 equal parts"):
        whole.part(0, 3)


def test_one_process_alone_sends_nothing() -> None:
    tensor, alone = torch.ones(2), Ranks()
    alone.average([tensor])
    assert alone.gather(tensor) is tensor
    assert alone.agree(True, False) == (True, False)
    assert alone.told(7) == 7


COMMAND = [
    *(sys.executable, "-m", "bench", "run", "--method", "munit", "--dataset", "digits8", "--target-size", "20"),
    *("--preset", "smoke", "--set", "batch_size=4", "--metrics", "none", "--device", "cpu", "--gpus", "2"),
]


def run(results: Path, *more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, "--results", str(results), *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_a_run_of_two_processes_that_was_stopped_goes_on_bit_equal(tmp_path: Path) -> None:
    more = ["--budget-kimg", "0.4", "--checkpoint-seconds", "0"]
    stopped = run(tmp_path / "stopped", *more)
    until = time.monotonic() + 300
    while not list(tmp_path.glob("stopped/runs/*/*/*/*/checkpoint-*")) and time.monotonic() < until:
        time.sleep(0.05)
    stopped.send_signal(signal.SIGTERM)
    said = stopped.communicate(timeout=300)[0]
    assert stopped.returncode == 75, said
    assert not list(tmp_path.glob("stopped/runs/*/*/*/*/record.json"))
    for name in ("stopped", "alone"):
        process = run(tmp_path / name, *more)
        said = process.communicate(timeout=500)[0]
        assert process.returncode == 0, said
        assert ("goes on from step" in said) == (name == "stopped")
        assert said.count("[munit] record:") == 1  # the first process alone speaks
    images, logs = (
        [next(iter(tmp_path.glob(f"{name}/runs/*/*/*/*/{file}"))) for name in ("stopped", "alone")]
        for file in ("translated.npy", "train.jsonl")
    )
    assert np.array_equal(np.load(images[0]), np.load(images[1]))
    assert logs[0].read_text() == logs[1].read_text()
    begun = json.loads(images[1].with_name("config.json").read_text())
    assert [start["gpus"] for start in begun["starts"]] == [2]


def spec(method: str, **changed: object) -> RunSpec:
    cls = entries("methods")[method].load()
    config = cls.Config(**{**cls.presets["smoke"], "batch_size": 4, **changed})
    return RunSpec(method, "tiny", 20, 32, config=as_json(config))


@pytest.mark.parametrize(
    ("method", "changed", "reason"),
    [
        ("deepi2i", {}, "G has batch norm; the field accumulations cuts a batch as the paper does; leave these"),
        ("munit", {"batch_weight": True}, "the batch weights are a softmax over its images"),
        ("munit", {"batch_size": 5}, "a batch of 5 has no 2 equal parts; choose a divisor"),
        ("munit", {"augment_d": "ada"}, "augment_d=ada draws for the whole batch; set augment_d=none"),
    ],
)
def test_what_cannot_be_done_in_parts_has_a_reason(method: str, changed: dict[str, object], reason: str) -> None:
    said = undivided(spec(method, **changed), 2)
    assert said is not None and said.startswith(reason)


def test_what_can_be_done_in_parts_has_none() -> None:
    assert undivided(spec("munit"), 2) is None


def test_a_batch_without_such_parts_is_refused_in_one_line_before_anything_is_written(tmp_path: Path) -> None:
    command = [word for word in COMMAND if word not in ("--gpus", "2")]
    done = subprocess.run(
        [*command, "--accumulate", "3", "--results", str(tmp_path / "results")],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 2
    assert "error: munit cannot train with a batch in 3 parts" in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("name", ["gpus", "accumulate"])
def test_no_parts_are_no_settings(name: str) -> None:
    with pytest.raises(UserError, match=f"--{name} 0: at least 1"):
        RunSettings(**{name: 0})
