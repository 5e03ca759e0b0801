"""One table of text, for a terminal or for a page; a line of the terminal is as long as the table needs."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

Rows = Sequence[Sequence[str]]


def print_rich(title: str, columns: Sequence[str], rows: Rows) -> None:
    table = Table(title=Text(title), title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console()
    needed = console.measure(table, options=console.options.update(max_width=1000)).maximum
    Console(width=max(console.width, needed)).print(table)


def as_markdown(title: str, columns: Sequence[str], rows: Rows) -> str:
    lines = [[escape(cell) for cell in row] for row in (columns, *rows)]
    head, *body = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([f"## {escape(title)}", "", head, "|---" * len(columns) + "|", *body, ""])


def escape(text: str) -> str:
    """Markdown in which this text is only text."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")
