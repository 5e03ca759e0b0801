"""The options of RunSettings are stated once, and each command that carries out runs has them."""

import inspect
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench.cli.settings import takes_settings
from bench.core.errors import UserError
from bench.core.text import names_in, numbers_in
from bench.runs.settings import RunSettings


def test_a_command_gets_one_settings_object() -> None:
    seen = []

    @takes_settings()
    def command(name: str, *, settings: RunSettings) -> None:
        seen.append((name, settings))

    values = {"device": "cpu", "threads": 2, "metrics": "a, b", "compile": True, "channels_last": False, "gpus": 2}
    more = {"log": "wandb,mlflow", "validate_every": 2.5, "accumulate": 1, "cuda_graphs": False, "recompute": False}
    command(name="x", checkpoint_seconds=5.0, **values, **more)
    assert seen == [("x", RunSettings("cpu", 2, ("a", "b"), True, False, 5.0, ("wandb", "mlflow"), 2.5, 2))]
    fields = [field.name for field in msgspec.structs.fields(RunSettings)]
    assert list(inspect.signature(command).parameters) == ["name", *fields]


@pytest.mark.parametrize("words", [("run",), ("sweep",)])
def test_commands_that_train_have_every_option(words: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-m", "bench", *words, "--help"], capture_output=True, text=True, timeout=60)
    for field in msgspec.structs.fields(RunSettings):
        assert f"--{field.name.replace('_', '-')} " in done.stdout


def test_names_are_comma_separated() -> None:
    assert (names_in("none"), names_in(" a,b ,")) == ((), ("a", "b"))


def test_numbers_are_comma_separated_whole_numbers() -> None:
    assert numbers_in(" 3, 1,,2 ", "--seeds") == (3, 1, 2)
    for text in ("1,x", ",", ""):
        with pytest.raises(UserError, match=f"--seeds '{text}': expected whole numbers, comma-separated"):
            numbers_in(text, "--seeds")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--threads", "0"),
        ("--threads", "100000000"),
        ("--gpus", "100000000"),
        ("--checkpoint-seconds", "nan"),
        ("--validate-every", "0"),
        ("--log", "tensorbored"),
        ("--log", ""),
        ("--metrics", ","),
        ("--metrics", " "),
    ],
)
def test_settings_without_sense_are_one_line(option: str, value: str, tmp_path: Path) -> None:
    words = ("run", "--method", "identity", "--dataset", "emoji", "--target-size", "9", option, value)
    done = subprocess.run(
        [sys.executable, "-m", "bench", *words], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert option in line and value in line
    assert not list(tmp_path.iterdir())
