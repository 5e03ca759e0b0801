"""What is printed of a run before and after it."""

from typing import TYPE_CHECKING

from bench.core.progress import clock
from bench.metrics import METRICS
from bench.runs.record import Record
from bench.runs.small_sets import explain_small

if TYPE_CHECKING:
    from bench.runs.context import RunContext


NAMED = 5  # metrics without a value that are named


def announce(context: "RunContext") -> None:
    """What is about to be done, on what, and where its files lie."""
    spec, compute, say = context.spec, context.compute, context.reporter.say
    chosen = f"preset {spec.preset}" if spec.preset else "anchor row"
    say(
        f"{spec.method} on {spec.dataset}, {spec.target_size} target images at {spec.resolution} px, seed {spec.seed}: "
        f"{chosen}, {compute.device}, threads {context.settings.threads}, amp {compute.amp}"
    )
    if spec.config:
        say("config: " + ", ".join(f"{key}={value}" for key, value in spec.config.items()))
    say(f"folder: {context.folder}")
    if small := explain_small(context.data, context.settings.metrics):
        say(small)


def conclude(context: "RunContext", record: Record, wall: float) -> None:
    """The numbers, how long they took, and where they are recorded. wall: seconds of this start."""
    folder, say = context.folder, context.reporter.say
    for name, metric in METRICS.items():
        value = record.metrics.get(name)
        if value is not None and value.value is not None:
            say(f"  {name:<18} {value.value * metric.scale:10.4g}   n {value.n_gen}/{value.n_ref}")
    if missing := [name for name, value in record.metrics.items() if value.value is None]:
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        say(f"  no value: {', '.join(missing[:NAMED])}{more}; the reasons: python -m bench show {folder}")
    cost = record.cost
    stages = {"prepare": cost.prepare_seconds, "train": cost.train_seconds, "measure": cost.evaluate_seconds}
    spent = [f"{stage} {clock(seconds or 0.0)}" for stage, seconds in stages.items()]
    say(f"{record.status} in {clock(wall)}: {', '.join(spent)}")
    say(f"record: {folder / 'record.json'}")
    if (folder / "samples.png").exists():
        say(f"pictures: {folder / 'samples.png'}")
