"""One rule for the name of a run: show, logs, cancel and remeasure mean the same run by the same words."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.core.errors import UserError
from bench.runs.find import RunFilter, chosen_folders, find_finished, find_run, run_name


def begin(results: Path, name: str, *files: str) -> Path:
    folder = results / "runs" / name
    folder.mkdir(parents=True)
    for file in ("state.json", *files):
        (folder / file).write_text("{}")
    return folder


def test_a_name_is_a_path_a_whole_name_or_a_part_of_one(tmp_path: Path) -> None:
    results = tmp_path / "emoji"  # a part of the path of every run, of the name of none
    first, second = begin(results, "ink/20/toy/0-ab"), begin(results, "ink/20/toy/0-abc")
    assert find_run(results, str(first)) == first
    assert find_run(results, "ink/20/toy/0-ab") == first
    assert find_run(results, "abc") == second
    assert run_name(second, results) == "ink/20/toy/0-abc"
    with pytest.raises(UserError, match=r"2 runs in .* have 'toy' in their name, among them ink/20/toy/0-ab and"):
        find_run(results, "toy")
    with pytest.raises(UserError, match="no run called 'emoji'"):
        find_run(results, "emoji")


def test_an_unfinished_run_is_found_and_said_to_be_unfinished(tmp_path: Path) -> None:
    begin(tmp_path, "ink/20/toy/0-a", "record.json")
    begin(tmp_path, "ink/20/toy/1-b")
    assert find_finished(tmp_path, "0-a").name == "0-a"
    for ask in (lambda: find_finished(tmp_path, "1-b"), lambda: chosen_folders(RunFilter(runs=("1-b",)), tmp_path)):
        with pytest.raises(UserError, match="has not finished"):
            ask()


@pytest.mark.parametrize("command", ["show", "logs", "cancel", "remeasure"])
def test_every_command_reports_an_ambiguous_name_alike(command: str, tmp_path: Path) -> None:
    begin(tmp_path, "ink/20/toy/0-a", "record.json")
    begin(tmp_path, "ink/20/toy/1-b")
    words = [sys.executable, "-m", "bench", command, "toy", "--results", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "2 runs in" in line and "have 'toy' in their name" in line
