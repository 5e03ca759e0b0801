"""Tables as Markdown."""

from collections.abc import Iterable

from bench.leaderboard.tables import Table, Text


def markdown(tables: Iterable[Table]) -> str:
    return "\n".join(_table(table) for table in tables)


def _table(table: Table) -> str:
    lines = [f"## {escape(table.title)}", "", "| | " + " | ".join(map(escape, table.headings)) + " |"]
    lines.append("|---" + "|---:" * len(table.headings) + "|")
    lines += [f"| {escape(label)} | " + " | ".join(map(_cell, cells)) + " |" for label, cells in table.rows]
    notes = [f"{number}. {escape(note)}" for number, note in enumerate(table.notes, 1)]
    verdicts = [f"- {escape(line)}" for line in table.verdicts]
    return "\n".join([*lines, "", *verdicts, *([""] if verdicts and notes else []), *notes, ""])


def _cell(cell: Text) -> str:
    text = escape(cell.text)
    text = f"**{text}**" if cell.bold else text
    return f"{text} [{cell.note}]" if cell.note else text


def escape(text: str) -> str:
    """On one line, with nothing that Markdown or HTML would read as markup."""
    text = " ".join(text.split())
    for letter in "\\`*_[]|~":
        text = text.replace(letter, "\\" + letter)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
