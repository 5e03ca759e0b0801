"""`bench sweep`, `status`, `logs` and `cancel`: many runs, here or on SLURM."""

import os
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from bench.errors import UserError, unknown

RETRIES = ("failed", "timeout", "cancelled")
LAUNCHERS = ("local", "debug", "slurm")
Results = Annotated[Path, typer.Option("--results", help="Folder of all runs.")]
RESULTS = Path("results")


def sweep(
    grid: Annotated[
        Path | None, typer.Argument(help="A TOML file (slurm/README.md); options replace its keys.")
    ] = None,
    methods: Annotated[str | None, typer.Option(help="Names by comma; also real, identity, copies.")] = None,
    datasets: Annotated[str | None, typer.Option(help="Names by comma.")] = None,
    target_sizes: Annotated[str | None, typer.Option(help="Numbers by comma.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Numbers by comma; by default 0.")] = None,
    subset_seeds: Annotated[str | None, typer.Option(help="Numbers by comma; by default 0.")] = None,
    preset: Annotated[str | None, typer.Option(help="paper or cpu; by default what the jobs' device suggests.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="A field of Config.")] = None,
    resolution: Annotated[int | None, typer.Option(help="Side of the images in pixels.")] = None,
    budget_kimg: Annotated[float | None, typer.Option(help="Thousands of source images to train on.")] = None,
    metrics: Annotated[str | None, typer.Option(help="Names by comma, or none; by default all.")] = None,
    amp: Annotated[str | None, typer.Option(help="Autocast: off, bf16 or fp16.")] = None,
    launcher: Annotated[str, typer.Option(help="local, debug (in this process) or slurm.")] = "local",
    workers: Annotated[int, typer.Option(help="local: runs at the same time.")] = 1,
    profile: Annotated[Path | None, typer.Option(help="TOML file: what each job asks of the cluster.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N; by default what there is.")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of each run.")] = 1,
    channels_last: Annotated[bool, typer.Option("--channels-last", help="NHWC layout, for GPUs.")] = False,
    compile: Annotated[bool, typer.Option("--compile", help="torch.compile, for GPUs.")] = False,
    checkpoint_seconds: Annotated[float, typer.Option(help="Least time between two checkpoints.")] = 60.0,
    retry: Annotated[list[str] | None, typer.Option(help="Also runs that failed, timeout or cancelled.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Submit; without it nothing starts.")] = False,
    results: Results = RESULTS,
) -> None:
    """Show what a grid of runs has done and needs; with --yes submit what is missing."""
    from bench.launch import grid as grids
    from bench.launch import profile as profiles

    for name in retry or ():
        if name not in RETRIES:
            raise unknown("--retry", name, RETRIES)
    typed = grids.Grid(
        methods=_names(methods),
        datasets=_names(datasets),
        target_sizes=_numbers(target_sizes, "--target-sizes"),
        seeds=_numbers(seeds, "--seeds"),
        subset_seeds=_numbers(subset_seeds, "--subset-seeds"),
        preset=preset,
        set=tuple(_setting(text) for text in set_ or ()),
        resolution=resolution,
        budget_kimg=budget_kimg,
        metrics=None if metrics is None else tuple(n for n in _names(metrics) or () if n != "none"),
        amp=amp,
    )
    cells = grids.cells([typed.over(below) for below in (grids.read(grid) if grid else [grids.Grid()])])
    chosen = profiles.read(profile)
    os.environ.update(chosen.places)
    where = _launcher(launcher, workers, chosen, device)
    results = results.resolve()

    from bench.launch import sweep as sweeping
    from bench.launch.plan import Plan, Tasks, plan

    tasks = Tasks()

    def make_plan() -> Plan:
        return plan(cells, results, where.gpu, tuple(retry or ()), tasks, print)

    first = make_plan()
    print("\n".join(first.summary()))
    if not first.chosen:
        print("nothing to submit")
        return
    stages = len({run.stage for run in first.chosen if run.stage})
    print(f"to submit: {len(first.chosen)} runs; {where.ask(stages, len(first.chosen))}")
    if not yes:
        print("nothing was started; --yes submits")
        return
    where.check(results)
    machine = sweeping.Machine(
        device or ("cuda" if where.gpu else "cpu"), threads, channels_last, checkpoint_seconds, compile
    )
    sweeping.submit(results, make_plan, where, machine, profile, print)


def status(
    filter_: Annotated[str | None, typer.Argument(metavar="[FILTER]", help="Part of the names, or a state.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between two looks of --watch.")] = 20.0,
    results: Results = RESULTS,
) -> None:
    """One line a run: its state, how far it is, what went wrong; totals; the commands that mend failures."""
    results = results.resolve()
    while True:
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
    results: Results = RESULTS,
) -> None:
    """What a run and its job printed."""
    from bench.launch import control

    results = results.resolve()
    folder = control.find(results, run)
    files = control.log_of(results, folder)
    if not files:
        raise UserError(f"{folder} has no log yet; python -m bench status says whether it has started")
    for file in files:
        print(f"==> {file}")
        text = file.read_text(errors="replace").splitlines()
        print("\n".join(text[-lines:] if lines else text))


def cancel(
    runs: Annotated[list[str] | None, typer.Argument(help="Runs: folders, or parts of their names.")] = None,
    sweep: Annotated[str | None, typer.Option(help="All runs of this sweep.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All runs of the results folder.")] = False,
    results: Results = RESULTS,
) -> None:
    """Stop runs with their state saved; no job starts them again until `sweep --retry cancelled`."""
    from bench.launch import control, sweeps
    from bench.launch import status as states

    results = results.resolve()
    if [bool(runs), sweep is not None, everything].count(True) != 1:
        raise UserError("name runs, or --sweep ID, or --all")
    if everything:
        folders = states.run_folders(results)
    elif sweep is not None:
        folders = [results / run for run in sweeps.find(results, sweep).runs]
    else:
        folders = [control.find(results, run) for run in runs or ()]
    cancelled, notes = control.cancel(results, folders)
    print("\n".join([*(f"cancelled {name}" for name in cancelled), *notes]) or "nothing to cancel: all have ended")


def add_to(app: typer.Typer) -> None:
    for command in (sweep, status, logs, cancel):
        app.command()(command)


def _status(results: Path, filter_: str | None) -> list[str]:
    from bench.launch import status as states

    view = states.look(results)
    rows = [row for row in view.rows if filter_ is None or filter_ in row.name or filter_ == row.state]
    width = max((len(row.name) for row in rows), default=0)
    columns = shutil.get_terminal_size((10**6, 24)).columns if sys.stdout.isatty() else 10**6
    lines = [f"{row.name:<{width}}  {row.state:<11}  {_plain(row.detail)}".rstrip()[:columns] for row in rows]
    counts = Counter(row.state for row in rows)
    lines.append(
        f"{len(rows)} runs" + (": " if counts else "") + ", ".join(f"{n} {s}" for s, n in counts.most_common())
    )
    for command, served in states.mends(results, rows).items():
        kinds = Counter(row.state for row in served)
        lines.append(f"{', '.join(f'{n} {state}' for state, n in kinds.items())}: {command}")
    if view.note:
        lines.append(view.note)
    return lines


def _plain(text: str) -> str:
    """Errors come from anywhere; nothing of them may steer the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def _launcher(name: str, workers: int, profile: "object", device: str | None):  # type: ignore[no-untyped-def]
    from bench.launch.profile import Profile

    assert isinstance(profile, Profile)
    if name not in LAUNCHERS:
        raise unknown("--launcher", name, LAUNCHERS)
    if workers < 1:
        raise UserError(f"--workers {workers}: at least 1")
    if name == "slurm":
        from bench.launch.slurm import Slurm

        return Slurm(profile)
    gpu = device.startswith("cuda") if device else _has_gpu()
    if name == "debug":
        from bench.launch.debug import Debug

        return Debug(gpu)
    from bench.launch.local import Local

    return Local(workers, gpu, profile.variables)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


def _numbers(text: str | None, option: str) -> tuple[int, ...] | None:
    names = _names(text)
    if names is None:
        return None
    try:
        return tuple(int(name) for name in names)
    except ValueError:
        raise UserError(f"{option} {text}: expected whole numbers, by comma") from None


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {text!r} is not field=value")
    return name, value
