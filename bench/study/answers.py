"""The answers that participants sent back, each accepted or rejected with a reason."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import UserError
from bench.core.typed import read_typed
from bench.study.files import Key, Sent

LARGEST = 200_000  # bytes of one file of answers
FASTEST = 400  # milliseconds: a median below it is clicking, not looking


class Rejected(Exception):
    """These answers do not count; the message says why."""


@dataclass(frozen=True)
class Answers:
    """What one participant answered: (question id, position chosen) for each question of block `block`."""

    participant: str
    block: int
    choices: tuple[tuple[str, int], ...]


def read(path: Path, key: Key) -> Answers:
    """One file of answers, checked against the study's key. Raises Rejected."""
    try:
        if path.stat().st_size > LARGEST:
            raise Rejected(f"damaged: larger than {LARGEST} bytes")
        return check(read_typed(path, Sent, "it is left out"), key)
    except (OSError, UserError) as error:
        raise Rejected(f"damaged: {error}") from None


def check(sent: Sent, key: Key) -> Answers:
    """Raises Rejected: of another study, incomplete, inattentive."""
    if sent.study != key.study:
        raise Rejected("these are answers to another study")
    if sent.block >= len(key.blocks):
        raise Rejected(f"damaged: the study has no block {sent.block}")
    questions = {question.id: question for question in key.blocks[sent.block]}
    if sorted(answer.question for answer in sent.answers) != sorted(questions):
        raise Rejected(f"incomplete: not the {len(questions)} questions of block {sent.block}, each once")
    for answer in sent.answers:
        if not 0 <= answer.choice < len(questions[answer.question].options):
            raise Rejected(f"damaged: question {answer.question} has no option {answer.choice}")
    wrong = [a for a in sent.answers if questions[a.question].right not in (None, a.choice)]
    if wrong:
        raise Rejected(f"inattentive: {len(wrong)} of the attention checks failed")
    median = statistics.median(answer.milliseconds for answer in sent.answers)
    if median < FASTEST:
        raise Rejected(f"inattentive: a median of {median:.0f} ms for a question")
    return Answers(sent.participant, sent.block, tuple((a.question, a.choice) for a in sent.answers))


def sift(files: Sequence[Path], key: Key) -> tuple[list[Answers], list[tuple[Path, str]]]:
    """Accepted answers, and each rejected file with its reason. Of one participant only the first file counts."""
    accepted: dict[str, Answers] = {}
    rejected = []
    for path in sorted(files):
        try:
            given = read(path, key)
            if given.participant in accepted:
                raise Rejected("repeated: this participant has answered already")
            accepted[given.participant] = given
        except Rejected as reason:
            rejected.append((path, str(reason)))
    return list(accepted.values()), rejected
