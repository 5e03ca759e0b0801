"""Records of others: checked, cleaned, marked, never in the place of ours."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin
from records import run, runs, write
from rich.console import Console
from typer.testing import CliRunner

from bench.cli.app import app
from bench.core.errors import UserError
from bench.leaderboard.add import add
from bench.leaderboard.cells import column
from bench.leaderboard.draw import Chosen, draw, read


def foreign(folder: Path, **changes: Any) -> Path:
    """One run of somebody else, better than all of ours."""
    made = run("a", 0.0001)
    made["task"] |= {"source": "x", "target": "y"}
    made["schema"] = 1
    made |= changes
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps(made))
    return folder


def test_they_stand_apart_and_overwrite_nothing(tmp_path: Path) -> None:
    results = tmp_path / "results"
    write(results, runs("a", [0.001, 0.0011, 0.0009]) + runs("b", [0.005, 0.0051, 0.0049]))
    before = {path: path.read_bytes() for path in results.rglob("record.json")}
    source = foreign(tmp_path / "theirs" / "deep")
    assert add(tmp_path / "theirs", results)[0] == add(tmp_path / "theirs", results)[0]
    assert all(path.read_bytes() == content for path, content in before.items())
    (board,) = read(results, None, Console(quiet=True))
    found = column(board, "kd_effnet", 5).cells
    assert [(row.label, row.added, cell.rank) for row, cell in found.items()] == [
        ("a", False, "best"), ("b", False, "behind"), ("a [external]", True, "unranked"),
    ]  # fmt: skip
    assert "added from elsewhere" in list(found.values())[2].note
    assert source.exists()
    draw(results, Chosen(metrics=("kd_effnet",)), Console(file=io.StringIO()))
    assert "a [external]" in (results / "leaderboard" / "index.html").read_text()


def test_pictures_are_encoded_anew_and_nothing_else_is_taken(tmp_path: Path) -> None:
    source = foreign(tmp_path / "theirs")
    secret = PngImagePlugin.PngInfo()
    secret.add_text("comment", "<script>hidden</script>")
    Image.new("RGB", (20, 10), "blue").save(source / "samples.png", pnginfo=secret)
    (source / "nearest.png").write_bytes(b"\x89PNG but not really")
    for name in ("translated.npy", "checkpoint-1.pt", "train.jsonl", "evil.py"):
        (source / name).write_bytes(b"x")
    ((folder,), refused) = add(tmp_path / "theirs", tmp_path / "results")
    assert sorted(path.name for path in folder.iterdir()) == ["record.json", "samples.png"]
    (line,) = refused
    assert f"a picture is left out: cannot decode the image {source / 'nearest.png'}: not an image" in line
    assert b"hidden" not in (folder / "samples.png").read_bytes()
    assert Image.open(folder / "samples.png").getpixel((0, 0)) == (0, 0, 255)


def test_unknown_keys_are_dropped(tmp_path: Path) -> None:
    foreign(tmp_path / "theirs", payload="x", **{"folder ": "/etc"}, added=False)
    ((folder,), _) = add(tmp_path / "theirs", tmp_path / "results")
    assert {"payload", "folder ", "added"} & set(json.loads((folder / "record.json").read_text())) == set()


VALUE = {"value": 0.5, "low": None, "high": None, "n_gen": 1, "n_ref": 1, "version": 1, "reason": None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "fine"}, "status"),
        ({"schema": 99}, "update i2i-bench"),
        ({"metrics": {"kd_effnet": {**VALUE, "low": 0.6, "high": 0.7}}}, "does not hold its value"),
        ({"metrics": {"kd_effnet": {**VALUE, "low": "0"}}}, "metrics.kd_effnet.low must be a number or null, not text"),
        ({"metrics": {"target_share": {**VALUE, "value": 1.5}}}, "which it cannot be"),
        ({"metrics": {"kd_effnet": {**VALUE, "value": float("nan")}}}, "it is not JSON"),
        ({"error": "x" * 1000}, "a text of 1000 letters"),
        ({"config": {"a": {"a": {"a": {"a": {"a": {"a": {}}}}}}}}, "nested too deeply"),
        ({"task": {}}, "manifest_sha256"),
        ({"cost": {"train_seconds": "<b>"}}, "train_seconds"),
    ],
)
def test_what_is_wrong_is_refused_with_its_reason(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    foreign(tmp_path / "theirs", **changes)
    added, refused = add(tmp_path / "theirs", tmp_path / "results")
    assert added == [] and len(refused) == 1 and message in refused[0]
    assert not (tmp_path / "results" / "external").exists()


def test_links_and_missing_folders(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    with pytest.raises(UserError, match=r"holds no record\.json"):
        add(tmp_path / "theirs", tmp_path / "results")
    with pytest.raises(UserError, match="is not there"):
        add(tmp_path / "gone", tmp_path / "results")
    source = foreign(tmp_path / "real")
    (tmp_path / "theirs" / "record.json").symlink_to(source / "record.json")
    assert "is no plain file" in add(tmp_path / "theirs", tmp_path / "results")[1][0]


def test_the_command(tmp_path: Path) -> None:
    foreign(tmp_path / "theirs" / "good")
    foreign(tmp_path / "theirs" / "bad", status="fine")
    write(tmp_path / "results", runs("a", [0.001]))
    words = ["leaderboard", "--results", str(tmp_path / "results"), "--add", str(tmp_path / "theirs")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "refused: " in done.output and "records added as external: 1" in done.output


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"method": "\ud800"}, "damaged"),
        ({"method": "\x1b]0;PWN\x07"}, "control characters"),
        ({"protocol": "\u202egnp"}, "control characters"),
        ({"kind": "anchor", "method": "real"}, "kind 'anchor'"),
    ],
)
def test_what_would_steer_a_terminal_or_pose_as_an_anchor_is_refused(
    tmp_path: Path, change: dict[str, str], why: str
) -> None:
    source = foreign(tmp_path / "theirs")
    made = json.loads((source / "record.json").read_text())
    made["identity"] |= change
    (source / "record.json").write_text(json.dumps(made))
    added, (line,) = add(tmp_path / "theirs", tmp_path / "results")
    assert not added and why in line and line.isprintable()
    assert not (tmp_path / "results").exists()


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    os.mkfifo(tmp_path / "theirs" / "record.json")
    added, (line,) = add(tmp_path / "theirs", tmp_path / "results")
    assert not added and "no plain file" in line


def test_the_line_to_cite_names_our_commits_alone(tmp_path: Path) -> None:
    results = tmp_path / "results"
    write(results, runs("a", [0.001, 0.0011]))
    foreign(tmp_path / "theirs", provenance={"commit": "f" * 40})
    add(tmp_path / "theirs", results)
    said = io.StringIO()
    draw(results, Chosen(metrics=("kd_effnet",)), Console(file=said, width=300))
    assert "measured at commit cccccccccc," in said.getvalue() and "ffff" not in said.getvalue()
