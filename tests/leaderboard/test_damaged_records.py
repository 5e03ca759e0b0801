"""Every command that reads records, on older and on damaged ones: one clear line, never a traceback."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from records import run, runs, write
from typer.testing import CliRunner

from bench.cli.app import app
from bench.core.errors import UserError

READERS = (["leaderboard"], ["compare", "a", "b"], ["slopes"], ["status"])


def call(*words: str, results: Path) -> Any:
    """Of the command; a UserError is what bench.cli.app.main turns into one line."""
    done = CliRunner().invoke(app, [*words, "--results", str(results)])
    assert done.exception is None or isinstance(done.exception, UserError), done.exception
    return done


@pytest.fixture
def results(tmp_path: Path) -> Path:
    write(tmp_path, [*runs("a", [0.001, 0.002, 0.003]), *runs("b", [0.002, 0.003]), run("a", 0.001, size=10)])
    return tmp_path


def change(**parts: Any) -> Callable[[str], str]:
    return lambda text: json.dumps({**json.loads(text), **parts})


def without(part: str) -> Callable[[str], str]:
    return lambda text: json.dumps({key: value for key, value in json.loads(text).items() if key != part})


VALUE = {"value": 1.0, "low": None, "high": None, "n_gen": 1, "n_ref": 1, "version": 1, "reason": None}


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "null",
        lambda text: text.replace("0.003", "NaN"),
        lambda text: text.replace('"subset_seed": 0', '"subset_seed": "0"'),
        without("cost"),
        without("metrics"),
        change(cost={"train_seconds": "60"}),
        change(metrics={"kd_effnet": {**VALUE, "value": "1"}}),
        change(metrics={"kd_effnet": {**VALUE, "low": [0.5]}}),
        change(metrics={"kd_effnet": {**VALUE, "reason": 5}}),
        change(remeasured="yesterday"),
    ],
)
def test_a_damaged_record_is_named_and_passed_over(damage: Callable[[str], str], results: Path) -> None:
    (folder,) = (results / "runs" / "d" / "5" / "a").glob("2-*")
    path = folder / "record.json"
    whole = path.read_text()
    path.write_text(damage(whole))
    assert path.read_text() != whole
    for words in READERS:
        done = call(*words, results=results)
        assert done.exit_code == 0, done.exception
        if words != ["status"]:
            (line,) = done.output.replace("\n", " ").split("left out: ")[1:]
            assert "".join(str(path).split()) in "".join(line.split())
    shown = call("show", str(folder), results=results).exception
    assert isinstance(shown, UserError) and str(path) in str(shown)


def test_an_older_record_is_shown_with_what_it_has(results: Path) -> None:
    (folder,) = (results / "runs" / "d" / "5" / "a").glob("2-*")
    path = folder / "record.json"
    path.write_text(change(cost={}, provenance={}, task={})(path.read_text()))
    for words in READERS:
        done = call(*words, results=results)
        assert done.exit_code == 0 and "left out" not in done.output
    shown = call("show", str(folder), results=results).output
    assert "a on d: ? -> ?, 5 target images at 32 px, seed 2" in shown
    assert "cost: not recorded\ncommit unknown, unknown device, unknown processor\n" in shown
    path.write_text(change(cost={"train_seconds": 61.4, "peak_memory_bytes": 3 * 2**20})(path.read_text()))
    assert "cost: train 61 s, peak 3 MiB\n" in call("show", str(folder), results=results).output


def test_a_torn_log_and_a_reason_that_looks_like_markup(tmp_path: Path) -> None:
    (folder,) = write(tmp_path, [run("a", None, reason="no [/b] labels")])
    log = [{"step": 1, "images": 8, "losses/G": 0.5}, {"step": 2, "images": 16, "losses/G": 0.25}]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, log)) + '\n{"step": 3, "ima')
    shown = call("show", str(folder), results=tmp_path).output
    assert "no [/b] labels" in shown
    assert "after 16 images" in " ".join(shown.split()) and "0.25" in shown
