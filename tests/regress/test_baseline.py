"""The baseline file: what is refused and how, and that writing and reading are inverse."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from places import damaged_values
from regress_example import ENTRY, GRID

from bench.core.errors import UserError
from bench.core.registry import find
from bench.regress import baseline
from bench.regress.baseline import Baseline, Measured
from bench.training.config import build


def test_written_and_read_again_is_the_same_to_the_bit(tmp_path: Path) -> None:
    whole = Baseline(GRID, {"cyclegan": ENTRY})
    baseline.write(tmp_path / "ci.json", whole)
    assert baseline.read(tmp_path / "ci.json") == whole
    assert whole.comparisons == 2


def test_a_value_is_one_line_so_that_a_change_is_a_short_diff(tmp_path: Path) -> None:
    baseline.write(tmp_path / "ci.json", Baseline(GRID, {"cyclegan": ENTRY}))
    lines = (tmp_path / "ci.json").read_text().splitlines()
    (line,) = [line for line in lines if '"kd_effnet": {' in line]
    assert line.rstrip(",").endswith("}") and '"mean"' in line
    json.loads((tmp_path / "ci.json").read_text())


def test_the_baseline_of_the_repository_names_every_method_that_was_published() -> None:
    grid = baseline.read(Path(__file__).parents[2] / "results" / "reference" / "ci.json").grid
    nine = {"balagan", "cyclegan", "deepi2i", "funit", "jdbw", "mnm", "munit", "sdit", "starganv2"}
    assert set(grid.methods) == nine
    assert len(grid.baseline_seeds) >= 5 and set(grid.seeds) <= set(grid.baseline_seeds)
    for name, row in grid.methods.items():
        method = find("methods", name).load()
        settings = [setting.replace("{seed}", "3") for setting in row.settings]
        build(method.Config, method.presets, grid.preset, settings)  # UserError for a field that is no more


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"grid": {"methods": {"cycelgan": {"budget_kimg": 1}}}}, "did you mean 'cyclegan'"),
        ({"grid": {"metrics": ["kd_efnet"]}}, "did you mean 'kd_effnet'"),
        ({"grid": {"baseline_seeds": [0, 1, 2, 3]}}, "at least 5"),
        ({"grid": {"baseline_seeds": [0, 1, 2, 3, 3]}}, "at least 5 different"),
        ({"grid": {"seeds": []}}, "needs seeds"),
        ({"grid": {"confirm_seeds": []}}, "confirm_seeds"),
        ({"grid": {"confirm_seeds": [4]}}, "other seeds"),
        ({"grid": {"family_error": 0}}, "family_error"),
        ({"grid": {"target_size": "many"}}, "damaged"),
        ({"grid": None}, "damaged"),
        ({"methods": {"cyclegan": {}}}, "damaged"),
        ({"schema": 2}, "schema 2"),
        ({"schema": None}, "schema must be a whole number"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, change: dict, expected: str) -> None:
    path = tmp_path / "ci.json"
    baseline.write(path, Baseline(GRID, {"cyclegan": ENTRY}))
    found = json.loads(path.read_text())
    for key, value in change.items():
        found[key] = {**found[key], **value} if isinstance(value, dict) and key == "grid" else value
    path.write_text(json.dumps(found))
    with pytest.raises(UserError, match=expected) as error:
        baseline.read(path)
    assert str(path) in str(error.value) or "did you mean" in str(error.value)


def test_no_file_no_json_and_a_value_too_few(tmp_path: Path) -> None:
    path = tmp_path / "ci.json"
    with pytest.raises(UserError, match="no baseline"):
        baseline.read(path)
    path.write_text('{"schema": 1, "grid"')
    with pytest.raises(UserError, match="damaged"):
        baseline.read(path)
    short = replace(ENTRY, values={"kd_effnet": Measured(1, (1.0, 2.0))})
    baseline.write(path, Baseline(GRID, {"cyclegan": short}))
    with pytest.raises(UserError, match="2 values for 5 seeds"):
        baseline.read(path)


def test_damage_anywhere_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ci.json"
    baseline.write(path, Baseline(GRID, {"cyclegan": ENTRY}))
    for value in damaged_values(json.loads(path.read_text())):
        path.write_text(json.dumps(value))
        try:
            assert baseline.read(path).grid.baseline_seeds
        except UserError as error:
            assert str(path) in str(error) or "unknown m" in str(error)


def test_a_baseline_without_values_or_with_nan_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "ci.json"
    for values, expected in (({}, "has no values"), ({"kd_effnet": Measured(1, (float("nan"),) * 5)}, "JSON")):
        found = json.loads(json.dumps({"schema": 1, "grid": asdict(GRID), "methods": {"cyclegan": asdict(ENTRY)}}))
        found["methods"]["cyclegan"]["values"] = {name: asdict(m) for name, m in values.items()}
        path.write_text(json.dumps(found))
        with pytest.raises(UserError, match=f"{path} is damaged: .*{expected}"):
            baseline.read(path)


def test_a_seed_that_stands_twice_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "ci.json"
    found = json.loads(json.dumps({"schema": 1, "grid": asdict(GRID), "methods": {"cyclegan": asdict(ENTRY)}}))
    found["methods"]["cyclegan"]["seeds"][1] = found["methods"]["cyclegan"]["seeds"][0]
    path.write_text(json.dumps(found))
    with pytest.raises(UserError, match="cyclegan has a seed twice"):
        baseline.read(path)


def test_a_fresh_baseline_can_be_written_and_read(tmp_path: Path) -> None:
    """It holds the named methods, by their whole names, and passes what a file must pass."""
    made = baseline.fresh(["cycle-gan", "munit"])
    assert list(made.grid.methods) == ["cyclegan", "munit"] and made.methods == {}
    baseline.write(tmp_path / "mine.json", made)
    assert baseline.read(tmp_path / "mine.json") == made
    with pytest.raises(UserError, match="unknown method 'nothing'"):
        baseline.fresh(["nothing"])
    with pytest.raises(UserError, match=r"check --update --baseline .*gone\.json --methods NAME"):
        baseline.read(tmp_path / "gone.json")
