"""`bench study collect`: files of answers -> percentages, ranking, result.json, and the metric of each run."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from bench.core.errors import UserError
from bench.core.files import write_json
from bench.metrics import METRICS
from bench.metrics.data import Value
from bench.runs import record as store
from bench.study.answers import SCHEMA, Answers, sift
from bench.study.ranking import Choice, bradley_terry, preferences

METRIC = "user_preference_pct"


def read_key(study: Path) -> dict[str, Any]:
    """study/key.json. Raises UserError if it is missing or damaged."""
    path = study / "key.json"
    try:
        key = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}); --study names the folder that bench study build wrote"
        ) from None
    if not isinstance(key, dict) or key.get("schema") != SCHEMA or not isinstance(key.get("blocks"), list):
        raise UserError(f"{path} is no study of schema {SCHEMA}; build the study again")
    return key


def collect(study: Path, files: Sequence[Path]) -> dict[str, Any]:
    """Writes study/result.json and returns it. Raises UserError if no answers can be used."""
    key = read_key(study)
    accepted, rejected = sift(files, key)
    if not accepted:
        reasons = "; ".join(f"{path.name}: {reason}" for path, reason in rejected[:3]) or "no files"
        raise UserError(f"no file of answers can be used ({reasons})")
    choices = real_choices(accepted, key)
    found = preferences(choices, len(key["runs"]))
    worth = bradley_terry(choices, len(key["runs"]))
    methods = [
        {**run, "preference": asdict(p) if p else None, "worth": asdict(w)}
        for run, p, w in zip(key["runs"], found, worth)
    ]
    result = {
        "schema": SCHEMA,
        "study": key["study"],
        "title": key["title"],
        "participants": len(accepted),
        "answers": len(choices),
        "methods": sorted(methods, key=lambda method: -method["worth"]["value"]),
        "rejected": [{"file": path.name, "reason": reason} for path, reason in rejected],
    }
    write_json(study / "result.json", result)
    return result


def real_choices(accepted: Sequence[Answers], key: dict[str, Any]) -> list[Choice]:
    """The answers to real questions, as methods; attention checks are left out."""
    questions = {question["id"]: question for block in key["blocks"] for question in block}
    found = []
    for answers in accepted:
        for name, position in answers.choices:
            question = questions[name]
            if question["right"] is None:
                found.append(Choice(tuple(question["options"]), question["options"][position]))
    return found


def add_to_records(study: Path, result: dict[str, Any]) -> list[Path]:
    """Writes the metric user_preference_pct into the record of each run that is still there; returns their folders.

    n_gen is the number of answers of the whole study and n_ref that of participants, so that values of two studies
    never look as if they had been measured alike. A value of another study is left as it is (its result.json has it).
    """
    version = METRICS[METRIC].version
    written = []
    for method in result["methods"]:
        path = Path(method["folder"]) / "record.json"
        preference = method["preference"]
        if preference is None or not path.exists():
            continue
        earlier = store.read(path).metrics.get(METRIC)
        if earlier is not None and earlier.study and earlier.study != result["study"]:
            continue
        value = Value(
            preference["percent"], preference["low"], preference["high"], result["answers"], result["participants"]
        ).checked(version)
        store.amend(path.parent, {METRIC: replace(value, study=result["study"])})
        written.append(path.parent)
    return written
