"""`bench compare` and `bench slopes`: what several records say together."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.as_json import Json
from bench.core.text import typed_names
from bench.metrics import find

Results = Annotated[Path, typer.Option("--results", help="Folder of all runs.")]
DataSet = Annotated[str | None, typer.Option("--dataset", help="Only this data set.")]
Names = Annotated[str | None, typer.Option("--metrics", help="Names by comma; by default all that there are.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV, values as stored.")]
RESULTS = Path("results")


def compare(
    a: Annotated[str, typer.Argument(help="A method; METHOD:VARIANT or METHOD:PRESET where it has several.")],
    b: Annotated[str, typer.Argument(help="The one that it is compared with; an anchor row will do.")],
    dataset: DataSet = None,
    metrics: Names = None,
    markdown: Markdown = False,
    csv: Csv = False,
    as_json: Json = False,
    results: Results = RESULTS,
) -> None:
    """Is A better than B? Paired differences A - B on equal cells (data, target subset, training seed).

    Only values of one metric version and of equal numbers of images are paired. The interval is Student's t at 95 %
    over target subsets (training seeds averaged), or over training seeds where there is one subset.
    """
    from bench.leaderboard import report

    report.differences(results, dataset, a, b, _chosen(metrics), _form(markdown, csv, as_json))


def slopes(
    dataset: DataSet = None,
    metrics: Names = None,
    markdown: Markdown = False,
    csv: Csv = False,
    as_json: Json = False,
    results: Results = RESULTS,
) -> None:
    """How much each metric changes with every doubling of the target training set, with an interval.

    A line through the runs of one method over log2 of the target size, by least squares, and Student's t interval of
    its slope at 95 %; the draws are those of `bench compare`.
    """
    from bench.leaderboard import report

    report.slopes(results, dataset, _chosen(metrics), _form(markdown, csv, as_json))


def _chosen(metrics: str | None) -> list[str] | None:
    return None if metrics is None else [find(name).name for name in typed_names(metrics, "--metrics")]


def _form(markdown: bool, csv: bool, as_json: bool) -> str:
    return "json" if as_json else "csv" if csv else "markdown" if markdown else "terminal"
