"""A study from runs to result: what is written, what is rejected and why, what the records get."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from as_record import as_record
from PIL import Image
from places import damaged_values

from bench.cli import study as cli_study
from bench.core.errors import Busy, UserError
from bench.core.ownership import Ownership
from bench.data.task import load_task
from bench.runs.record import read_record, write_record
from bench.study import answers
from bench.study.build import build
from bench.study.collect import add_to_records, collect
from bench.study.files import Key, read_key

SIZE = 20


def write_run(folder: Path, method: str, images: np.ndarray, **task: Any) -> Path:
    """A finished run as the harness leaves it, as far as a study looks at it."""
    data = load_task("emoji", SIZE, 32)
    identity = {
        "method": method, "kind": "external", "dataset": "emoji", "target_size": SIZE, "seed": 0, "subset_seed": 0,
        "config_hash": "0" * 10, "protocol": "default", "resolution": 32,
    }  # fmt: skip
    facts = {"resolution": 32, "manifest_sha256": data.manifest_sha256, **task}
    write_record(
        folder,
        as_record(
            {"identity": identity, "task": facts, "config": {}, "status": "done", "error": None, "metrics": {},
             "cost": {}, "provenance": {}, "finished": "2026-11-23T00:00:00+00:00"}
        ),
    )  # fmt: skip
    np.save(folder / "translated.npy", images)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, bank_cache: Path) -> list[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_BENCH_CACHE", str(bank_cache))
        data = load_task("emoji", SIZE, 32)
        root = tmp_path_factory.mktemp("runs")
        truth, unchanged = data.target_test.images(data.truth), data.source_test.images()
        for name in ("good", "plain"):
            (root / name).mkdir()
        return [write_run(root / "good", "good", truth), write_run(root / "plain", "plain", unchanged)]


@pytest.fixture
def study(runs: list[Path], tmp_path: Path) -> tuple[Path, Key]:
    out = tmp_path / "study"
    return out, build(runs, out, 20, 10, 2, 1, 0, "Which <b>one</b>?")


def answered(key: Key, block: int = 0, participant: str = "0" * 32, prefer: int = 0) -> dict[str, Any]:
    """Answers of somebody who always prefers run `prefer` and passes the checks."""
    given = [
        {"question": q.id, "choice": q.right if q.right is not None else q.options.index(prefer),
         "milliseconds": 1500}
        for q in key.blocks[block]
    ]  # fmt: skip
    return {"schema": 1, "study": key.study, "participant": participant, "block": block, "answers": given}


def test_the_page_shows_the_runs_images_and_names_nobody(study: tuple[Path, Key]) -> None:
    out, key = study
    html = (out / "page" / "index.html").read_text()
    assert "good" not in html and "plain" not in html and "Which &lt;b&gt;one&lt;/b&gt;?" in html
    data = json.loads(html.split('<script type="application/json" id="data">')[1].split("</script>")[0])
    task = load_task("emoji", SIZE, 32)
    images = [np.load(Path(run.folder) / "translated.npy") for run in key.runs]
    for shown, known in zip(data["blocks"][1], key.blocks[1]):
        assert pixels(out, shown["source"]) == pytest.approx(task.source_test.images([known.source])[0])
        for place, option in enumerate(shown["options"]):
            intact = known.right in (None, place)
            same = np.array_equal(pixels(out, option), images[known.options[place]][known.source])
            assert same == intact


def pixels(out: Path, url: str) -> np.ndarray:
    return np.asarray(Image.open(out / "page" / url)).transpose(2, 0, 1)


def test_percentages_and_records(study: tuple[Path, Key], runs: list[Path], tmp_path: Path) -> None:
    """Three participants prefer `good`, one prefers `plain`: 30 of 40 answers."""
    out, key = study
    files = []
    for i, prefer in enumerate((0, 0, 0, 1)):
        files.append(tmp_path / f"{i}.json")
        files[-1].write_text(json.dumps(answered(key, i % 2, f"{i}" * 32, prefer)))
    result = collect(out, files)
    assert [(m.name, m.preference.percent) for m in result.methods] == [("good", 75), ("plain", 25)]
    assert (result.participants, result.answers, result.rejected) == (4, 40, [])
    assert set(add_to_records(out, result)) == {run.resolve() for run in runs}
    value = read_record(runs[0] / "record.json").metrics["user_preference_pct"]
    assert (value.value, value.n_gen, value.n_ref, value.study) == (75, 40, 4, key.study)
    assert value.low < 75 < value.high


def test_a_record_that_another_process_works_on_is_left_alone_and_named(
    study: tuple[Path, Key], runs: list[Path], tmp_path: Path
) -> None:
    out, key = study
    (tmp_path / "a.json").write_text(json.dumps(answered(key)))
    result = collect(out, [tmp_path / "a.json"])
    before = [run / "record.json" for run in runs]
    for path in before:
        record = json.loads(path.read_text())
        record["metrics"] = {}
        path.write_text(json.dumps(record))
    kept = before[0].read_bytes()
    with Ownership(runs[0]), pytest.raises(Busy, match=r"works on .*good .*run the same command again"):
        add_to_records(out, result)
    assert before[0].read_bytes() == kept
    assert "user_preference_pct" in read_record(before[1]).metrics
    assert set(add_to_records(out, result)) == {run.resolve() for run in runs}


def test_a_title_and_names_with_brackets_are_shown_as_they_are(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    title = "[red]a[/b] :dog:"
    key = build(runs, tmp_path / "study", 20, 10, 2, 1, 0, title)
    (tmp_path / "a.json").write_text(json.dumps(answered(key)))
    cli_study.collect([tmp_path / "a.json"], tmp_path / "study")
    assert title in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p, key: p.update(study="0" * 16), "another study"),
        (lambda p, key: p.update(schema=9), "damaged"),
        (lambda p, key: p.update(participant="../../x"), "damaged: .*participant must be text"),
        (lambda p, key: p.update(participant="0" * 8 + "\n"), "participant must be text"),
        (lambda p, key: p.update(block=99), "no block 99"),
        (lambda p, key: p.update(block=True), "block must be a whole number"),
        (lambda p, key: p["answers"].pop(), "incomplete"),
        (lambda p, key: p["answers"].append(p["answers"][0]), "incomplete"),
        (lambda p, key: p["answers"][0].update(choice=2), "no option 2"),
        (lambda p, key: p["answers"][0].update(choice=-1), "no option -1"),
        (lambda p, key: p["answers"][0].update(milliseconds=float("nan")), "damaged"),
        (lambda p, key: [a.update(milliseconds=90) for a in p["answers"]], "inattentive: a median of 90 ms"),
        (lambda p, key: fail_the_check(p, key), "inattentive: 1 of the attention checks"),
    ],
)
def test_bad_answers_are_rejected_with_the_reason(
    study: tuple[Path, Key], change: Any, reason: str, tmp_path: Path
) -> None:
    _, key = study
    payload = answered(key)
    path = tmp_path / "answers.json"
    path.write_text(json.dumps(payload))
    answers.read(path, key)
    change(payload, key)
    path.write_text(json.dumps(payload))
    with pytest.raises(answers.Rejected, match=reason):
        answers.read(path, key)


def fail_the_check(payload: dict[str, Any], key: Key) -> None:
    checks = {q.id: q.right for q in key.blocks[0] if q.right is not None}
    for answer in payload["answers"]:
        if answer["question"] in checks:
            answer["choice"] = 1 - checks[answer["question"]]


def test_repeated_and_unreadable_files(study: tuple[Path, Key], tmp_path: Path) -> None:
    out, key = study
    good = json.dumps(answered(key))
    for name, text in (("a.json", good), ("b.json", good), ("c.json", good[:50]), ("d.json", "[" * 100_000)):
        (tmp_path / name).write_text(text)
    files = sorted(tmp_path.glob("?.json"))
    result = collect(out, files)
    assert result.participants == 1
    assert [(bad.file, bad.reason.split(":")[0]) for bad in result.rejected] == [
        ("b.json", "repeated"), ("c.json", "damaged"), ("d.json", "damaged"),
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"no file of answers .*c\.json: damaged"):
        collect(out, [tmp_path / "c.json"])


def test_what_cannot_be_compared(runs: list[Path], study: tuple[Path, Key], tmp_path: Path) -> None:
    images = np.load(runs[0] / "translated.npy")
    for name in ("other", "short"):
        (tmp_path / name).mkdir()
    other = write_run(tmp_path / "other", "other", images, manifest_sha256="1")
    short = write_run(tmp_path / "short", "short", images[:5])
    for second, says in ((other, "do not translate the same images"), (short, "5 translations of 32 px for 382")):
        with pytest.raises(UserError, match=says):
            build([runs[0], second], tmp_path / "new", 20, 10, 2, 1, 0, "t")
    assert not (tmp_path / "new").exists()
    with pytest.raises(UserError, match="holds a study already"):
        build(runs, study[0], 20, 10, 2, 1, 0, "t")
    with pytest.raises(UserError, match="named twice"):
        build([runs[0], runs[0]], tmp_path / "new", 20, 10, 2, 1, 0, "t")


def test_damage_anywhere_in_a_key_or_in_answers_is_one_line(study: tuple[Path, Key], tmp_path: Path) -> None:
    """The key serves or is named; a file of answers counts or is rejected with its name."""
    out, key = study
    path, sent = out / "key.json", tmp_path / "a.json"
    sent.write_text(json.dumps(answered(key)))
    whole = json.loads(path.read_text())
    short = {**whole, "blocks": [whole["blocks"][0][:2]]}
    for value in damaged_values(short):
        path.write_text(json.dumps(value))
        try:
            answers.sift([sent], read_key(out))
        except UserError as error:
            assert str(path) in str(error)
    path.write_text(json.dumps(whole))
    for value in damaged_values(answered(key)):
        sent.write_text(json.dumps(value))
        accepted, rejected = answers.sift([sent], key)
        assert len(accepted) + len(rejected) == 1
