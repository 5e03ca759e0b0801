"""`bench status`, `logs` and `cancel`: how runs are getting on, and an end to them."""

import shutil
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.as_json import Json, print_json
from bench.core.errors import UserError
from bench.core.text import plain

Results = Annotated[Path, typer.Option("--results", help="Folder of all runs.")]
RESULTS = Path("results")


def status(
    filter_: Annotated[str | None, typer.Argument(metavar="[FILTER]", help="Part of the names, or a state.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between two looks of --watch.")] = 20.0,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """One line a run: its state, how far it is, what went wrong; totals; the commands that mend failures."""
    results = results.resolve()
    while True:
        if as_json:
            _print_states(results, filter_)
        else:
            lines = _status(results, filter_)
            if watch and sys.stdout.isatty():
                print("\x1b[H\x1b[2J", end="")
            print("\n".join(lines), flush=True)
        if not watch:
            return
        try:
            time.sleep(every)
        except KeyboardInterrupt:
            return


def logs(
    run: Annotated[str, typer.Argument(help="A run folder, or a part of its name that no other run has.")],
    lines: Annotated[int, typer.Option("-n", help="Lines from the end; 0: all.")] = 40,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the run has ended, or Ctrl-C.")] = False,
    results: Results = RESULTS,
) -> None:
    """What a run and its job printed."""
    from bench.launch import follow as following
    from bench.runs.find import find_run

    results = results.resolve()
    folder = find_run(results, run)
    with suppress(KeyboardInterrupt):
        for line in following.lines(results, folder, lines, follow):
            print(plain(line), flush=True)


def cancel(
    runs: Annotated[list[str] | None, typer.Argument(help="Runs: folders, or parts of their names.")] = None,
    sweep: Annotated[str | None, typer.Option(help="All runs of this sweep.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All runs of the results folder.")] = False,
    results: Results = RESULTS,
) -> None:
    """Stop runs with their state saved; no job starts them again until `sweep --retry cancelled`."""
    from bench.launch import control, sweeps
    from bench.runs.find import find_run, run_folders

    results = results.resolve()
    if [bool(runs), sweep is not None, everything].count(True) != 1:
        raise UserError("name runs, or --sweep ID, or --all")
    if everything:
        folders = run_folders(results)
    elif sweep is not None:
        folders = [results / run for run in sweeps.find(results, sweep).runs]
    else:
        folders = [find_run(results, run) for run in runs or ()]
    cancelled, notes = control.cancel(results, folders)
    print("\n".join([*(f"cancelled {name}" for name in cancelled), *notes]) or "nothing to cancel: all have ended")


def _print_states(results: Path, filter_: str | None) -> None:
    from bench.launch import status as states

    view = states.look(results)
    rows = [row for row in view.rows if filter_ is None or filter_ in row.name or filter_ == row.state]
    print_json({"runs": [states.described(row) for row in rows], "note": view.note})


def _status(results: Path, filter_: str | None) -> list[str]:
    from bench.launch import status as states

    view = states.look(results)
    rows = [row for row in view.rows if filter_ is None or filter_ in row.name or filter_ == row.state]
    width = max((len(row.name) for row in rows), default=0)
    columns = shutil.get_terminal_size((10**6, 24)).columns if sys.stdout.isatty() else 10**6
    lines = [f"{row.name:<{width}}  {row.state:<11}  {plain(row.detail)}".rstrip()[:columns] for row in rows]
    counts = Counter(row.state for row in rows)
    lines.append(
        f"total {len(rows)}" + (": " if counts else "") + ", ".join(f"{n} {s}" for s, n in counts.most_common())
    )
    for command, served in states.mends(results, rows).items():
        kinds = Counter(row.state for row in served)
        lines.append(f"{', '.join(f'{n} {state}' for state, n in kinds.items())}: {command}")
    if view.note:
        lines.append(view.note)
    return lines
