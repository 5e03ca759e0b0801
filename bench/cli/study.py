"""`bench study`: which translation do people prefer?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.runs.find import find_finished

if TYPE_CHECKING:
    from bench.study.ranking import Preference, Worth

app = typer.Typer(no_args_is_help=True)
Results = Annotated[Path, typer.Option("--results", help="Folder of all runs.")]
Study = Annotated[Path, typer.Option("--study", help="The folder of the study.")]


@app.command()
def build(
    runs: Annotated[list[str], typer.Option("--runs", help="Runs: folders, or parts of their paths.")],
    out: Annotated[Path, typer.Option(help="Folder of the study: page/ to publish, key.json to keep.")],
    more: Annotated[list[str] | None, typer.Argument(metavar="[RUNS]...", help="The runs after the first.")] = None,
    questions: Annotated[int, typer.Option(help="Questions in all.")] = 200,
    per_user: Annotated[int, typer.Option(help="Questions a participant answers.")] = 10,
    choices: Annotated[int, typer.Option(help="Translations a question shows, 2 or 3.")] = 2,
    checks: Annotated[int, typer.Option(help="Attention checks a participant answers besides.")] = 2,
    seed: Annotated[int, typer.Option(help="Seeds the draw of questions.")] = 0,
    title: Annotated[str, typer.Option(help="The page's heading; names no method.")] = "Which is better?",
    results: Results = Path("results"),
) -> None:
    """Write a static page that asks which of two or three runs translates a source better."""
    from bench.study import build as builder

    folders = [find_finished(results, run) for run in [*runs, *(more or [])]]
    key = builder.build(folders, out, questions, per_user, choices, checks, seed, title)
    print(f"study {key.study}: {questions} questions, {per_user} a block; blocks: {len(key.blocks)}")
    print(f"publish {out / 'page'}: a participant answers one block, drawn at random (index.html?block=N: block N)")
    print(f"keep {out / 'key.json'}: it says which translation is whose")
    print(f"then: python -m bench study collect --study {out} ANSWERS...")


@app.command()
def serve(
    study: Study,
    port: Annotated[int, typer.Option(help="Port on loopback.")] = 8000,
) -> None:
    """Hand out the page on this machine and keep the answers in STUDY/answers/."""
    from bench.core.loopback import forever
    from bench.study.serve import server

    forever(server(study, port), f"then: python -m bench study collect --study {study} {study / 'answers'}")


@app.command()
def collect(
    files: Annotated[list[Path], typer.Argument(help="Files of answers, or folders that hold them.")],
    study: Study,
) -> None:
    """Percentages, ranking and rejected answers; the runs get the metric user_preference_pct."""
    from bench.core.errors import UserError
    from bench.study import collect as collecting

    named: list[Path] = []
    for path in files:
        if not path.exists():
            raise UserError(f"there is no {path}; name files of answers or folders that hold them")
        named += sorted(path.glob("*.json")) if path.is_dir() else [path]
    result = collecting.collect(study, named)
    table = Table(title=f"{result.title} (participants: {result.participants}, answers: {result.answers})")
    for column in ("run", "chosen", "95 % (Wilson)", "chosen/shown", "log worth", "95 % (Bradley-Terry)"):
        table.add_column(column)
    for method in result.methods:
        table.add_row(method.name, *_preference(method.preference), *_worth(method.worth))
    console = Console(markup=False, emoji=False)  # titles and names are shown as they are, brackets too
    console.print(table)
    for bad in result.rejected:
        console.print(f"rejected {bad.file}: {bad.reason}")
    console.print(f"result: {study / 'result.json'}")
    for folder in collecting.add_to_records(study, result):
        console.print(f"recorded in {folder}")


def _preference(preference: "Preference | None") -> tuple[str, str, str]:
    if preference is None:
        return "n/a", "", "0/0"
    interval = f"{preference.low:.1f} .. {preference.high:.1f}"
    return f"{preference.percent:.1f} %", interval, f"{preference.chosen}/{preference.shown}"


def _worth(worth: "Worth") -> tuple[str, str]:
    return f"{worth.value:+.2f}", f"{worth.low:+.2f} .. {worth.high:+.2f}"
