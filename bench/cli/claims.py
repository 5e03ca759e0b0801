"""`bench claims`: what papers claim, tested."""

from pathlib import Path
from typing import Annotated

import typer

from bench.core.errors import UserError
from bench.core.text import names_in

app = typer.Typer(no_args_is_help=True)
Folder = Annotated[Path, typer.Option("--claims", help="Folder of the claims' files; records/ in it holds their runs.")]
Only = Annotated[str | None, typer.Option("--only", help="Names of claims by comma; by default all.")]
FOLDER = Path("results") / "claims"


@app.command("list")
def list_(claims: Folder = FOLDER) -> None:
    """Claims by name, each with its sentence, its size and its compute."""
    from bench.claims.cells import arm_cells
    from bench.claims.claim import read_claims
    from bench.core.terminal import print_table

    rows = []
    for claim in read_claims(claims):
        runs = len({cell.request for cell in arm_cells(claim)})
        rows.append([claim.id, claim.sentence, claim.dataset, str(runs), f"{runs * claim.budget.tflop:g}"])
    print_table(f"Claims in {claims}", ("name", "sentence", "data set", "runs", "TFLOP at most"), rows)


@app.command()
def run(
    only: Only = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is missing, and leave.")] = False,
    workers: Annotated[int, typer.Option(help="Runs at the same time, each a process of one thread.")] = 1,
    claims: Folder = FOLDER,
) -> None:
    """Carry out the runs that the claims lack; started again, it goes on. Finished runs are kept in records/."""
    from bench.claims.claim import read_claims
    from bench.claims.run import carry_out

    if workers < 1:
        raise UserError(f"--workers {workers}: at least 1")
    every, chosen = read_claims(claims), read_claims(claims, names_in(only) if only else ())
    carry_out(chosen, every, claims.resolve() / "work", claims / "records", workers, dry_run, print)


@app.command()
def report(
    only: Only = None,
    details: Annotated[bool, typer.Option("--details", help="Also every comparison with its interval.")] = False,
    page: Annotated[Path | None, typer.Option(help="Write the table to this Markdown file instead.")] = None,
    claims: Folder = FOLDER,
) -> None:
    """What the records show of each claim: shown, not shown, contradicted or not yet run."""
    from bench.claims import report as reports
    from bench.claims.claim import read_claims
    from bench.claims.judge import judge
    from bench.claims.kept import find_record
    from bench.core.files import write_text
    from bench.core.terminal import print_table

    find = find_record(claims / "records", lambda line: typer.echo(line, err=True))
    judged = [judge(claim, find) for claim in read_claims(claims, names_in(only) if only else ())]
    if page is not None:
        write_text(page, reports.page(judged))
        print(f"written: {page}")
        return
    print_table(reports.totals(judged), reports.SUMMARY, reports.summary_rows(judged))
    for one in judged if details else ():
        print_table(f"{one.claim.id}: {one.claim.sentence}", reports.COMPARISONS, reports.comparison_rows(one))
