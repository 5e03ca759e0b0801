"""Tables keep to the width of the terminal and lose nothing."""

import io
import re
from collections.abc import Callable

import pytest

from bench.core.terminal import PIPED, fitting, print_numbers, print_table

METRICS = [f"metric_{n} ↓ n=100/100" for n in range(15)]
ROWS = [[name, *(f"{n}{k}.5 ± 0.25" for n in range(15))] for k, name in enumerate(["a", "a method (with=fields)"])]
TEXTS = [["munit", "Huang et al., " * 12, "MIT", "https://example.org/" + "x" * 60], ["[red]", "short", "", "b"]]


def printed(monkeypatch: pytest.MonkeyPatch, columns: int, numbers: bool) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    file = io.StringIO()
    if numbers:
        print_numbers("title", ["", *METRICS], ROWS, fitting(file))
    else:
        print_table("title", ["name", "paper", "licence", "home"], TEXTS, fitting(file))
    return file.getvalue().splitlines()


@pytest.mark.parametrize("columns", [40, 80, 120, 300])
@pytest.mark.parametrize("numbers", [True, False])
def test_no_line_is_longer_than_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, numbers: bool) -> None:
    assert max(map(len, printed(monkeypatch, columns, numbers))) <= columns


@pytest.mark.parametrize("columns", [40, 80, 300])
def test_every_number_stands_once_and_whole_beside_its_row(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    found = re.findall(r"\d+\.5 ± 0\.25", "\n".join(printed(monkeypatch, columns, True)))
    assert sorted(found) == sorted(cell for row in ROWS for cell in row[1:])


def test_rows_are_named_in_each_of_the_folded_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(monkeypatch, 80, True)
    tables = sum(line.startswith("┏") for line in lines)
    assert tables > 2 and sum(line.startswith("│ a method (with=fields)") for line in lines) == tables
    assert sum(line.startswith("┏") for line in printed(monkeypatch, 300, True)) == 1


@pytest.mark.parametrize("columns", [40, 80, 120, 300])
def test_texts_are_wrapped_or_listed_and_never_cut(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    text = re.sub(r"[\s│]", "", "".join(printed(monkeypatch, columns, False)))
    assert "…" not in text and "[red]" in text
    assert text.count("x") >= 60 and text.count("Huang") == 12


def test_a_pipe_has_a_width_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert fitting(io.StringIO()).width == PIPED


@pytest.mark.parametrize("write", [print_numbers, print_table])
@pytest.mark.parametrize("columns", [20, 200])
def test_nothing_in_a_table_steers_the_terminal(
    write: Callable[..., None], columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    bad = "a\x1b]0;x\x07\u202eb\x9b2J"
    write(bad, [bad, bad], [[bad, bad]])
    assert all(letter.isprintable() or letter == "\n" for letter in capsys.readouterr().out)
