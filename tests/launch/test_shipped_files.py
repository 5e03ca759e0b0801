"""The grids and profiles in slurm/: they parse, what they name exists, and they have as many runs as the tables say."""

from pathlib import Path

import pytest

from bench.data.find import make
from bench.launch import grid as grids
from bench.launch import profile as profiles
from bench.launch.plan import Feasibility, plan
from bench.runs.request import specify

SLURM = Path(__file__).resolve().parents[2] / "slurm"

# file -> runs of methods, anchor rows; counted from the tables: settings x 3 seeds, and 3 rows for each task
RUNS = {
    "balagan-table1": (4 * 3, 3),
    "balagan-table3": (((3 + 3 + 2) * 4 + 2 * 3) * 3, 3 * (4 + 4 + 3 + 4)),  # AFD, CelebA, AFHQ x 4 sizes, cars x 3
    "balagan-table4": (6 * 3, 3),
    "balagan-table5": (3 * 3 * 3, 3),
    "deepi2i-table1": (3 * 3 * 3, 3 * 3),
    "sdit-table6.3": (4 * 3 * 3 * 3, 4 * 3 * 3),  # ordered pairs of four colours
    "sdit-table6.4": (4 * 3 * 3 * 3, 4 * 3 * 3),
    "mnm-table4.1": (4 * 3, 3),
    "reference": (10 * 3 * 3 * 3 + 5 * 2 * 2, 5 * 3 * 3),
    "new-methods": (17, 0),
    "tuning": (21 * 5, 0),
    "augment_d": (6 * 3 * 2, 0),
    "bias": (2 * 2, 2),
    "bf16": (3 * 2 * 3, 0),
}


def test_every_grid_is_counted() -> None:
    assert {path.stem for path in (SLURM / "grids").iterdir()} == set(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_a_grid_names_what_exists(name: str) -> None:
    path = SLURM / "grids" / f"{name}.toml"
    cells = grids.cells(grids.read(path))
    specs = [specify(cell.request, True, lambda _: None) for cell in cells]
    assert len({spec.folder(Path("results")) for spec in specs}) == len(specs)
    trained = [spec for spec in specs if spec.kind == "method"]
    assert (len(trained), len(specs) - len(trained)) == RUNS[name]
    assert f"{len(specs)} runs" in path.read_text().replace("\n# ", " "), "the comment gives another number"
    for dataset in {spec.dataset for spec in specs}:
        make(dataset)


def test_nothing_of_the_reference_grid_is_skipped(tmp_path: Path) -> None:
    cells = grids.cells(grids.read(SLURM / "grids" / "reference.toml"))
    said: list[str] = []
    shown = plan(cells, tmp_path, False, (), Feasibility(), said.append)
    assert [run.skipped for run in shown.runs if run.skipped] == []
    assert len(shown.chosen) == sum(RUNS["reference"])


@pytest.mark.parametrize(
    ("grid", "results"),
    [
        ("reference", "reference"),
        ("new-methods", "reference"),
        ("tuning", "tuning"),
        ("augment_d", "augment_d"),
        ("bias", "bias"),
        ("bf16", "bf16"),
    ],
)
def test_the_results_that_ship_hold_every_run_of_their_grid(grid: str, results: str) -> None:
    """With the settings that the presets have now: where one has changed, its runs are to be made again."""
    cells = grids.cells(grids.read(SLURM / "grids" / f"{grid}.toml"))
    root = SLURM.parent / "results" / results
    folders = [specify(cell.request, False, lambda _: None).folder(root) for cell in cells]
    assert [folder for folder in folders if not (folder / "record.json").exists()] == []


@pytest.mark.parametrize("name", ["gpu", "cpu"])
def test_a_profile_is_read(name: str) -> None:
    profile = profiles.read(SLURM / f"{name}.toml")
    assert profile.gpus == (name == "gpu")
    assert profile.minutes == {"gpu": 24 * 60, "cpu": 4 * 60}[name]
