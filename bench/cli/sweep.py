"""`bench sweep`: a grid of runs, here or on SLURM."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from bench.cli.as_json import Json, print_json, said_elsewhere
from bench.cli.own_data import HeldOut
from bench.cli.settings import takes_settings
from bench.core.errors import UserError, unknown
from bench.core.text import names_in, numbers_in
from bench.runs.settings import RunSettings

if TYPE_CHECKING:
    from bench.launch.estimate import Estimate
    from bench.launch.grid import GridCell
    from bench.launch.launcher import Launcher
    from bench.launch.plan import Plan
    from bench.launch.profile import Profile

RETRIES = ("failed", "timeout", "cancelled")
LAUNCHERS = ("local", "debug", "slurm")


@takes_settings()
def sweep(
    grid: Annotated[
        Path | None, typer.Argument(help="A TOML file (slurm/README.md); options replace its keys.")
    ] = None,
    methods: Annotated[
        str | None, typer.Option(help="Names by comma; also real, identity, copies, truth, truth-blurred.")
    ] = None,
    datasets: Annotated[str | None, typer.Option(help="Names by comma.")] = None,
    target_sizes: Annotated[str | None, typer.Option(help="Numbers by comma.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Numbers by comma; by default 0.")] = None,
    subset_seeds: Annotated[str | None, typer.Option(help="Numbers by comma; by default 0.")] = None,
    preset: Annotated[str | None, typer.Option(help="By default paper on CUDA, else cpu (bench list presets).")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="A field of Config.")] = None,
    resolution: Annotated[int | None, typer.Option(help="Side of the images in pixels.")] = None,
    held_out: HeldOut = None,
    budget_kimg: Annotated[float | None, typer.Option(help="Thousands of source images to train on.")] = None,
    budget_tflop: Annotated[
        float | None, typer.Option(help="Instead: 10^12 operations (a multiply-add is two), preparation included.")
    ] = None,
    amp: Annotated[str | None, typer.Option(help="Autocast: off, bf16 or fp16.")] = None,
    launcher: Annotated[str, typer.Option(help="local, debug (in this process) or slurm.")] = "local",
    workers: Annotated[int, typer.Option(help="local: runs at the same time.")] = 1,
    profile: Annotated[Path | None, typer.Option(help="TOML file: what each job asks of the cluster.")] = None,
    retry: Annotated[list[str] | None, typer.Option(help="Also runs that failed, timeout or cancelled.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Submit; without it nothing starts.")] = False,
    results: Annotated[Path, typer.Option("--results", help="Folder of all runs.")] = Path("results"),
    as_json: Json = False,
    *,
    settings: RunSettings,
) -> None:
    """Show what a grid of runs has done and needs; with --yes submit what is missing."""
    from bench.launch import grid as grids
    from bench.launch import profile as profiles

    for name in retry or ():
        if name not in RETRIES:
            raise unknown("--retry", name, RETRIES)
    typed = grids.Grid(
        methods=_names(methods), datasets=_names(datasets), target_sizes=_numbers(target_sizes, "--target-sizes"),
        seeds=_numbers(seeds, "--seeds"), subset_seeds=_numbers(subset_seeds, "--subset-seeds"), preset=preset,
        set=dict(_setting(text) for text in set_ or ()), resolution=resolution, held_out=held_out,
        budget_kimg=budget_kimg,
        budget=None if budget_tflop is None else grids.Compute(budget_tflop), metrics=settings.metrics, amp=amp,
    )  # fmt: skip
    cells = grids.cells([typed.over(below) for below in (grids.read(grid) if grid else [grids.Grid()])])
    chosen = profiles.read(profile)
    os.environ.update(chosen.places)
    where = _launcher(launcher, workers, chosen, settings.device)

    from bench.launch.sweep import submit

    results, submitted = results.resolve(), None
    with said_elsewhere(as_json):
        plan = _planner(cells, results, where.gpu, tuple(retry or ()))
        first = plan()
        estimate = _estimate(first, where.gpu)
        if _shown(first, estimate, where, yes):
            where.check(results)
            gpus = max(settings.gpus, chosen.gpus)
            settings = replace(settings, device=settings.device or ("cuda" if where.gpu else "cpu"), gpus=gpus)
            submitted = submit(results, plan, where, settings, profile, print, chosen.notify_words)
    if as_json:
        print_json({"sweep": submitted, "runs": [run.described(first) for run in first.runs], "estimate": estimate})


def _planner(cells: "Sequence[GridCell]", results: Path, gpu: bool, retry: tuple[str, ...]) -> "Callable[[], Plan]":
    """Plans the sweep, and again at each call; what the data say is read once."""
    from bench.launch.plan import Feasibility, plan

    feasibility = Feasibility()
    return lambda: plan(cells, results, gpu, retry, feasibility, print)


def _estimate(plan: "Plan", gpu: bool) -> "Estimate":
    from bench.launch.estimate import Estimator
    from bench.runs.record import read_records

    return Estimator(read_records(plan.results, print), gpu).of([run.spec for run in plan.chosen])


def _shown(plan: "Plan", estimate: "Estimate", where: "Launcher", yes: bool) -> bool:
    """Prints what would be submitted; whether to go on."""
    print("\n".join(plan.summary()))
    if not plan.chosen:
        if not yes:
            print("nothing to submit")
        return yes  # what it skips is kept
    stages = len({run.stage for run in plan.chosen if run.stage})
    print(f"runs to submit: {len(plan.chosen)}; {where.ask(stages, len(plan.chosen))}")
    print("\n".join(estimate.lines(where.at_once)))
    if not yes:
        print("nothing was started; --yes submits")
    return yes


def _launcher(name: str, workers: int, profile: "Profile", device: str | None) -> "Launcher":
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
    return None if text is None else names_in(text)


def _numbers(text: str | None, option: str) -> tuple[int, ...] | None:
    return None if text is None else numbers_in(text, option)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {text!r} is not field=value")
    return name, value
