"""The commands of docs/doctor.md, docs/submit.md and docs/leaderboard.md run as they are written there."""

import re
import shlex
from pathlib import Path

import pytest
from records import runs, write
from typer.testing import CliRunner

from bench.cli.app import app

DOCS = Path(__file__).parents[2] / "docs"
SERVES = "--serve"  # would wait for a reader


def commands(page: str) -> list[list[str]]:
    """The words after `python -m bench` of every line of the page's sh blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [words[3:] for words in lines if words[:3] == ["python", "-m", "bench"]]


@pytest.mark.parametrize(("page", "fewest"), [("doctor.md", 2), ("submit.md", 3), ("leaderboard.md", 3)])
def test_every_command_of_the_page_runs(
    page: str, fewest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    records = [*runs("cyclegan", [0.001, 0.002], identity={"dataset": "ink"})]
    for record in records:
        record["task"] = {"manifest_sha256": "same", "source": "flat", "target": "ink"}
    write(tmp_path / "results", records)
    CliRunner().invoke(app, ["results", "pack", "results", "--out", "FILE"])
    words = [command for command in commands(page) if SERVES not in command]
    assert len(words) >= fewest
    for command in words:
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0 or (command[0] == "doctor" and done.exit_code == 1), (command, done.output)
        assert done.output
