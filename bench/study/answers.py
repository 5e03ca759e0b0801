"""The answers that participants sent back, each accepted or rejected with a reason."""

import json
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = 1
LARGEST = 200_000  # bytes of one file of answers
FASTEST = 400  # milliseconds: a median below it is clicking, not looking
PARTICIPANT = re.compile(r"[0-9a-f-]{8,64}")


class Rejected(Exception):
    """These answers do not count; the message says why."""


@dataclass(frozen=True)
class Answers:
    """What one participant answered: (question id, position chosen) for each question of block `block`."""

    participant: str
    block: int
    choices: tuple[tuple[str, int], ...]


def read(path: Path, key: dict[str, Any]) -> Answers:
    """One file of answers, checked against the study's key. Raises Rejected."""
    try:
        if path.stat().st_size > LARGEST:
            raise Rejected(f"damaged: larger than {LARGEST} bytes")
        payload = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Rejected(f"damaged: cannot be read ({type(error).__name__})") from None
    return check(payload, key)


def check(payload: Any, key: dict[str, Any]) -> Answers:
    """Raises Rejected: damaged, of another study, incomplete, inattentive."""
    found = _parse(payload, key)
    questions = {question["id"]: question for question in key["blocks"][found.block]}
    if sorted(name for name, _ in found.choices) != sorted(questions):
        raise Rejected(f"incomplete: not the {len(questions)} questions of block {found.block}, each once")
    for name, choice in found.choices:
        if not 0 <= choice < len(questions[name]["options"]):
            raise Rejected(f"damaged: question {name} has no option {choice}")
    wrong = [n for n, c in found.choices if questions[n]["right"] is not None and c != questions[n]["right"]]
    if wrong:
        raise Rejected(f"inattentive: {len(wrong)} of the attention checks failed")
    median = statistics.median(answer["milliseconds"] for answer in payload["answers"])
    if median < FASTEST:
        raise Rejected(f"inattentive: a median of {median:.0f} ms for a question")
    return found


def _parse(payload: Any, key: dict[str, Any]) -> Answers:
    if not isinstance(payload, dict) or payload.get("schema") != SCHEMA:
        raise Rejected(f"damaged: not answers of schema {SCHEMA}")
    if payload.get("study") != key["study"]:
        raise Rejected("these are answers to another study")
    participant, block, answers = (payload.get(name) for name in ("participant", "block", "answers"))
    if not isinstance(participant, str) or not PARTICIPANT.fullmatch(participant):
        raise Rejected("damaged: no participant")
    if not isinstance(block, int) or isinstance(block, bool) or not 0 <= block < len(key["blocks"]):
        raise Rejected("damaged: no such block")
    if not isinstance(answers, list) or not answers or not all(_is_answer(answer) for answer in answers):
        raise Rejected("damaged: the list of answers is missing or wrong")
    return Answers(participant, block, tuple((answer["question"], answer["choice"]) for answer in answers))


def _is_answer(answer: Any) -> bool:
    return (
        isinstance(answer, dict)
        and isinstance(answer.get("question"), str)
        and isinstance(answer.get("choice"), int)
        and not isinstance(answer["choice"], bool)
        and isinstance(answer.get("milliseconds"), (int, float))
        and not isinstance(answer["milliseconds"], bool)
        and 0 <= answer["milliseconds"] < float("inf")
    )


def sift(files: Sequence[Path], key: dict[str, Any]) -> tuple[list[Answers], list[tuple[Path, str]]]:
    """Accepted answers, and each rejected file with its reason. Of one participant only the first file counts."""
    accepted: dict[str, Answers] = {}
    rejected = []
    for path in sorted(files):
        try:
            found = read(path, key)
            if found.participant in accepted:
                raise Rejected("repeated: this participant has answered already")
            accepted[found.participant] = found
        except Rejected as reason:
            rejected.append((path, str(reason)))
    return list(accepted.values()), rejected
