"""Runs that have no record: begun, failed, or only submitted; and what a sweep had to skip."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from msgspec import Struct

from bench.core.errors import UserError
from bench.core.registry import find
from bench.core.typed import read_typed
from bench.launch import sweeps
from bench.leaderboard.board import Waiting
from bench.runs import frozen
from bench.runs.record import Identity
from bench.runs.spec import RunSpec
from bench.runs.state import RunState


def unfinished(results: Path, say: Callable[[str], None]) -> list[Waiting]:
    """The runs below a results folder that have no record, and those that its sweeps skipped.

    A folder that holds neither config.json nor frozen.json says nothing of its run and is passed over. `say` gets a
    line for each file that is damaged.
    """
    waiting = {}
    for sweep in sweeps.read_all(results, say):
        for skipped in sweep.skipped:
            waiting[skipped.spec.folder(results)] = _waiting(skipped.spec, "skipped", skipped.reason)
    for folder in sorted(results.glob("runs/*/*/*/*")):
        if (folder / "record.json").exists():
            waiting.pop(folder, None)
        elif own := next(_specs(folder, say), None):
            waiting[folder] = _waiting(own, "unfinished", _said(folder))
    return list(waiting.values())


class _Named(Struct):
    """What config.json, which a run writes as it begins, and frozen.json, which its sweep wrote, have in common."""

    spec: RunSpec


def _specs(folder: Path, say: Callable[[str], None]) -> Iterator[RunSpec]:
    for name in ("config.json", frozen.NAME):
        if (folder / name).exists():
            try:
                yield read_typed(folder / name, _Named, "delete it; the run can be started anew").spec
            except UserError as error:
                say(f"left out: {error}")


def _said(folder: Path) -> str:
    state = RunState(folder).read()
    return ": ".join(said for said in (state.state, state.error) if said) or "begun"


def _waiting(spec: RunSpec, state: Literal["unfinished", "skipped"], note: str) -> Waiting:
    facts = {**asdict(spec), "protocol": _protocol(spec.dataset), "config_hash": spec.config_hash}
    config = facts.pop("config") or {}
    return Waiting(identity=Identity(**facts), config=config, state=state, note=note)


def _protocol(dataset: str) -> str:
    """That of the registered data set: a run without a record can only go on with the one of today."""
    try:
        return str(find("datasets", dataset).facts.get("protocol", "default"))
    except UserError:
        return "default"
