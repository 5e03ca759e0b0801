"""Markdown: text that stays text, and tables."""

from collections.abc import Iterable, Sequence

from bench.core.text import plain


def escape(text: str) -> str:
    """The text on one line, with nothing that Markdown or HTML would read as markup."""
    text = " ".join(plain(text).split())
    for letter in "\\`*_[]|~":
        text = text.replace(letter, "\\" + letter)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: bool = False) -> str:
    """A table whose cells are Markdown; `numbers` sets all columns but the first flush right."""
    return "\n".join([*head(columns, numbers), *map(row, rows)])


def table_of_text(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose cells are text."""
    return table([escape(column) for column in columns], [[escape(cell) for cell in cells] for cells in rows])


def head(columns: Sequence[str], numbers: bool = False) -> list[str]:
    """The first two lines of a table."""
    return [row(columns), "|---" + ("|---:" if numbers else "|---") * (len(columns) - 1) + "|"]


def row(cells: Iterable[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"
