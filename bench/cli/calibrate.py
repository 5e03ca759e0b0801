"""`bench calibrate`: what metrics make of images whose worth is known."""

from typing import Annotated

import typer

from bench.cli.settings import takes_settings
from bench.core import markdown
from bench.metrics import METRICS, find
from bench.metrics.data import Value
from bench.runs.settings import RunSettings

METRIC_NAMES = ("translated", "truth_retrieved", "lpips_truth", "lpips_truth_relative", "kd_judge", "kd_effnet")


@takes_settings("device", "threads", "metrics")
def calibrate(
    dataset: Annotated[str, typer.Argument(help="A data set (bench list datasets) or folder:DIR.")],
    settings: RunSettings,
    target_size: Annotated[int, typer.Option(help="Target training images that the row `copies` repeats.")] = 125,
    resolution: Annotated[int | None, typer.Option(help="Side of the images in pixels.")] = None,
    most: Annotated[int | None, typer.Option(help="Measure at most so many held-out sources; by default all.")] = None,
) -> None:
    """Measure sources, truth, both with small faults, blends and copies, as a Markdown table.

    A metric is fit to rank methods where every truth with a small fault is far better than every source with one, and
    no fault helps the source by more than its interval.
    """
    from bench.core.progress import Reporter
    from bench.core.signals import Signals
    from bench.data.task import load_task
    from bench.runs import calibration

    names = settings.metrics or METRIC_NAMES
    for name in names:
        find(name)
    with Signals() as signals:
        reporter = Reporter(signals, name="calibrate")
        data = load_task(dataset, target_size, resolution, report=reporter.tick)
        typer.echo("\n".join(markdown.head(["image", "n", *map(_heading, names)])))
        for row, values in calibration.calibrate(data, names, settings.compute("off"), reporter, most):
            n = str(values[names[0]].n_gen)
            typer.echo(markdown.row([row, n, *(_cell(name, values[name]) for name in names)]))


def _heading(name: str) -> str:
    arrow = {"lower": " ↓", "higher": " ↑", None: ""}[METRICS[name].better]
    factor = "" if METRICS[name].scale == 1 else f" x{METRICS[name].scale:g}"
    return f"{name}{factor}{arrow}"


def _cell(name: str, value: Value) -> str:
    if value.value is None:
        return "n/a"
    scale = METRICS[name].scale
    text = f"{value.value * scale:.3f}" if scale == 1 else f"{value.value * scale:.0f}"
    if value.low is None or value.high is None:
        return text
    half = (value.high - value.low) / 2 * scale
    return f"{text} ± {half:.3f}" if scale == 1 else f"{text} ± {half:.0f}"
