"""Tables in a terminal: never wider than it, nothing cut off. What has no width (a file, a pipe) is PIPED wide."""

import os
from collections.abc import Sequence
from typing import IO

from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from bench.core.text import plain

PIPED = 140  # columns where neither a terminal nor COLUMNS limits a table
LINE = 18  # letters: a column of texts is not made narrower than that
FRAME = 3  # a rule and two blanks for each column, and one rule more
LABEL = 0.4  # of the width: the most that the names of rows may take

Headings = Sequence[str]
Rows = Sequence[Sequence[str]]


def fitting(file: IO[str] | None = None) -> Console:
    """A console on `file` (stdout without it) that is as wide as its terminal, and reads no markup."""
    console = Console(file=file, markup=False, highlight=False)
    limited = console.is_terminal or "COLUMNS" in os.environ
    return console if limited else Console(file=file, markup=False, highlight=False, width=PIPED)


def print_numbers(title: str, headings: Headings, rows: Rows, console: Console | None = None) -> None:
    """A table of numbers, whose first column names the rows. Where it is too wide, several tables with these names
    stand below each other, each with as many columns as fit."""
    console = console or fitting()
    title, headings, rows = _harmless(title, headings, rows)
    _title(console, title)
    label = min(_widest(0, headings, rows), max(8, int(LABEL * console.width)))
    widths = [label, *(_widest(column, headings, rows) for column in range(1, len(headings)))]
    for columns in _blocks(console.width, widths):
        table = Table()
        for column in (0, *columns):
            justify: JustifyMethod = "right" if column else "left"
            table.add_column(Text(headings[column]), justify=justify, overflow="fold", max_width=widths[column])
        for row in rows:
            table.add_row(*(Text(row[column]) for column in (0, *columns)))
        console.print(table)


def print_table(title: str, headings: Headings, rows: Rows, console: Console | None = None) -> None:
    """A table of texts. Long ones are wrapped; where they would have less than LINE letters, a list for each row."""
    console = console or fitting()
    title, headings, rows = _harmless(title, headings, rows)
    _title(console, title)
    widths = [max([len(headings[column]), *(len(row[column]) for row in rows)]) for column in range(len(headings))]
    if sum(min(width, LINE) + FRAME for width in widths) >= console.width:
        _print_lists(console, headings, rows)
        return
    table = Table()
    for heading, width in zip(headings, widths):
        table.add_column(Text(heading), overflow="fold", no_wrap=width <= LINE)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _harmless(title: str, headings: Headings, rows: Rows) -> tuple[str, Headings, Rows]:
    """The same texts, their lines kept, without anything that steers a terminal."""

    def harmless(text: str) -> str:
        return "\n".join(map(plain, text.split("\n")))

    return harmless(title), [*map(harmless, headings)], [[*map(harmless, row)] for row in rows]


def _title(console: Console, title: str) -> None:
    if title:
        console.print(Text(title, style="bold"))


def _widest(column: int, headings: Headings, rows: Rows) -> int:
    """Letters of the longest cell of a column, or word of its heading, which may stand in several lines."""
    return max([1, *map(len, headings[column].split()), *(len(row[column]) for row in rows)])


def _blocks(width: int, widths: Sequence[int]) -> list[list[int]]:
    """The columns after the first in groups that fit beside the first; at least one in each."""
    blocks: list[list[int]] = []
    used = width
    for column, letters in enumerate(widths[1:], 1):
        if used + letters + FRAME > width:
            blocks.append([])
            used = widths[0] + FRAME + 1
        blocks[-1].append(column)
        used += letters + FRAME
    return blocks


def _print_lists(console: Console, headings: Headings, rows: Rows) -> None:
    indent = max(map(len, headings)) + 4
    for row in rows:
        console.print(Text(row[0], style="bold"))
        for heading, text in zip(headings[1:], row[1:]):
            if text:
                lines = Text(text).wrap(console, max(20, console.width - indent))
                for number, line in enumerate(lines):
                    console.print(Text(f"  {heading if number == 0 else '':<{indent - 2}}").append(line))
