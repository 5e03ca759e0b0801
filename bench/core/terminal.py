"""Tables on a terminal. A line is as long as the table needs: a log has no width, and nothing is to be cut."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints texts as a table; what looks like markup in them is only text."""
    table = Table(title=Text(title), title_justify="left")
    for column in columns:
        table.add_column(Text(column), no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    print_whole(table, Console())


def print_whole(table: Table, console: Console) -> None:
    """Prints a table at the width that it needs, to where the console prints."""
    needed = console.measure(table, options=console.options.update(max_width=1000)).maximum
    Console(file=console.file, width=max(console.width, needed)).print(table)
