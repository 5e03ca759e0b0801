"""Damage to any file of a run, through every command: one line that names the file, and no other run suffers."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from places import damaged_values
from rich.console import Console
from typer.testing import CliRunner

from bench.cli.app import app
from bench.core import registry
from bench.core.errors import UserError
from bench.core.registry import Entry
from bench.core.typed import write_typed
from bench.launch import status, sweeps
from bench.launch.sweeps import Skipped, Sweep
from bench.leaderboard.draw import read
from bench.leaderboard.read import read_table
from bench.leaderboard.unfinished import unfinished
from bench.runs.frozen import Frozen
from bench.runs.record import Code, read_record, read_records
from bench.runs.settings import RunSettings
from bench.runs.spec import RunSpec
from bench.runs.state import read_state
from bench.training import checkpoint

RUN = ("run", "--dataset", "emoji", "--target-size", "20", "--metrics", "l1_truth", "--device", "cpu")
TOY = (*RUN, "--method", "toy", "--preset", "cpu")
FILES = (
    "record.json",
    "config.json",
    "state.json",
    "cost.json",
    "train.jsonl",
    "translated.npy",
    "outputs.json",
    "samples.png",
)


@pytest.fixture(scope="module", autouse=True)
def toy() -> Iterator[None]:
    ours = registry.entries

    def entries(kind: str) -> dict[str, Entry]:
        extra = {"toy": Entry("toy", "toy", "Toy", {"name": "toy"}, "test")} if kind == "methods" else {}
        return {**ours(kind), **extra}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "entries", entries)
        yield


def bench(results: Path, *words: str) -> Any:
    return CliRunner().invoke(app, [*words, "--results", str(results)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, bank_cache: Path) -> Path:
    """Results of two toys and an anchor, all done."""
    results = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_BENCH_CACHE", str(bank_cache))
        for words in (
            (*TOY, "--seed", "0"),
            (*TOY, "--seed", "1"),
            (*RUN, "--method", "identity", "--resolution", "32"),
        ):
            done = bench(results, *words)
            assert done.exit_code == 0, done.output
    return results


@pytest.fixture
def results(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "results")
    return tmp_path / "results"


def toys(results: Path) -> tuple[Path, Path]:
    """The folders of the two toys; the first one is damaged, the second one must not notice."""
    first, second = sorted((results / "runs" / "emoji" / "20" / "toy").iterdir())
    return first, second


def empty(path: Path, other: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path, other: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path, other: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x84
    path.write_bytes(data)


def foreign(path: Path, other: Path) -> None:
    path.write_bytes(b"PK\x03\x04\xff\xfe[]")


def folder(path: Path, other: Path) -> None:
    path.unlink()
    path.mkdir()


def swap(path: Path, other: Path) -> None:
    shutil.copy(other, path)


DAMAGES = (empty, cut, flip, foreign, folder, swap)


def files_of(run: Path, pattern: str) -> list[Path]:
    return sorted(run.glob(pattern))


def holds(done: Any, *names: Path) -> None:
    """It worked, or it is one line with exit code 2 that names the file (or the folder that is to be deleted)."""
    error = done.exception
    if error is None or (isinstance(error, SystemExit) and error.code in (0, None)):
        return
    if isinstance(error, OSError):
        assert error.filename and any(str(name) in str(error.filename) for name in names), error
        return
    assert isinstance(error, UserError), (error, done.output)
    assert any(str(name) in str(error) for name in names), error


def others_are_there(results: Path) -> None:
    """The second toy and the anchor are done, and stand in the leaderboard's records."""
    _, second = toys(results)
    rows = {row.folder: row.state for row in status.look(results).rows}
    assert rows[second] == "done" and list(rows.values()).count("done") >= 2
    assert str(second) in [record.folder for record in read_records(results, lambda _: None)]


def look_on(results: Path, every_command: bool) -> None:
    """The commands that look at all runs work: as functions, or all of them as commands, which takes longer."""
    look(results)
    read(results, None, Console(quiet=True))
    read_table(results, None, lambda _: None)
    for words in LOOKING if every_command else ():
        done = bench(results, *words)
        assert done.exit_code == 0, (words, done.exception, done.output)


LOOKING = (("status",), ("leaderboard",), ("slopes",), ("compare", "toy", "identity"), ("cancel", "--all"))


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_file_of_a_finished_run(file: str, damage: Callable[[Path, Path], None], results: Path) -> None:
    first, second = toys(results)
    damage(first / file, second / file)
    look_on(results, every_command=damage is foreign)
    for words in (
        ("show", str(first)),
        ("logs", str(first)),
        ("remeasure", str(first), "--metrics", "psnr_truth"),
        TOY,
    ):
        holds(bench(results, *words), first)
    others_are_there(results)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize(
    "file", ["config.json", "state.json", "cost.json", "translated.npy", "outputs.json", "checkpoint-*.pt"]
)
def test_a_damaged_file_of_a_run_that_is_not_measured(
    file: str, damage: Callable[[Path, Path], None], results: Path
) -> None:
    first, second = toys(results)
    (first / "record.json").unlink()
    damage(files_of(first, file)[-1], files_of(second, file)[-1])
    look_on(results, every_command=damage is foreign)
    (first / "cancelled").unlink(missing_ok=True)
    holds(bench(results, *TOY), first)
    others_are_there(results)


@pytest.mark.parametrize("damage", [flip, swap], ids=lambda damage: damage.__name__)
def test_damaged_images_are_never_measured(damage: Callable[[Path, Path], None], results: Path) -> None:
    """A flipped bit leaves a whole array, and so do the images of another run: only the hash tells."""
    first, second = toys(results)
    damage(first / "translated.npy", second / "translated.npy")
    before = (first / "record.json").read_bytes()
    done = bench(results, "remeasure", str(first), "--metrics", "psnr_truth")
    assert isinstance(done.exception, UserError) and str(first / "translated.npy") in str(done.exception)
    assert (first / "record.json").read_bytes() == before


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("file", ["config.json", "state.json", "train.jsonl", "checkpoint-*.pt"])
def test_a_damaged_file_of_a_run_that_is_to_be_resumed(
    file: str, damage: Callable[[Path, Path], None], results: Path
) -> None:
    first, second = toys(results)
    for name in ("record.json", "cost.json", "translated.npy"):
        (first / name).unlink()
    damage(files_of(first, file)[-1], files_of(second, file)[-1])
    holds(bench(results, *TOY), first)
    others_are_there(results)


CONTENTS: tuple[Any, ...] = (
    {},
    {"state": {}, "tally": {"step": 1}, "random": {}},
    {"state": [], "tally": {"paces": 1}, "random": {"cpu": torch.zeros(3)}},
)


@pytest.mark.parametrize("content", CONTENTS, ids=str)
def test_a_checkpoint_with_the_right_hash_and_wrong_content(content: Any, results: Path) -> None:
    first, _ = toys(results)
    for name in ("record.json", "cost.json", "translated.npy"):
        (first / name).unlink()
    (before,) = first.glob("checkpoint-*.pt")
    wrong = checkpoint.save(first, 21, content)
    done = bench(results, *TOY)
    assert isinstance(done.exception, UserError), done.exception
    assert str(wrong) in str(done.exception) and "delete it" in str(done.exception)
    wrong.unlink()
    checkpoint.save(first, 22, [])  # type: ignore[arg-type]
    done = bench(results, *TOY)
    assert before.exists() and done.exit_code == 0 and "it is set aside and the one before is used" in done.output


def look(results: Path, path: Path | None = None) -> None:
    """What the commands that look at all runs do with a damaged file: it serves, or it is named and passed over."""
    said: list[str] = []
    read_records(results, said.append)
    unfinished(results, said.append)
    rows = status.look(results).rows
    status.mends(results, rows)
    said += [row.detail for row in rows if row.state == "damaged"]
    assert path is None or all(str(path) in line for line in said if "damaged" in line), said


@pytest.mark.parametrize(
    ("file", "reader"),
    [
        ("record.json", read_record),
        ("state.json", lambda path: read_state(path.parent)),
        ("frozen.json", Frozen.read),
        ("config.json", None),
        ("sweep.json", None),
    ],
)
def test_every_kind_of_value_in_every_place(file: str, reader: Callable[[Path], Any] | None, results: Path) -> None:
    first, _ = toys(results)
    path = first / file
    submit(results, first)
    if file in ("config.json", "frozen.json"):
        (first / "record.json").unlink()
    if file == "sweep.json":
        (path,) = results.glob("sweeps/*/sweep.json")
        (first / "record.json").unlink()
    whole = json.loads(path.read_text())
    values = list(damaged_values(whole))
    assert len(values) > 100
    for value in values:
        path.write_text(json.dumps(value))
        look(results, path)
        if reader is not None:
            try:
                reader(path)
            except UserError as error:
                assert str(path) in str(error)


def submit(results: Path, folder: Path) -> None:
    """What a sweep leaves beside a run."""
    spec = RunSpec("toy", "emoji", 20, 32, preset="cpu", config={"width": 4, "rates": [1, 2]})
    write_typed(
        folder / "frozen.json",
        Frozen(spec=spec, settings=RunSettings(device="cpu"), submitted=Code("a commit", "a source")),
    )
    name = str(folder.relative_to(results))
    sweeps.folder(results, "s").mkdir(parents=True)
    Sweep("s", "slurm", [name], [], jobs={"7_0": [name]}, skipped=[Skipped(spec, "no")]).write(results)
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**state, "state": "pending", "sweep": "s", "stopped_at": ["a", 1]}))
