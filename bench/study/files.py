"""The files of a study: its key (study/key.json), what a participant sent, and the result (study/result.json)."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from bench.core.typed import Count, read_typed
from bench.study.design import Question
from bench.study.ranking import Preference, Worth

PARTICIPANT = r"\A[0-9a-f-]{8,64}\Z"


class StudyRun(Struct, frozen=True):
    """One run of the study: the name that results carry, and its folder."""

    name: str
    folder: str


class Key(Struct, frozen=True, kw_only=True):
    """study/key.json: which run stands behind each picture of the page, to be kept from the participants.

    study   the name of this study, which answers carry
    blocks  the questions of each block; a participant answers one block
    """

    schema: Literal[1]
    title: str = ""
    runs: list[StudyRun]
    seed: int = 0
    per_user: Count = 0
    choices: Count = 0
    blocks: list[list[Question]]
    study: str

    def __post_init__(self) -> None:
        """Raises ValueError for a question that shows a run or marks an option that is not there."""
        for block in self.blocks:
            for question in block:
                places = range(len(question.options))
                runs_there = all(option in range(len(self.runs)) for option in question.options)
                if not runs_there or (question.right is not None and question.right not in places):
                    raise ValueError(f"question {question.id} shows what is not there")


class Answer(Struct, frozen=True):
    """One choice: the position among the options shown, and how long it took."""

    question: str
    choice: int
    milliseconds: Annotated[float, Meta(ge=0)]


class Sent(Struct, frozen=True, kw_only=True):
    """What the page of one participant sends, or offers for download."""

    schema: Literal[1]
    study: str
    participant: Annotated[str, Meta(pattern=PARTICIPANT)]
    block: Count
    answers: Annotated[list[Answer], Meta(min_length=1)]


class Ranked(Struct, frozen=True):
    """What a study says of one run; `preference` is None where nobody was shown it."""

    name: str
    folder: str
    preference: Preference | None
    worth: Worth


class RejectedFile(Struct, frozen=True):
    """A file of answers that does not count, and why."""

    file: str
    reason: str


class Result(Struct, frozen=True, kw_only=True):
    """study/result.json: the runs, the one that is worth most first."""

    schema: Literal[1] = 1
    study: str
    title: str
    participants: int
    answers: int
    methods: list[Ranked]
    rejected: list[RejectedFile]


def read_key(study: Path) -> Key:
    """study/key.json. Raises UserError if it is missing or damaged."""
    return read_typed(study / "key.json", Key, "--study names the folder that bench study build wrote")
