"""How a run begins, goes on or begins anew: whether what is there may be used by the code that runs now.

Data: those of config.json, or the run is refused. Code: a training is done by one code from its first step to its last,
so a run that was trained halfway by other code is refused; what is trained and translated already may be measured by
other code, and the record names both. Device, threads, torch.compile and memory layout change the order of roundings
and not what is computed, and a cluster may well hand the rest of a run to another machine: there the run goes on, says
so, and the record lists the conditions of every start.
"""

from pathlib import Path

import msgspec
from msgspec import UNSET

from bench.core.errors import UserError
from bench.core.typed import read_typed, write_typed
from bench.runs.context import RunContext
from bench.runs.frozen import Begun, this_code
from bench.runs.record import Code, Conditions, Provenance, Record
from bench.runs.state import CANCELLED, LOG

EARLIER = "earlier"  # the folder, in that of a run, of what the run left before it was begun anew
STAYS = ("state.json", "frozen.json", LOG, CANCELLED, EARLIER)  # these belong to the folder, not to one life of the run
LAST = ("config.json", "record.json")  # moved when all else is


def begin(context: RunContext, made: bool) -> Begun:
    """Writes config.json, or adds this start to it; returns what it says.

    made  the run's outputs are there already, and are only measured

    Raises UserError for a run that was begun on other data, or trained halfway by other code.
    """
    path, now = context.folder / "config.json", _first(context)
    if not path.exists():
        write_typed(path, now)
        return now
    earlier = read_typed(path, Begun, f"move {context.folder} away or use another --results")
    if not now.same_data(earlier):
        raise UserError(
            f"{context.folder} was begun on other data (see config.json); move it away or use another --results"
        )
    if not made and not any(context.folder.glob("checkpoint-*.pt")):
        write_typed(path, now)  # nothing of the earlier start is used
        return now
    if earlier.source_sha256 != now.source_sha256:
        _go_on_with_other_code(context, earlier, now, made)
    return _with_this_start(context, path, earlier, now.starts[-1])


def set_aside(folder: Path) -> Path | None:
    """Moves what a run has left to earlier/<number>, whole; None where there is nothing.

    Started again after it was killed, it moves the rest to the same place: the record goes last, so that until then the
    run counts as what it was.
    """
    part = folder / EARLIER / ".part"
    mine = [path for path in folder.iterdir() if path.name not in STAYS and not path.name.startswith(".")]
    if not mine and not part.exists():
        return None
    part.mkdir(parents=True, exist_ok=True)
    first = ("cost.json",)  # without it no outputs count as whole
    for path in sorted(mine, key=lambda p: (p.name not in first, *(p.name == name for name in LAST[::-1]), p.name)):
        path.rename(part / path.name)
    number = 1 + max((int(p.name) for p in part.parent.iterdir() if p.name.isdecimal()), default=0)
    return part.rename(part.parent / str(number))


def say_done(context: RunContext, record: Record) -> None:
    """That the run is done already, and whether it was done by other code than the one that runs now."""
    folder, now = context.folder, this_code(context.spec)
    then = record.provenance
    if then.source_sha256 == now.source_sha256:
        context.reporter.say(f"already done: {folder}")
        return
    context.reporter.say(
        f"already done, but the code has changed since ({_named(then)}; now {_named(now)}): these are the numbers of "
        f"the earlier code; --force runs it anew and keeps them in {folder / EARLIER}"
    )


def _first(context: RunContext) -> Begun:
    code, compute = this_code(context.spec), context.compute
    conditions = Conditions(
        commit=code.commit,
        source_sha256=code.source_sha256,
        device=compute.device.type,
        threads=context.settings.threads,
        compile=compute.compile,
        channels_last=compute.channels_last,
        gpus=_several(compute.ranks.count),
        accumulate=_several(context.settings.accumulate),
    )
    return Begun(
        spec=context.spec,
        manifest_sha256=context.data.manifest_sha256,
        subset_sha256=context.data.subset_sha256,
        commit=code.commit,
        source_sha256=code.source_sha256,
        submitted=context.submitted or UNSET,
        starts=[conditions],
    )


def _several(count: int) -> int | None:
    return count if count > 1 else None


def _go_on_with_other_code(context: RunContext, earlier: Begun, now: Begun, made: bool) -> None:
    codes = f"begun with {_named(earlier)}, now {_named(now)}"
    if not made:
        raise UserError(
            f"{context.folder} is trained halfway by other code ({codes}); go back to that code to finish it, or begin "
            f"it anew with --force, which keeps what is there in {context.folder / EARLIER}"
        )
    context.reporter.say(f"trained and translated by other code ({codes}): it is measured, and the record names both")


def _with_this_start(context: RunContext, path: Path, earlier: Begun, conditions: Conditions) -> Begun:
    """Adds a start whose conditions are new, and says what they differ in from those of the last one."""
    if conditions in earlier.starts:
        return earlier
    if earlier.starts:
        last = msgspec.structs.asdict(earlier.starts[-1])
        new = {k: v for k, v in msgspec.structs.asdict(conditions).items() if k not in ("commit", "source_sha256")}
        said = ", ".join(f"{name} {value} (was {last[name]})" for name, value in new.items() if value != last[name])
        if said:
            context.reporter.say(f"goes on with {said}: roundings may differ, and the record lists both")
    begun = msgspec.structs.replace(earlier, starts=[*earlier.starts, conditions])
    write_typed(path, begun)
    return begun


def _named(code: Begun | Code | Provenance) -> str:
    source = f"source {(code.source_sha256 or 'unknown')[:8]}"
    return source + (f" of commit {code.commit[:8]}" if code.commit else "")
