"""The command at the end of a sweep: its words reach it as they are, and whatever it does ends nothing."""

import json
import sys
from pathlib import Path

import pytest

from bench.core.errors import UserError
from bench.launch import notify, sweeps
from bench.launch.launcher import Submission
from bench.launch.notify import Notice
from bench.launch.profile import Profile, read

ARGUMENTS = "import json, pathlib, sys; pathlib.Path(sys.argv[1]).write_text(json.dumps(sys.argv[2:]))"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    runs = [f"runs/e/9/m/{seed}-a" for seed in range(3)]
    for run, state in zip(runs, ("failed", "failed", "")):
        (tmp_path / run).mkdir(parents=True)
        if state:
            (tmp_path / run / "state.json").write_text(json.dumps({"state": state, "error": "no"}))
    sweeps.Sweep("20260101-000000-aa", "local", runs, []).write(tmp_path)
    return tmp_path


def notice(results: Path, *words: str) -> Notice:
    return Notice(words, str(results), "20260101-000000-aa")


def test_no_shell_sees_the_words(results: Path) -> None:
    out, evil = results / "out.json", results / "evil"
    words = (f"$(touch {evil})", f"; touch {evil}", "{summary}", "sweep {sweep}", "{results}", "{0}", "%s", "*")
    assert notice(results, sys.executable, "-c", ARGUMENTS, str(out), *words)() == ""
    assert json.loads(out.read_text()) == [
        *words[:2], "2 failed, 1 new", "sweep 20260101-000000-aa", str(results), "{0}", "%s", "*",
    ]  # fmt: skip
    assert not evil.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("/nowhere/program",), "notify: /nowhere/program cannot be run"),
        ((sys.executable, "-c", "raise SystemExit('bad\\x1b[2J')"), "ended with 1: bad [2J"),
        ((sys.executable, "-c", "import time; time.sleep(9)"), "gave no answer in"),
    ],
)
def test_what_goes_wrong_is_a_line(
    results: Path, words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "time" in words[-1]:
        monkeypatch.setattr(notify, "PATIENCE", 0.2)
    line = notice(results, *words)()
    assert said in line and "\n" not in line


def test_a_launcher_runs_it_once_and_only_where_it_is_asked_for(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = results / "out.json"
    words = (sys.executable, "-c", ARGUMENTS, str(out))
    Submission("20260101-000000-aa", results, results, [], []).say_ended()
    assert not out.exists()
    Submission("20260101-000000-aa", results, results, [], [], words).say_ended()
    assert json.loads(out.read_text()) == [] and capsys.readouterr().out == ""
    Submission("20260101-000000-aa", results, results, [], [], ("/nowhere/program",)).say_ended()
    assert "cannot be run" in capsys.readouterr().out


def test_the_key_of_a_profile(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text("notify = \"mail -s 'sweep {sweep}' me@example.org\"")
    assert read(path).notify_words == ("mail", "-s", "sweep {sweep}", "me@example.org")
    path.write_text('notify = ["a b", "{summary}"]')
    assert read(path).notify_words == ("a b", "{summary}")
    assert Profile().notify_words == ()
    path.write_text('notify = "a\\nb"')
    with pytest.raises(UserError, match="notify: line feeds"):
        read(path)
