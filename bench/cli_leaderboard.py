"""`bench leaderboard`: draw it, preview it, add the records of others."""

from pathlib import Path
from typing import Annotated

import typer


def leaderboard(
    results: Annotated[Path, typer.Option("--results", help="Folder of all runs.")] = Path("results"),
    dataset: Annotated[str | None, typer.Option(help="Only this data set.")] = None,
    metrics: Annotated[str | None, typer.Option(help="Names by comma; by default those of the main table.")] = None,
) -> None:
    """Print the tables; write them as HTML, Markdown, CSV and LaTeX to RESULTS/leaderboard/."""
    from rich.console import Console

    from bench.leaderboard import draw

    console = Console()
    chosen = draw.Chosen(dataset, tuple(metrics.split(",")) if metrics else None)
    folder = draw.draw(results, chosen, console)
    console.print(f"written: {folder}", markup=False)
