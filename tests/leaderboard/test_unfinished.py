"""Runs without a record: they stand in the table that their run belongs to, and nowhere else."""

import json
from dataclasses import asdict, replace
from io import StringIO
from pathlib import Path
from typing import Any

from records import boards, run, runs, write
from rich.console import Console

from bench.core.registry import entries
from bench.launch.sweeps import Skipped, Sweep
from bench.leaderboard.board import Board
from bench.leaderboard.cells import column
from bench.leaderboard.draw import read
from bench.leaderboard.render.csv import cells_csv
from bench.leaderboard.render.markdown import markdown
from bench.leaderboard.render.page import payload
from bench.leaderboard.tables import tables
from bench.leaderboard.unfinished import unfinished
from bench.runs.spec import RunSpec
from bench.runs.state import RunState, State

SPEC = RunSpec("c", "d", 5, 32, preset="cpu", config={"width": 4})
DONE = [*runs("a", [1.0, 1.5]), *runs("a", [2.0, 2.5], size=10), run("c", 3.0, size=10, config={"width": 4})]


def begin(results: Path, spec: RunSpec, state: dict[str, Any], file: str = "config.json") -> None:
    folder = spec.folder(results)
    folder.mkdir(parents=True)
    (folder / file).write_text(json.dumps({"spec": asdict(spec)}))
    RunState(folder).replace(State(**state))


def seen(board: Board, size: int = 5) -> dict[str, tuple[str, str]]:
    """label -> state and note"""
    return {row.label: (cell.state, cell.note) for row, cell in column(board, "kd_effnet", size).cells.items()}


def found(results: Path, records: list[dict[str, Any]]) -> Board:
    (board,) = [board for board in boards(records, unfinished(results, print)) if board.resolution == 32]
    return board


def test_a_failed_run_stands_in_the_table_of_its_resolution_only(tmp_path: Path) -> None:
    begin(tmp_path, replace(SPEC, resolution=256), {"state": "failed", "error": "out of memory"})
    large = run("a", 1.0, identity={"resolution": 256})
    small, big = boards([*DONE, large], unfinished(tmp_path, print))
    assert seen(small)["c"] == ("missing", "no run")
    assert seen(big)["c"] == ("unfinished", "failed: out of memory")
    assert [row.label for row in big.rows] == ["a", "c"]


def test_a_table_without_any_record_is_a_line(tmp_path: Path) -> None:
    write(tmp_path, DONE)
    begin(tmp_path, replace(SPEC, resolution=256), {"state": "failed", "error": "out of memory"})
    begin(tmp_path, replace(SPEC, resolution=256, seed=1), {"state": "failed", "error": "out of memory"})
    begin(tmp_path, replace(SPEC, resolution=256, seed=2), {"state": "running"})
    begin(tmp_path, replace(SPEC, seed=3), {"state": "running"})
    console = Console(record=True, width=200, file=StringIO())
    (board,) = read(tmp_path, None, console)
    assert board.resolution == 32
    line = "d, 256 px, protocol default: no record, 3 unfinished (failed: out of memory; running)"
    assert console.export_text() == f"{line}\n"


def test_a_failed_run_stands_in_the_table_of_its_protocol_only(tmp_path: Path) -> None:
    """celeba has the protocol `balagan`."""
    begin(tmp_path, replace(SPEC, dataset="celeba"), {"state": "failed"})
    done = [run("a", 1.0, identity={"dataset": "celeba", "protocol": protocol}) for protocol in ("balagan", "default")]
    ours, other = boards(done, unfinished(tmp_path, print))
    assert (ours.protocol, seen(ours)["c"]) == ("balagan", ("unfinished", "failed"))
    assert [row.label for row in other.rows] == ["a"]


def test_the_protocol_that_is_read_is_that_of_the_class() -> None:
    for entry in entries("datasets").values():
        assert entry.facts.get("protocol", "default") == entry.load().protocol


def test_a_failed_variant_is_a_row_of_its_own(tmp_path: Path) -> None:
    begin(tmp_path, replace(SPEC, config={"width": 9}), {"state": "failed"})
    begin(tmp_path, SPEC, {"state": "pending"}, "frozen.json")
    board = found(tmp_path, DONE)
    assert seen(board)["c (width=9)"] == ("unfinished", "failed")
    assert seen(board)["c (width=4)"] == ("unfinished", "pending")
    assert seen(board, 10)["c (width=9)"] == ("missing", "no run")
    assert seen(board, 10)["c (width=4)"][0] == "measured"


def test_a_method_that_only_failed_has_a_row_everywhere(tmp_path: Path) -> None:
    for seed in (0, 1):
        begin(tmp_path, replace(SPEC, method="lost", seed=seed), {"state": "failed", "error": "boom"})
    board = found(tmp_path, DONE)
    (table,) = tables(board, ["kd_effnet"])
    assert "| lost | unfinished [2] | - | - | 0 |" in markdown([table]) and table.notes[1] == "failed: boom (2 runs)"
    (one_size,) = tables(found(tmp_path, runs("a", [1.0])), ["kd_effnet"])
    assert "| lost | unfinished [1] | 0 |" in markdown([one_size])
    (page,) = payload([board], "")["boards"]
    row = {name: value for name, value in page["rows"][-1].items() if name != "look"}
    assert row == {
        "label": "lost",
        "kind": "method",
        "added": False,
        "config": {"preset": "cpu", "amp": "off", "width": 4},
    }
    assert page["tables"]["kd_effnet"]["cells"][-1][0] == {"s": "unfinished", "n": "failed: boom (2 runs)"}
    assert ",lost,method,False,unfinished," in cells_csv([board])


def test_a_size_without_a_record_is_a_column_and_ends_no_slope(tmp_path: Path) -> None:
    begin(tmp_path, replace(SPEC, method="a", target_size=20, config={}), {"state": "running"})
    before, after = boards(DONE)[0], found(tmp_path, DONE)
    (old,), (new,) = tables(before, ["kd_effnet"]), tables(after, ["kd_effnet"])
    assert old.headings == ["5", "10", "per doubling", "runs"] and new.headings == ["5", "10", "20", *old.headings[2:]]
    slope = new.rows[0][1][-2]
    assert (
        new.title == old.title and slope.text == old.rows[0][1][-2].text == "+1000 ± 1521"
    )  # 4.3027 * sqrt(0.25 / 2 / 1)
    assert slope.note and new.notes[slope.note - 1] == "per doubling over the sizes 5, 10 only"
    assert seen(after, 20)["a"] == ("unfinished", "running") and before.sizes == after.sizes


def test_what_a_sweep_skipped_is_shown_with_the_reason_until_it_is_run(tmp_path: Path) -> None:
    write(tmp_path, DONE)
    skipped = [replace(SPEC, method=method) for method in ("x", "y")] + [RunSpec("a", "d", 5, 32, config={})]
    reasons = [Skipped(spec, "the batch is larger than the target set") for spec in skipped]
    (tmp_path / "sweeps/s").mkdir(parents=True)
    Sweep("s", "local", [], [], skipped=reasons).write(tmp_path)
    begin(tmp_path, replace(SPEC, method="y"), {"state": "interrupted"})
    states = seen(found(tmp_path, DONE))
    assert states["x"] == ("skipped", "the batch is larger than the target set")
    assert states["y"] == ("unfinished", "interrupted") and states["a"][0] == "measured"


def test_a_folder_that_does_not_say_what_it_is_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "runs/d/5/c/0-ffff"
    folder.mkdir(parents=True)
    RunState(folder).replace(State(state="failed"))
    (folder / "config.json").write_text("{")
    said: list[str] = []
    assert unfinished(tmp_path, said.append) == []
    assert len(said) == 1 and f"left out: {folder / 'config.json'} is damaged" in said[0]
    (folder / "frozen.json").write_text(json.dumps({"spec": asdict(SPEC)}))
    assert [run.note for run in unfinished(tmp_path, said.append)] == ["failed"]
