"""`bench leaderboard`: draw it, preview it, add the records of others."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.cli.as_json import Json, print_json, said_elsewhere
from bench.core.terminal import fitting
from bench.core.text import typed_names


def leaderboard(
    results: Annotated[Path, typer.Option("--results", help="Folder of all runs.")] = Path("results"),
    dataset: Annotated[str | None, typer.Option(help="Only this data set.")] = None,
    metrics: Annotated[str | None, typer.Option(help="Names by comma; by default those of the main table.")] = None,
    plots: Annotated[bool, typer.Option("--plots", help="Draw the plots and picture grids too, PNG and PDF.")] = False,
    add: Annotated[Path | None, typer.Option(help="First take in records of others: a pack or a folder.")] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Afterwards show the page on this machine only.")] = False,
    port: Annotated[int, typer.Option(help="Of --serve, on loopback.")] = 8000,
    as_json: Json = False,
) -> None:
    """Print the tables; write them as HTML, Markdown, CSV and LaTeX to RESULTS/leaderboard/."""
    from bench.leaderboard import draw

    with said_elsewhere(as_json):
        console = fitting()
        if add is not None:
            _add(add, results, console)
        chosen = draw.Chosen(dataset, None if metrics is None else typed_names(metrics, "--metrics"))
        folder = draw.draw(results, chosen, console, plots)
        console.print(
            f"written: {folder / 'index.html'} and, beside it, Markdown, CSV and LaTeX", markup=False, soft_wrap=True
        )
    if as_json:
        print_json(draw.values(results, dataset))
    if serve:
        from bench.core.loopback import forever, server

        forever(server(folder, port), "stopped")


def _add(source: Path, results: Path, console: Console) -> None:
    """Says what was taken and what was refused; exits with code 2 if nothing could be taken."""
    from bench.core.errors import UserError
    from bench.leaderboard.add import add

    added, refused = add(source, results)
    for line in refused:
        console.print(f"refused: {line}", style="yellow", markup=False, soft_wrap=True)
    if not added:
        raise UserError(f"no record below {source} could be taken; the reasons are above")
    console.print(f"records added as external: {len(added)}, kept in {added[0].parent}", markup=False, soft_wrap=True)
