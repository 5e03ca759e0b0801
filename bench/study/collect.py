"""`bench study collect`: files of answers -> percentages, ranking, result.json, and the metric of each run."""

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from bench.core.errors import Busy, UserError
from bench.core.ownership import Ownership
from bench.core.typed import write_typed
from bench.metrics import METRICS
from bench.metrics.data import Value
from bench.runs.record import amend_record, read_record
from bench.study.answers import Answers, sift
from bench.study.files import Key, Ranked, RejectedFile, Result, read_key
from bench.study.ranking import Choice, Preference, bradley_terry, preferences

METRIC = "user_preference_pct"


def collect(study: Path, files: Sequence[Path]) -> Result:
    """Writes study/result.json and returns it. Raises UserError if no answers can be used."""
    key = read_key(study)
    accepted, rejected = sift(files, key)
    if not accepted:
        reasons = "; ".join(f"{path.name}: {reason}" for path, reason in rejected[:3]) or "no files"
        raise UserError(f"no file of answers can be used ({reasons})")
    choices = real_choices(accepted, key)
    preferred = preferences(choices, len(key.runs))
    worth = bradley_terry(choices, len(key.runs))
    ranked = [Ranked(run.name, run.folder, p, w) for run, p, w in zip(key.runs, preferred, worth)]
    result = Result(
        study=key.study,
        title=key.title,
        participants=len(accepted),
        answers=len(choices),
        methods=sorted(ranked, key=lambda method: -method.worth.value),
        rejected=[RejectedFile(path.name, reason) for path, reason in rejected],
    )
    write_typed(study / "result.json", result)
    return result


def real_choices(accepted: Sequence[Answers], key: Key) -> list[Choice]:
    """The answers to real questions, as methods; attention checks are left out."""
    questions = {question.id: question for block in key.blocks for question in block}
    choices = []
    for answers in accepted:
        for name, position in answers.choices:
            question = questions[name]
            if question.right is None:
                choices.append(Choice(question.options, question.options[position]))
    return choices


def add_to_records(study: Path, result: Result) -> list[Path]:
    """Writes the metric user_preference_pct into the record of each run that is still there; returns their folders.

    n_gen is the number of answers of the whole study and n_ref that of participants, so that values of two studies
    never look as if they had been measured alike. A value of another study is left as it is (its result.json has it).
    Raises Busy at the end, after all others are written, if another process works on a run.
    """
    written, busy = [], []
    for method in result.methods:
        folder = Path(method.folder)
        if method.preference is None or not (folder / "record.json").exists():
            continue
        try:
            with Ownership(folder):
                if _add_to_record(folder, method.preference, result):
                    written.append(folder)
        except Busy:
            busy.append(folder)
    if busy:
        raise Busy(
            f"another process works on {busy[0]} (such runs: {len(busy)}), so the study is not in its record yet; "
            f"run the same command again when it has ended"
        )
    return written


def _add_to_record(folder: Path, preference: Preference, result: Result) -> bool:
    earlier = read_record(folder / "record.json").metrics.get(METRIC)
    if earlier is not None and earlier.study and earlier.study != result.study:
        return False
    value = Value(preference.percent, preference.low, preference.high, result.answers, result.participants)
    checked = value.checked(METRICS[METRIC].version)
    amend_record(folder, {METRIC: replace(checked, study=result.study)})
    return True
