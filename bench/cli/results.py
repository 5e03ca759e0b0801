"""`bench results`: results that travel."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)


@app.command()
def pack(
    folder: Annotated[Path, typer.Argument(help="A results folder, or any folder above runs.")],
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("results.zip"),
) -> None:
    """Pack all records below a folder, with small pictures and hashes, into one file for other people's tables."""
    from bench.leaderboard.pack import write_pack

    runs, refused = write_pack(folder, out)
    for line in refused:
        typer.echo(f"left out: {line}", err=True)
    counted = f"{runs} run{'' if runs == 1 else 's'}"
    typer.echo(f"{out}: {counted}, {out.stat().st_size / 1e6:.3g} MB; others add it with")
    typer.echo(f"  python -m bench leaderboard --add {out}")


@app.command()
def check(file: Annotated[Path, typer.Argument(help="A file that `bench results pack` made.")]) -> None:
    """Say whether a pack could stand in a public table: hashes, records, known methods and data sets, no markup."""
    from bench.core.errors import UserError
    from bench.leaderboard.pack import faults, unpack

    if not file.is_file():
        raise UserError(f"{file} is not there; name a file that bench results pack made")
    with tempfile.TemporaryDirectory() as folder:
        unpack(file, Path(folder))
        lines = faults(Path(folder))
        runs = len(list(Path(folder).glob("*/record.json")))
    if not runs:
        raise UserError(f"{file} holds no record; make it anew with: python -m bench results pack")
    for line in lines:
        typer.echo(line)
    if lines:
        raise UserError(f"{file}: {len(lines)} faults in {runs} runs; they are named above")
    typer.echo(f"{file}: {runs} runs, nothing to object to")
