"""Runs that have no record: begun, failed, or only submitted; and what a sweep had to skip."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from bench.core.errors import UserError
from bench.core.registry import find
from bench.launch import sweeps
from bench.leaderboard.board import Record
from bench.runs import frozen
from bench.runs.spec import RunSpec
from bench.runs.state import RunState


def unfinished(results: Path) -> list[Record]:
    """identity and config as in a record, state ("unfinished" or "skipped") and note (how far it came, or why not).

    A folder that holds neither config.json nor frozen.json says nothing of its run and is passed over.
    """
    found = {}
    for sweep in sweeps.read_all(results):
        for skipped in sweep.skipped:
            spec = RunSpec(**skipped["spec"])
            found[spec.folder(results)] = _record(spec, "skipped", skipped["reason"])
    for folder in sorted(results.glob("runs/*/*/*/*")):
        if (folder / "record.json").exists():
            found.pop(folder, None)
        elif own := next(_specs(folder), None):
            found[folder] = _record(own, "unfinished", _said(folder))
    return list(found.values())


def _specs(folder: Path) -> Iterator[RunSpec]:
    """Of config.json, which a run writes as it begins, and of frozen.json, which its sweep wrote."""
    for name in ("config.json", frozen.NAME):
        try:
            yield RunSpec(**json.loads((folder / name).read_text(encoding="utf-8"))["spec"])
        except (OSError, ValueError, TypeError, KeyError):
            continue


def _said(folder: Path) -> str:
    state = RunState(folder).read()
    return ": ".join(str(state[key]) for key in ("state", "error") if state.get(key)) or "begun"


def _record(spec: RunSpec, state: str, note: str) -> Record:
    identity = {**asdict(spec), "protocol": _protocol(spec.dataset)}
    config = identity.pop("config") or {}
    return {"identity": identity, "config": config, "state": state, "note": note}


def _protocol(dataset: str) -> str:
    """That of the registered data set: a run without a record can only go on with the one of today."""
    try:
        return str(find("datasets", dataset).facts.get("protocol", "default"))
    except UserError:
        return "default"
