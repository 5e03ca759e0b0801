"""The command line: parse, call, print. Commands that only look at things do not import torch."""

import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench import __version__
from bench.cli import (
    calibrate as cli_calibrate,
)
from bench.cli import (
    claims as cli_claims,
)
from bench.cli import (
    compare as cli_compare,
)
from bench.cli import (
    data as cli_data,
)
from bench.cli import (
    doctor as cli_doctor,
)
from bench.cli import (
    evaluate as cli_evaluate,
)
from bench.cli import (
    leaderboard as cli_leaderboard,
)
from bench.cli import (
    list as cli_list,
)
from bench.cli import (
    results as cli_results,
)
from bench.cli import (
    status as cli_status,
)
from bench.cli import (
    study as cli_study,
)
from bench.cli import (
    sweep as cli_sweep,
)
from bench.cli import (
    use as cli_use,
)
from bench.cli import (
    weights as cli_weights,
)
from bench.cli.as_json import Json, print_json, said_elsewhere
from bench.cli.own_data import HeldOut
from bench.cli.settings import takes_settings
from bench.core.errors import DIVERGED, INTERRUPTED, Interrupted, UserError, is_out_of_memory, out_of_memory
from bench.core.text import plain
from bench.data.find import with_held_out
from bench.runs.settings import RunSettings

if TYPE_CHECKING:
    from bench.runs.start import Finished

app = typer.Typer(
    name="bench",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(cli_data.app, name="data", help="Data sets: list, prepare, verify, show, subset, export, check.")
app.add_typer(cli_weights.app, name="weights", help="Pre-trained networks that metrics need: list, get.")
app.add_typer(cli_study.app, name="study", help="Ask people which translation is better: build, serve, collect.")
app.add_typer(cli_claims.app, name="claims", help="What papers claim, tested: list, run, report.")
app.add_typer(cli_results.app, name="results", help="Results that travel: pack, check.")
app.add_typer(cli_list.app, name="list", help="What is there: methods, datasets, metrics, presets, fields of a method.")

app.command("calibrate")(cli_calibrate.calibrate)
app.command("compare")(cli_compare.compare)
app.command("slopes")(cli_compare.slopes)
app.command("doctor")(cli_doctor.doctor)
app.command("sweep")(cli_sweep.sweep)
app.command("status")(cli_status.status)
app.command("logs")(cli_status.logs)
app.command("cancel")(cli_status.cancel)

Results = Annotated[Path, typer.Option("--results", help="Folder of all runs.")]
RESULTS = Path("results")
BASELINE = RESULTS / "reference" / "ci.json"


def _print_version(asked: bool) -> None:
    if asked:
        print(f"i2i-bench {__version__}")
        raise typer.Exit


@app.callback()
def everywhere(
    weights_dir: Annotated[
        Path | None, typer.Option(help="Folder of pre-trained networks (I2I_BENCH_WEIGHTS).")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Benchmark of unpaired image-to-image translation into a scarce domain."""
    if weights_dir is not None:
        os.environ["I2I_BENCH_WEIGHTS"] = str(weights_dir.resolve())


@app.command()
@takes_settings()
def run(
    method: Annotated[
        str | None,
        typer.Option(help="A method (bench list methods) or an anchor: real, identity, copies, truth, truth-blurred."),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="A data set (bench list datasets) or folder:DIR.")] = None,
    target_size: Annotated[int | None, typer.Option(help="Number of target training images.")] = None,
    seed: Annotated[int, typer.Option(help="Seeds the training.")] = 0,
    subset_seed: Annotated[int, typer.Option(help="Seeds the choice of the target subset.")] = 0,
    preset: Annotated[str | None, typer.Option(help="By default paper on CUDA, else cpu (bench list presets).")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="A field of Config.")] = None,
    held_out: HeldOut = None,
    resolution: Annotated[int | None, typer.Option(help="Side of the images in pixels.")] = None,
    budget_kimg: Annotated[float | None, typer.Option(help="Thousands of source images to train on.")] = None,
    budget_tflop: Annotated[
        float | None, typer.Option(help="Instead: 10^12 operations (a multiply-add is two), preparation included.")
    ] = None,
    amp: Annotated[str, typer.Option(help="Autocast: off, bf16 or fp16.")] = "off",
    results: Results = RESULTS,
    force: Annotated[
        bool, typer.Option("--force", help="Begin the run anew; keep what it has left in its folder earlier/.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would run, and leave.")] = False,
    frozen: Annotated[Path | None, typer.Option(help="Instead of all else: the frozen.json of a sweep's run.")] = None,
    as_json: Json = False,
    *,
    settings: RunSettings,
) -> None:
    """Train, translate, measure and record one run; started again, it goes on or does nothing."""
    from bench.launch import processes
    from bench.runs import start
    from bench.runs.frozen import Frozen
    from bench.runs.request import RunRequest

    gpus = settings.gpus if frozen is None else Frozen.read(frozen).settings.gpus
    if gpus > 1 and not processes.is_one():
        raise SystemExit(processes.start(gpus, sys.argv[1:]))
    if frozen is not None:
        with said_elsewhere(as_json):
            finished = start.run_frozen(frozen, results, force)
        _end(finished, as_json)
    elif method is None or dataset is None or target_size is None:
        raise UserError("name the run with --method, --dataset and --target-size (or --frozen FILE)")
    else:
        request = RunRequest(
            method=method,
            dataset=with_held_out(dataset, held_out),
            target_size=target_size,
            seed=seed,
            subset_seed=subset_seed,
            preset=preset,
            settings=tuple(set_ or ()),
            resolution=resolution,
            budget_kimg=budget_kimg,
            budget_tflop=budget_tflop,
            amp=amp,
        )
        with said_elsewhere(as_json):
            spec = start.dry_run(request, settings, results) if dry_run else None
            finished = None if dry_run else start.run(request, settings, results, force=force)
        if spec is not None and as_json:
            print_json({"folder": spec.folder(results), "spec": spec})
        _end(finished, as_json)


app.command()(cli_evaluate.evaluate)


@app.command()
@takes_settings("device", "threads", "metrics")
def remeasure(
    runs: Annotated[list[str] | None, typer.Argument(help="Run folders, or parts of their names.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every finished run.")] = False,
    dataset: Annotated[str | None, typer.Option(help="Every finished run on this data set.")] = None,
    method: Annotated[str | None, typer.Option(help="Every finished run of this method or anchor row.")] = None,
    results: Results = RESULTS,
    *,
    settings: RunSettings,
) -> None:
    """Add to finished runs the metrics that they lack or have in an older version; nothing is trained."""
    from bench.runs.find import RunFilter
    from bench.runs.remeasure import remeasure_chosen

    remeasure_chosen(RunFilter(tuple(runs or ()), everything, dataset, method), settings, results)


@app.command("show")
def show_run(
    run: Annotated[str, typer.Argument(help="A run folder, or a part of its name that no other run has.")],
    images: Annotated[Path | None, typer.Option(help="Write all its translations into this folder, as PNG.")] = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """One run: what it was, what was measured, where its pictures are."""
    if as_json:
        from bench.runs.find import find_finished
        from bench.runs.record import read_record

        record = read_record(find_finished(results, run) / "record.json")
        print_json({"folder": record.folder, "record": record})
        return
    from bench.leaderboard.show import show

    if images is not None:
        from bench.use.held_out import write_held_out

        print(write_held_out(run, results, images))
        return
    show(run, results)


app.command("translate")(cli_use.translate)
app.command("export")(cli_use.export)
app.command("card")(cli_use.card)
app.command("play")(cli_use.play)
app.command()(cli_leaderboard.leaderboard)


@app.command()
def check(
    baseline: Annotated[Path, typer.Option(help="The file to compare with; it names the grid too.")] = BASELINE,
    methods: Annotated[str | None, typer.Option(help="Names by comma; by default all of the baseline.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Numbers by comma; by default those of the baseline file.")] = None,
    workers: Annotated[int, typer.Option(help="Processes of one thread each.")] = 2,
    results: Annotated[Path, typer.Option(help="Folder of the check's own runs.")] = RESULTS / "check",
    update: Annotated[bool, typer.Option("--update", help="Rewrite the baseline, and say what changed.")] = False,
) -> None:
    """Run a fixed small grid and compare it with a baseline; exit code 1 where something got worse."""
    from bench.regress import check as regress

    request = regress.CheckRequest(baseline, methods, seeds, workers, results)
    raise SystemExit(regress.update(request) if update else regress.check(request))


def _end(finished: "Finished | None", as_json: bool = False) -> None:
    if finished and as_json:
        print_json({"folder": finished[0], "record": finished[1]})
    if finished and finished[1].status == "diverged":
        raise SystemExit(DIVERGED)


def _line(error: UserError) -> str:
    """Its message on one line that steers no terminal, with ? for bytes of a path that are not UTF-8."""
    return " ".join(plain(str(error).encode(errors="replace").decode()).split())


def main() -> None:
    """Entry of `bench` and `python -m bench`: a bad input is one line and exit code 2."""
    os.umask(os.umask(0o022) | 0o002)  # nothing that we make is writable for everybody
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character shows another
    try:
        app()
    except UserError as error:
        print(f"error: {_line(error)}", file=sys.stderr)
        sys.exit(error.code)
    except Interrupted as stop:
        print(f"stopped: {stop}; start the same command again to go on", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        print(f"error: {out_of_memory(error)}", file=sys.stderr)
        sys.exit(UserError.code)
    except OSError as error:
        print(f"error: {error.strerror or error}: {error.filename or ''}; mend it and start again", file=sys.stderr)
        sys.exit(UserError.code)
