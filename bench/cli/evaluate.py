"""`bench evaluate`: measuring the images of any other program, on a data set or as plain folders."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli.as_json import Json, print_json, said_elsewhere
from bench.cli.own_data import HeldOut
from bench.cli.settings import takes_settings
from bench.core.errors import UserError
from bench.core.progress import Reporter
from bench.core.signals import Signals
from bench.core.terminal import print_table
from bench.data.find import with_held_out
from bench.metrics import METRICS, Value
from bench.runs.settings import RunSettings

if TYPE_CHECKING:
    from bench.runs.plain import PlainFolders


@takes_settings("device", "threads", "metrics")
def evaluate(
    images: Annotated[Path, typer.Option(help="Folder of translations, each named like its source image.")],
    dataset: Annotated[str | None, typer.Option(help="The data set whose held-out sources they translate.")] = None,
    target_size: Annotated[int | None, typer.Option(help="Target images that the program was trained on.")] = None,
    name: Annotated[str | None, typer.Option(help="What the leaderboard calls the program.")] = None,
    seed: Annotated[int, typer.Option(help="Tells apart several outputs of one program.")] = 0,
    subset_seed: Annotated[int, typer.Option(help="Seed of the target subset.")] = 0,
    held_out: HeldOut = None,
    reference: Annotated[Path | None, typer.Option(help="Without a data set: folder of real target images.")] = None,
    sources: Annotated[Path | None, typer.Option(help="With --reference: folder of what was translated.")] = None,
    training: Annotated[Path | None, typer.Option(help="With --reference: target images trained on.")] = None,
    unpaired: Annotated[
        bool, typer.Option("--unpaired", help="With --reference: equal names there do not mean the same scene.")
    ] = False,
    fake_suffix: Annotated[
        str | None, typer.Option(help="What was added to the names, as in x_fake_B.png; _fake_B and _fake are known.")
    ] = None,
    resolution: Annotated[int | None, typer.Option(min=1, help="Side at which they are measured.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Begin the run anew; keep what it has left in its folder earlier/.")
    ] = False,
    results: Annotated[Path, typer.Option("--results", help="Folder of all runs.")] = Path("results"),
    as_json: Json = False,
    *,
    settings: RunSettings,
) -> None:
    """Measure the outputs of any other program: as a row of a data set's tables, or against a folder of real images.

    With --dataset, --target-size and --name the outputs are recorded as if they were a method's. With --reference
    alone the numbers are printed and nothing is recorded.
    """
    from_folders = {"--sources": sources, "--training": training, "--unpaired": unpaired}
    of_records = {"--target-size": target_size, "--name": name, "--held-out": held_out, "--force": force}
    if reference is not None:
        _refuse("--reference", {"--dataset": dataset, **of_records})
        from bench.runs.plain import PlainFolders

        folders = PlainFolders(images, reference, sources, training, fake_suffix, not unpaired)
        with said_elsewhere(as_json):
            values = _measure(folders, resolution, settings)
        print_json({"metrics": values}) if as_json else _print(values)
        return
    if dataset is None or target_size is None or name is None:
        raise UserError("say what is measured: --dataset, --target-size and --name, or --reference DIR for folders")
    _refuse("--dataset", from_folders)
    from bench.runs import start
    from bench.runs.request import RunRequest

    named = with_held_out(dataset, held_out)
    request = RunRequest(name, named, target_size, seed, subset_seed, resolution=resolution)
    with said_elsewhere(as_json):
        folder, record = start.evaluate_folder(request, images, settings, results, force, fake_suffix)
    if as_json:
        print_json({"folder": folder, "record": record})


def _refuse(beside: str, options: dict[str, Any]) -> None:
    """UserError for the first of these options that was given."""
    for option, value in options.items():
        if value not in (None, False):
            raise UserError(f"{option} means nothing beside {beside}; leave one of them out")


def _measure(folders: "PlainFolders", resolution: int | None, settings: RunSettings) -> dict[str, Value]:
    """The numbers; says what was found in the folders, and the progress."""
    from bench.runs.plain import Matched, measure_folders
    from bench.runs.request import check_metrics

    check_metrics(settings.metrics)
    files = Matched.of(folders)
    side = resolution or files.side()
    typer.echo(f"images: {len(files.images)}{f' ({files.only})' if files.only else ''}, measured at {side} px")
    typer.echo(
        f"reference: {len(files.reference)}, of which {files.pairs} have the name of an image and count as its ground "
        f"truth (--unpaired: none); sources: {len(files.sources)}; training: {len(files.training)}"
    )
    compute = settings.compute("off")
    with Signals() as signals, compute.full_float32():
        return measure_folders(files, side, settings.metrics, str(compute.device), Reporter(signals).note)


def _print(values: dict[str, Value]) -> None:
    """A table of what has a value, and below it what has none, by reason."""
    rows: list[list[str]] = []
    reasons: dict[str, list[str]] = {}
    for name, value in values.items():
        if value.value is None:
            reasons.setdefault(str(value.reason), []).append(name)
            continue
        scale = METRICS[name].scale
        ends = [f"{end * scale:.4g}" for end in (value.low, value.high) if end is not None]
        heading = name if scale == 1 else f"{name} x{scale:g}"
        rows.append([heading, f"{value.value * scale:.4g}", " .. ".join(ends), f"{value.n_gen}/{value.n_ref}"])
    if rows:
        print_table("", ["metric", "value", "95 % interval", "images"], rows)
    for reason, names in reasons.items():
        typer.echo(f"n/a: {', '.join(names)}: {reason}")
