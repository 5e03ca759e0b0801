"""Tables as Markdown."""

from collections.abc import Iterable

from bench.core.markdown import escape
from bench.core.markdown import table as markdown_table
from bench.leaderboard.tables import Table, Text


def markdown(tables: Iterable[Table]) -> str:
    return "\n".join(_table(table) for table in tables)


def _table(table: Table) -> str:
    headings = ["", *map(escape, table.headings)]
    rows = [[escape(label), *map(_cell, cells)] for label, cells in table.rows]
    lines = [f"## {escape(table.title)}", "", markdown_table(headings, rows, numbers=True)]
    notes = [f"{number}. {escape(note)}" for number, note in enumerate(table.notes, 1)]
    verdicts = [f"- {escape(line)}" for line in table.verdicts]
    return "\n".join([*lines, "", *verdicts, *([""] if verdicts and notes else []), *notes, ""])


def _cell(cell: Text) -> str:
    text = escape(cell.text)
    text = f"**{text}**" if cell.bold else text
    return f"{text} [{cell.note}]" if cell.note else text
