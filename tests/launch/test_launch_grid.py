"""Grids: what a file and the command line ask for, counted by hand."""

from pathlib import Path

import pytest

from bench.core.errors import UserError
from bench.launch.grid import Grid, GridCell, cells, read
from bench.runs.request import RunRequest


def grid(tmp_path: Path, text: str) -> list[Grid]:
    path = tmp_path / "grid.toml"
    path.write_text(text)
    return read(path)


def test_the_product_and_the_anchor_rows_once_each(tmp_path: Path) -> None:
    found = cells(
        grid(
            tmp_path,
            """
            methods = ["balagan", "identity"]
            datasets = ["afd", "afhq"]
            target_sizes = [1000, 125]
            seeds = [3, 4, 5]
            subset_seeds = [0, 1]
            preset = "paper"
            set = { width = 64, classes = "modes:40", balanced = true, betas = [0.5, 0.9] }
            metrics = ["kd_effnet", "nn_ratio"]
            """,
        )
    )
    assert len(found) == 2 * 2 * 2 * (3 + 1)
    settings = ("width=64", "classes=modes:40", "balanced=true", "betas=0.5,0.9")
    assert found[0] == GridCell(RunRequest("balagan", "afd", 1000, 3, 0, "paper", settings), ("kd_effnet", "nn_ratio"))
    anchors = [cell.request for cell in found if cell.request.method == "identity"]
    assert {(r.seed, r.preset, r.settings) for r in anchors} == {(3, None, ())}
    assert len(anchors) == 8


def test_a_union_of_sub_grids_holds_every_run_once(tmp_path: Path) -> None:
    found = cells(
        grid(
            tmp_path,
            """
            datasets = ["emoji"]
            target_sizes = [20]
            seeds = [0, 1]
            set = { width = 8 }
            [[runs]]
            methods = ["cyclegan", "munit"]
            [[runs]]
            methods = ["munit"]
            target_sizes = [20, 40]
            [[runs]]
            methods = ["munit"]
            set = { width = 4, batch_weight = true }
            """,
        )
    )
    assert [(c.request.method, c.request.target_size, c.request.seed, c.request.settings) for c in found] == [
        ("cyclegan", 20, 0, ("width=8",)),
        ("cyclegan", 20, 1, ("width=8",)),
        ("munit", 20, 0, ("width=8",)),
        ("munit", 20, 1, ("width=8",)),
        ("munit", 40, 0, ("width=8",)),
        ("munit", 40, 1, ("width=8",)),
        ("munit", 20, 0, ("width=4", "batch_weight=true")),
        ("munit", 20, 1, ("width=4", "batch_weight=true")),
    ]


def test_the_command_line_replaces_keys_in_every_sub_grid(tmp_path: Path) -> None:
    below = grid(
        tmp_path,
        """
        methods = ["cyclegan"]
        datasets = ["emoji"]
        seeds = [0, 1, 2]
        [[runs]]
        target_sizes = [20]
        [[runs]]
        target_sizes = [40]
        seeds = [7, 8]
        """,
    )
    typed = Grid(seeds=(5,), metrics=(), set={"width": "4"})
    found = cells([typed.over(part) for part in below])
    assert [(c.request.target_size, c.request.seed, c.request.settings, c.metrics) for c in found] == [
        (20, 5, ("width=4",), ()),
        (40, 5, ("width=4",), ()),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metods = ['x']", "did you mean 'methods'"),
        ("[[runs]]\nsedes = [1]", "did you mean 'seeds'"),
        ("seeds = 3", "seeds must be a list, not a whole number"),
        ("seeds = [true]", "seeds.0 must be a whole number, not true or false"),
        ("target_sizes = ['1']", "target_sizes.0 must be a whole number, not text"),
        ("methods = 'a,b'", "methods must be a list, not text"),
        ("budget_kimg = nan", "holds the number nan"),
        ("set = ['a=b']", "set must be a table"),
        ("runs = 3", "written [[runs]]"),
        ("methods = [", "not TOML"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(text: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        grid(tmp_path, text)
    assert expected in str(error.value)
    assert "grid.toml" in str(error.value)


def test_a_budget_of_either_kind_takes_the_place_of_the_one_above_it(tmp_path: Path) -> None:
    text = """
    methods = ["munit"]
    datasets = ["ink"]
    target_sizes = [20]
    budget = { tflop = 3.5 }
    [[runs]]
    [[runs]]
    budget_kimg = 2.0
    [[runs]]
    methods = ["real"]
    """
    budgets = [(c.request.budget_tflop, c.request.budget_kimg) for c in cells(grid(tmp_path, text))]
    assert budgets == [(3.5, None), (None, 2.0), (None, None)]
    typed = Grid(budget_kimg=1.0).over(grid(tmp_path, text)[0])
    assert (typed.budget, typed.budget_kimg) == (None, 1.0)


@pytest.mark.parametrize("budget", [{"budget_tflop": 0.0}, {"budget_tflop": float("nan")}, {"budget_tflop": 1e9}])
def test_a_budget_of_compute_out_of_bounds_is_refused(budget: dict[str, float]) -> None:
    with pytest.raises(UserError, match=r"budget_tflop=.*: choose a number above 0 and below 1e\+09"):
        RunRequest("munit", "ink", 20, **budget)  # type: ignore[arg-type]


@pytest.mark.parametrize("other", [{"budget_kimg": 1.0}, {"settings": ("budget_kimg=1",)}])
def test_a_run_with_two_budgets_is_refused(other: dict[str, object]) -> None:
    with pytest.raises(UserError, match="a run has one budget"):
        RunRequest("munit", "ink", 20, budget_tflop=1.0, **other)  # type: ignore[arg-type]


def test_what_is_missing_is_named() -> None:
    with pytest.raises(UserError, match="--target-sizes"):
        cells([Grid(methods=("cyclegan",), datasets=("emoji",))])
    with pytest.raises(UserError, match=r"nowhere\.toml cannot be read"):
        read(Path("nowhere.toml"))


def test_what_is_held_out_of_own_data_names_the_runs(tmp_path: Path) -> None:
    text = """
    methods = ["munit"]
    datasets = ["folder:photos"]
    target_sizes = [6]
    held_out = 8
    [[runs]]
    [[runs]]
    held_out = 0.25
    [[runs]]
    held_out = "0.5"
    """
    named = [cell.request.dataset for cell in cells(grid(tmp_path, text))]
    assert named == [f"folder:photos:held-out={part}" for part in ("8", "0.25", "0.5")]
    typed = [Grid(held_out="3").over(below) for below in grid(tmp_path, text)]
    assert [cell.request.dataset for cell in cells(typed)] == ["folder:photos:held-out=3"]


def test_what_other_data_hold_out_is_not_for_a_grid_to_say() -> None:
    with pytest.raises(UserError, match="--held-out is for own data"):
        cells([Grid(methods=("munit",), datasets=("ink",), target_sizes=(20,), held_out="3")])
