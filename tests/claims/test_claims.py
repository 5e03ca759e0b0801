"""Claims: files, the runs that they ask for, and what hand-made records show of them, by hand calculation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from as_record import as_record
from records import run

from bench.claims import report
from bench.claims.cells import arm_cells, grid_cells, name_of
from bench.claims.claim import Claim, read_claims
from bench.claims.judge import Find, Judged, judge
from bench.claims.kept import find_record, keep
from bench.claims.run import unmeasured
from bench.core.errors import UserError
from bench.metrics import METRICS
from bench.runs.record import Record, write_record
from bench.runs.request import RunRequest

FILE = """
paper = "A paper"
[[claims]]
id = "one"
sentence = "A is better | than B."
where = "table 1"
dataset = "ink"
sizes = [20, 40]
seeds = [0, 1, 2]
budget = { tflop = 2.0 }
set = { width = 8 }
also = ["l1_truth"]
[claims.arms]
a = { method = "munit", set = { width = 16 } }
b = { method = "cyclegan" }
[[claims.comparisons]]
metric = "translated"
arm = "a"
expected = "higher"
than = "b"
"""
# Student's t at 97.5 % with two degrees of freedom, from a table
T2 = 4.303


def claims(folder: Path, text: str = FILE, more: str = "") -> list[Claim]:
    (folder / "paper.toml").write_text(text + more)
    return read_claims(folder)


def records(values: Mapping[tuple[str, int], list[float | None]], **changes: Any) -> Find:
    """Finds a record for each value of (method, size), in the order of the seeds."""

    def find(request: RunRequest) -> Record | None:
        found = values.get((request.method, request.target_size), [])
        if request.seed >= len(found):
            return None
        identity = {"dataset": request.dataset}
        made = run(
            request.method, found[request.seed], request.seed, request.target_size, "translated", identity=identity,
            **changes,
        )  # fmt: skip
        return as_record({**made, "folder": f"{request.method}/{request.target_size}/{request.seed}"})

    return find


def judged(folder: Path, values: Mapping[tuple[str, int], list[float | None]], text: str = FILE) -> Judged:
    return judge(claims(folder, text)[0], records(values))


HIGH, LOW = [0.7, 0.72, 0.74], [0.5, 0.53, 0.53]


def test_a_claim_asks_for_each_run_once_with_all_metrics(tmp_path: Path) -> None:
    (claim,) = claims(tmp_path)
    cells = list(arm_cells(claim))
    assert len(cells) == 2 * 2 * 3
    assert cells[0].request == RunRequest(
        "munit", "ink", 20, 0, 0, "cpu", ("width=16",), resolution=32, budget_tflop=2.0
    )
    assert cells[-1].request.settings == ("width=8",)
    assert [c.metrics for c in grid_cells([claim, claim], [claim])] == [("translated", "l1_truth")] * 12


def test_the_interval_is_students_of_the_paired_differences(tmp_path: Path) -> None:
    found = judged(tmp_path, {("munit", 20): HIGH, ("cyclegan", 20): LOW})
    at20, at40 = found.findings
    assert at20.gap is not None
    assert at20.gap.mean == pytest.approx(0.2)  # of 0.20, 0.19, 0.21
    assert at20.gap.low == pytest.approx(0.2 - T2 * 0.01 / 3**0.5, abs=1e-5)
    assert (at20.word, at20.pairs, at20.planned) == ("shown", 3, 3)
    assert (at40.word, at40.gap) == ("not yet run", None)
    assert found.word == "not yet run"


@pytest.mark.parametrize(
    ("a", "b", "word"),
    [
        ((HIGH, HIGH), (LOW, LOW), "shown"),
        ((LOW, HIGH), (HIGH, LOW), "contradicted"),
        ((HIGH, [0.5, 0.6, 0.5]), (LOW, LOW), "not shown"),
        ((HIGH, HIGH[:1]), (LOW, LOW), "not yet run"),
    ],
)
def test_the_word_of_a_claim_is_that_of_all_its_comparisons(tmp_path: Path, a: Any, b: Any, word: str) -> None:
    values = {("munit", 20): a[0], ("munit", 40): a[1], ("cyclegan", 20): b[0], ("cyclegan", 40): b[1]}
    assert judged(tmp_path, values).word == word


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        ('than = "b"\ntimes = 1.3', "shown"),  # 0.7 - 0.65, 0.72 - 0.689, 0.74 - 0.689
        ('than = "b"\ntimes = 1.5', "contradicted"),
        ("than = 0.65", "shown"),
        ("than = 0.73", "not shown"),
        ("than = 0.9", "contradicted"),
        ("than = 0.9\nmargin = 0.3", "shown"),
        ("than = 0.9\nmargin = 0.05", "contradicted"),
    ],
)
def test_factors_numbers_and_margins(tmp_path: Path, keys: str, word: str) -> None:
    text = FILE.replace('than = "b"', f"{keys}\nsizes = [20]")
    (found,) = judged(tmp_path, {("munit", 20): HIGH, ("cyclegan", 20): LOW}, text).findings
    assert found.word == word


def test_a_lower_value_can_be_what_is_expected(tmp_path: Path) -> None:
    text = FILE.replace('expected = "higher"', 'expected = "lower"\nmargin = 0.1\nsizes = [20]')
    (found,) = judged(tmp_path, {("munit", 20): HIGH, ("cyclegan", 20): LOW}, text).findings
    assert found.word == "contradicted"  # higher by 0.2, where 0.1 was allowed


def test_by_more_at_one_size_is_the_difference_of_differences(tmp_path: Path) -> None:
    text = FILE + "more_at = 20\n"
    values = {("munit", 20): HIGH, ("cyclegan", 20): LOW, ("munit", 40): HIGH, ("cyclegan", 40): [0.65, 0.68, 0.68]}
    (found,) = judged(tmp_path, values, text).findings
    assert found.gap is not None
    assert found.gap.mean == pytest.approx(0.2 - 0.05)
    assert found.word == "shown"
    assert report.comparison_rows(Judged(claims(tmp_path, text)[0], [found], {}, 12))[0][:2] == [
        "translated: a higher than b, and by more at 20",
        "20 against 40",
    ]


def test_values_of_other_data_are_not_compared(tmp_path: Path) -> None:
    (claim,) = claims(tmp_path)
    old, new = (records({("munit", 20): HIGH, ("cyclegan", 20): LOW}, data=data) for data in ("old", "new"))
    finding = judge(claim, lambda request: (old if request.method == "munit" else new)(request)).findings[0]
    assert (finding.word, finding.note) == ("not yet run", "not comparable: other data")


def test_a_run_that_diverged_is_said(tmp_path: Path) -> None:
    (claim,) = claims(tmp_path)
    usual = records({("munit", 20): HIGH, ("cyclegan", 20): LOW})
    failed = as_record({**run("munit", None, 2, 20, status="diverged", error="nan"), "metrics": {}})
    finding = judge(claim, lambda r: failed if (r.method, r.seed) == ("munit", 2) else usual(r)).findings[0]
    assert (finding.pairs, finding.note) == (2, "1 of a diverged")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (('arm = "a"', 'arm = "aa"'), "unknown arm 'aa'; did you mean 'a'?"),
        (('metric = "translated"', 'metric = "translate"'), "unknown metric 'translate'; did you mean 'translated'?"),
        (('expected = "higher"', 'expected = "more"'), "expected cannot be 'more'"),
        (('than = "b"', 'than = "b"\nmore_at = 30'), "claim one compares at 30, which is not among its sizes"),
        (("sizes =", "size ="), "unknown key 'size'; did you mean 'sizes'?"),
        (("sizes = [20, 40]", "sizes = [20, 0]"), "claims.0.sizes.1 must be a whole number >= 1"),
        (("sizes = [20, 40]", f"sizes = [{10**22}]"), "claims.0.sizes.0"),
        (("sizes =", "resolution = 0\nsizes ="), "claims.0.resolution must be a whole number >= 1"),
    ],
)
def test_a_mistake_in_a_file_is_one_line(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    with pytest.raises(UserError) as error:
        claims(tmp_path, FILE.replace(*change))
    assert expected in str(error.value)


def test_one_id_twice_and_unknown_names_are_refused(tmp_path: Path) -> None:
    claims(tmp_path)
    with pytest.raises(UserError, match="unknown claim 'onee'; did you mean 'one'"):
        read_claims(tmp_path, ("onee",))
    (tmp_path / "other.toml").write_text(FILE)
    with pytest.raises(UserError, match=r"two claims in .* have the id 'one'"):
        read_claims(tmp_path)


def test_kept_records_are_found_by_what_the_claim_asks_for_now(tmp_path: Path) -> None:
    (claim,) = claims(tmp_path)
    request = next(arm_cells(claim)).request
    folder = tmp_path / "work" / "runs" / "ink" / "20" / "munit" / "0-abc"
    folder.mkdir(parents=True)
    write_record(folder, as_record(run("munit", 0.5)))
    assert keep(tmp_path / "records", {request: folder}) == 1
    find = find_record(tmp_path / "records", pytest.fail)
    found = find(request)
    assert found is not None
    assert found.folder == str(tmp_path / "records" / "runs" / "ink" / "20" / "munit" / "0-abc")
    (changed,) = claims(tmp_path, FILE.replace("width = 16", "width = 32"))
    assert find(next(arm_cells(changed)).request) is None
    assert len({name_of(cell.request) for cell in arm_cells(claim)}) == 12


def test_the_page_says_each_claim_with_its_numbers(tmp_path: Path) -> None:
    values = {("munit", 20): HIGH, ("cyclegan", 20): LOW, ("munit", 40): HIGH, ("cyclegan", 40): LOW}
    cost = {"train_flop": 1.5e12, "prepare_flop": 0.5e12, "train_cpu_seconds": 30.0}
    found = judge(claims(tmp_path)[0], records(values, cost={k: int(v) for k, v in cost.items()}))
    text = report.page([found])
    assert "| one | A paper | shown | 2 of 2 | 12 of 12 | 24 TFLOP, 6:00 of one CPU |" in text
    assert "| translated: a higher than b | 20 | 0.2 | 0.175 .. 0.225 | 3 of 3 | shown |" in text
    assert "> A is better \\| than B." in text
    assert "Claims: 1 shown." in text


def test_only_what_was_never_measured_is_measured_later() -> None:
    """A metric that had no value would have none again; one of an older version is measured anew."""
    record = as_record(run("a", None, metric="translated", version=METRICS["translated"].version, reason="no truth"))
    older = as_record(run("a", 0.5, metric="translated", version=METRICS["translated"].version - 1))
    assert unmeasured(record, ["translated", "l1_truth"]) == ("l1_truth",)
    assert unmeasured(older, ["translated"]) == ("translated",)
    assert unmeasured(as_record({**run("a", None, status="diverged", error="nan"), "metrics": {}}), ["l1_truth"]) == ()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"batch_size": 2, "width": 99}, ""),  # the claim sets the width itself
        ({"batch_size": 2, "lr": 0.5, "beta1": 0.5}, "before preset cpu of munit changed (lr)"),
        ({"batch_size": 7, "lr": 0.5}, "before preset cpu of munit changed (batch_size, lr)"),
    ],
)
def test_a_kept_record_of_an_earlier_preset_is_left_out(tmp_path: Path, config: dict[str, Any], said: str) -> None:
    """What the preset does not name, and what the claim itself sets, plays no part."""
    (claim,) = claims(tmp_path)
    request = next(arm_cells(claim)).request
    folder = tmp_path / "work" / "runs" / "ink" / "20" / "munit" / "0-abc"
    folder.mkdir(parents=True)
    write_record(folder, as_record({**run("munit", 0.5), "config": config}))
    keep(tmp_path / "records", {request: folder})
    lines: list[str] = []
    found = find_record(tmp_path / "records", lines.append)(request)
    assert (found is None) == bool(said)
    assert said in "".join(lines)
