"""Reading logs, comparing runs, remembering, the pool and the state, each by itself."""

import json
from dataclasses import replace
from pathlib import Path

from as_record import as_record
from regress_example import ENTRY, GRID, SEEDS

from bench.core.typed import write_typed
from bench.regress import history, report
from bench.regress.baseline import Baseline, BaselineEntry, CheckedMethod, Measured
from bench.regress.compare import compare, config_changes, confirm, equal_bits, machine_changes
from bench.regress.decide import Rule
from bench.regress.runs import CheckedRun, _failures, _records, last_losses
from bench.regress.state import state_of
from bench.regress.sweep import cell_of
from bench.runs.frozen import Frozen
from bench.runs.record import Code, Provenance, write_record
from bench.runs.request import RunRequest
from bench.runs.settings import RunSettings
from bench.runs.spec import RunSpec

VALUES = {
    "kd_effnet": Measured(1, (0.10, 0.11, 0.12, 0.09, 0.10)),
    "loss/D": Measured(1, (1.0, 1.1, 0.9, 1.05, 0.95)),
}
BASELINE = Baseline(GRID, {"cyclegan": replace(ENTRY, values=VALUES, how={"commit": "c0"})})
RULE = Rule(0.01, 2, {})


def run(seed: int, kd: float = 0.1, d: float = 1.0, version: int = 1) -> CheckedRun:
    return CheckedRun("cyclegan", seed, {"kd_effnet": (kd, version), "loss/D": (d, 1)}, None, {"width": 8})


def test_losses_are_means_over_the_last_quarter(tmp_path: Path) -> None:
    """Steps 1 to 8: the last quarter is 7 and 8. A loss that one line lacks is averaged over those that have it."""
    lines = [{"step": i, "images": 4 * i, "D": float(i), **({"G": 10.0 * i} if i != 7 else {})} for i in range(1, 9)]
    log = tmp_path / "train.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert last_losses(log) == {"D": 7.5, "G": 80.0}
    assert last_losses(tmp_path / "none.jsonl") == {}


def test_the_cell_of_a_grid_says_everything() -> None:
    grid = replace(
        GRID, methods={"funit": CheckedMethod(0.5, ("modes_seed={seed}", "width=8")), "cyclegan": CheckedMethod(1e-3)}
    )
    cell = cell_of(grid, "funit", 7)
    assert cell.metrics == ("kd_effnet",)
    assert cell.request == RunRequest(
        method="funit",
        dataset="emoji",
        target_size=125,
        seed=7,
        preset="cpu",
        settings=("modes_seed=7", "width=8"),
        resolution=32,
        budget_kimg=0.5,
    )
    assert cell_of(grid, "cyclegan", 8).request.budget_kimg == 0.001


def test_what_is_compared_and_what_cannot_be() -> None:
    fine = compare("cyclegan", BASELINE, [run(0), run(1)], RULE, [])
    assert [(f.value, f.failed) for f in fine] == [("kd_effnet", False), ("loss/D", False)]
    worse = compare("cyclegan", BASELINE, [run(0, kd=0.9), run(1, kd=0.9)], RULE, [])
    assert [(f.value, f.failed, f.last_fine) for f in worse] == [("kd_effnet", True, "c0"), ("loss/D", False, "c0")]
    newer = compare("cyclegan", BASELINE, [run(0, version=2), run(1, version=2)], RULE, [])
    assert newer[0].failed and "version 2" in (newer[0].problem or "")
    without = [run(0), CheckedRun("cyclegan", 1, {"loss/D": (1.0, 1)})]
    assert "missing: 1 of 2 runs" in (compare("cyclegan", BASELINE, without, RULE, [])[0].problem or "")
    half = compare("cyclegan", BASELINE, [run(0), CheckedRun("cyclegan", 1, {}, "exit code 2: no")], RULE, [])
    assert [(f.value, f.failed) for f in half] == [("seed 1", True), ("kd_effnet", False), ("loss/D", False)]


def test_a_second_look_clears_what_it_does_not_confirm() -> None:
    def look(kd: float, d: float) -> list[report.Finding]:
        return compare("cyclegan", BASELINE, [run(0, kd, d), run(1, kd, d)], RULE, [])

    first = look(kd=0.9, d=9.0)
    assert [f.failed for f in confirm(first, look(kd=0.9, d=9.0))] == [True, True]
    assert [f.failed for f in confirm(first, look(kd=0.9, d=1.0))] == [True, False]
    assert [f.failed for f in confirm(first, look(kd=0.1, d=-9.0))] == [False, False], "the other side is no repetition"
    cleared = report.table(confirm(first, look(kd=0.9, d=1.0)))
    assert [(row[1], row[6]) for row in cleared] == [("kd_effnet", "WORSE"), ("loss/D", "not confirmed")]
    assert "then" in cleared[0][3] and "then" in cleared[0][4]
    crashed = compare("cyclegan", BASELINE, [CheckedRun("cyclegan", 100, {}, "diverged")], RULE, [])
    assert [f.value for f in confirm(first, crashed) if f.failed] == ["kd_effnet", "loss/D", "seed 100"]


def test_values_of_the_same_seed_are_compared_to_the_bit() -> None:
    assert equal_bits([run(0, kd=0.10, d=1.0), run(1, kd=0.11, d=1.1)], BASELINE) == (4, 4)
    assert equal_bits([run(0, kd=0.10 + 1e-16, d=1.0)], BASELINE) == (1, 2)
    assert equal_bits([run(77)], BASELINE) == (0, 0)


def test_a_config_that_differs_is_named() -> None:
    assert config_changes([run(0)], BASELINE) == []
    (line,) = config_changes([replace(run(0), config={"width": 16, "new": 1})], BASELINE)
    assert "width 8 -> 16" in line and "new None -> 1" in line


def provenance_of(facts: dict) -> Provenance:
    return Provenance(cpu=facts["cpu"], python=facts["python"], packages=facts["packages"])


def test_another_machine_is_named_once() -> None:
    how = {"commit": "c0", "cpu": "A x 2", "python": "3.11.7", "packages": {"torch": "2.14", "numpy": "2.0"}}
    whole = Baseline(GRID, {"cyclegan": replace(BASELINE.methods["cyclegan"], how=how)})
    assert machine_changes([replace(run(0), provenance=provenance_of(how))], whole) == []
    here = {**how, "cpu": "B x 4", "packages": {"torch": "2.15", "numpy": "2.0"}}
    (line,) = machine_changes([replace(run(seed), provenance=provenance_of(here)) for seed in (0, 1)], whole)
    assert line.endswith(": cpu A x 2 -> B x 4, torch 2.14 -> 2.15")


def line(
    commit: str, fine: tuple[str, ...], failed: tuple[str, ...] = (), entry: BaselineEntry | None = None
) -> history.Line:
    mark = history.digest_of(entry or BASELINE.methods["cyclegan"])
    return history.Line(commit, "2030-01-01", {"cyclegan": mark}, fine, failed)


def test_the_last_fine_commit_is_the_newest_check_against_the_same_baseline(tmp_path: Path) -> None:
    other = replace(BASELINE.methods["cyclegan"], seeds=SEEDS[::-1])
    path = tmp_path / "deep" / "history.jsonl"
    assert history.read(path) == []
    for each in (
        line("c1", ("cyclegan kd_effnet",)),
        line("c2", ("cyclegan kd_effnet", "cyclegan loss/D")),
        line("c3", ("cyclegan loss/D",), ("cyclegan kd_effnet",)),
        line("c4", ("cyclegan kd_effnet",), entry=other),
    ):
        history.append(path, each)
    with path.open("a") as file:
        file.write('{"commit": "c5", "half\n[]\n')
    lines = history.read(path)
    assert [each.commit for each in lines] == ["c1", "c2", "c3", "c4"]
    assert history.last_fine(lines, BASELINE, "cyclegan", "kd_effnet") == "c2"
    assert history.last_fine(lines, BASELINE, "cyclegan", "loss/D") == "c3"
    assert history.last_fine(lines, BASELINE, "cyclegan", "loss/G") == "c0", "the baseline's own commit"


def test_text_from_runs_is_no_markup() -> None:
    finding = report.Finding("cyclegan", "seed 0", None, "exit code 1: <b>|[red]")
    text = report.markdown(report.HEADINGS, report.table([finding]), ["a|b"])
    assert "&lt;b&gt;\\|\\[red\\]" in text and "a\\|b" in text


def test_the_table_shows_failures_first_and_leaves_out_what_is_fine() -> None:
    findings = compare("cyclegan", BASELINE, [run(0, kd=0.0, d=9.0), run(1, kd=0.0, d=9.0)], RULE, [])
    rows = report.table(findings)
    assert [(row[1], row[6]) for row in rows] == [("loss/D", "MOVED"), ("kd_effnet", "better: update the baseline")]
    assert rows[1][2].startswith("104 ± "), "people are shown metric * scale"
    assert report.table(compare("cyclegan", BASELINE, [run(0), run(1)], RULE, [])) == []


def test_the_state_changes_with_the_grid_but_not_with_its_seeds() -> None:
    state = state_of(GRID)
    assert (
        state_of(replace(GRID, seeds=(5,), confirm_seeds=(6,), baseline_seeds=(9, 8, 7, 6, 5), tolerance={})) == state
    )
    assert state_of(replace(GRID, methods={"cyclegan": CheckedMethod(0.9)})) != state
    assert state_of(replace(GRID, resolution=64)) != state


def test_a_damaged_record_is_a_failure_of_its_run_and_of_no_other(tmp_path: Path) -> None:
    paths = []
    for seed in (0, 1):
        spec = RunSpec("cyclegan", "emoji", 125, 32, seed=seed)
        folder = spec.folder(tmp_path)
        folder.mkdir(parents=True)
        write_typed(folder / "frozen.json", Frozen(spec=spec, settings=RunSettings(), submitted=Code()))
        paths.append(folder / "record.json")
    identity = {"method": "cyclegan", "kind": "method", "dataset": "emoji", "protocol": "default", "target_size": 125}
    identity |= {"resolution": 32, "seed": 0, "subset_seed": 0, "config_hash": "0"}
    record = {"identity": identity, "task": {}, "config": {}, "status": "done", "error": None, "metrics": {}}
    write_record(paths[0].parent, as_record({**record, "cost": {}, "provenance": {}, "finished": ""}))
    paths[1].write_text("[]")
    assert _records(tmp_path) == {("cyclegan", 0): paths[0]}
    assert f"{paths[1]} is damaged" in _failures(tmp_path)["cyclegan", 1]
