"""Hand-made records, valid to the last field."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from as_record import as_record

import bench.leaderboard.board
from bench.leaderboard.board import Board, Waiting
from bench.runs.record import write_record
from bench.runs.spec import RunSpec
from bench.statistics import table


def run(
    method: str,
    value: float | None,
    seed: int = 0,
    size: int = 5,
    metric: str = "kd_effnet",
    n_ref: int = 100,
    version: int = 1,
    data: str = "same",
    network: str | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """A record of one run with one metric; `changes` replace parts of it, those of `identity` are merged."""
    identity = {
        "method": method, "kind": "method", "dataset": "d", "target_size": size, "seed": seed, "subset_seed": 0,
        "preset": "cpu", "config_hash": "0", "resolution": 32, "protocol": "default", "amp": "off",
    }  # fmt: skip
    if method in ("real", "identity", "copies"):
        identity["kind"] = "anchor"
    measured = {"value": value, "low": None, "high": None, "n_gen": 100, "n_ref": n_ref, "version": version}
    measured |= {"network": network} if network else {}
    whole = {
        "identity": identity | changes.pop("identity", {}), "task": {"manifest_sha256": data}, "config": {},
        "status": "done", "error": None, "metrics": {metric: measured | {"reason": changes.pop("reason", None)}},
        "cost": {"train_seconds": 60.0}, "provenance": {"commit": "c" * 40}, "finished": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return whole | changes


def runs(method: str, values: list[float], **changes: Any) -> list[dict[str, Any]]:
    """One record for each value, with seeds 0, 1, ..."""
    return [run(method, value, seed, **changes) for seed, value in enumerate(values)]


def boards(records: Iterable[dict[str, Any]], unfinished: Iterable[Waiting] = ()) -> list[Board]:
    """bench.leaderboard.board.boards of records that are written as dictionaries."""
    return bench.leaderboard.board.boards([as_record(record) for record in records], unfinished)


def long(records: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """bench.statistics.table.long of records that are written as dictionaries."""
    return table.long([as_record(record) for record in records])


def write(results: Path, records: list[dict[str, Any]]) -> list[Path]:
    folders = []
    for record in records:
        identity: Mapping[str, Any] = record["identity"]
        spec = RunSpec(
            identity["method"], identity["dataset"], identity["target_size"], 32, identity["seed"],
            identity["subset_seed"], config=record["config"],
        )  # fmt: skip
        folder = spec.folder(results)
        folder.mkdir(parents=True)
        write_record(folder, as_record(record))
        folders.append(folder)
    return folders
