"""`bench doctor`: what runs need, and is it here?"""

import json
import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.core.terminal import PIPED

if TYPE_CHECKING:
    from bench.launch.doctor import Finding


def doctor(
    results: Annotated[Path, typer.Option("--results", help="Folder of all runs.")] = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects for scripts.")] = False,
) -> None:
    """Look at interpreter, packages, weights, folders, disk, GPU, SLURM and clock; exit code 1 where runs fail."""
    import msgspec

    from bench.launch.doctor import examine

    findings = examine(results)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(findings), indent=2))
    else:
        for one in findings:
            _print(one)
    raise typer.Exit(code=int(any(one.state == "wrong" for one in findings)))


def _print(finding: "Finding") -> None:
    """fine, note or WRONG, the subject, what was found; below it what mends it."""
    state = finding.state.upper() if finding.state == "wrong" else finding.state
    columns = shutil.get_terminal_size((PIPED, 24)).columns
    for number, text in enumerate(filter(None, [finding.said, finding.mend and f"mend: {finding.mend}"])):
        start = f"{state:<6} {finding.subject:<12} " if number == 0 else " " * 20
        typer.echo(textwrap.fill(text, columns, initial_indent=start, subsequent_indent=" " * 20))
