"""Tables: what is averaged, what is bold, what is never ranked together."""

import math
from pathlib import Path

import numpy as np
import pytest
from test_store import record

from bench import store
from bench.leaderboard.draw import draw
from bench.leaderboard.table import best, long, summary, t_interval
from bench.spec import RunSpec


def runs(method: str, values: list[float], n_ref: int = 100, version: int = 1, **identity: object) -> list[dict]:
    found = []
    for seed, value in enumerate(values):
        made = record()
        made["identity"].update(method=method, seed=seed, **identity)
        made["metrics"] = {
            "kd_effnet": {"value": value, "low": None, "high": None, "n_gen": 100, "n_ref": n_ref, "version": version}
        }
        made["folder"] = f"{method}/{seed}/{identity}"
        found.append(made)
    return found


def write(tmp_path: Path, records: list[dict]) -> None:
    for made in records:
        identity = made["identity"]
        folder = RunSpec(identity["method"], identity["dataset"], identity["target_size"], 32, identity["seed"])
        path = folder.folder(tmp_path)
        path.mkdir(parents=True)
        store.write(path, {key: value for key, value in made.items() if key != "folder"})


def test_t_interval_against_a_table() -> None:
    """For n = 3 the 97.5 % quantile of Student's t with 2 degrees of freedom is 4.303 (any printed table)."""
    low, high = t_interval(np.array([1.0, 2.0, 3.0]))
    assert (high - low) / 2 == pytest.approx(4.3027 * 1.0 / math.sqrt(3), rel=1e-4)
    assert all(math.isnan(x) for x in t_interval(np.array([1.0])))


def test_only_runs_that_differ_in_seeds_are_averaged() -> None:
    wide = runs("a", [5.0])
    wide[0]["config"] = {"width": 9}
    rows = summary(long(runs("a", [1.0, 2.0]) + wide), "kd_effnet")
    assert sorted(zip(rows["mean"], rows["runs"])) == [(1.5, 2), (5.0, 1)]


def test_versions_of_a_metric_are_not_mixed() -> None:
    rows = summary(long(runs("a", [1.0]) + runs("b", [9.0], version=2)), "kd_effnet")
    assert list(rows["method"]) == ["b"]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (runs("a", [1.0, 1.1, 0.9]) + runs("b", [5.0, 5.1, 4.9]), "a"),
        (runs("a", [1.0, 5.0, 3.0]) + runs("b", [5.0, 4.0, 6.0]), None),
        (runs("a", [1.0]) + runs("b", [5.0]), None),
        (runs("a", [1.0, 1.1, 0.9], n_ref=99) + runs("b", [5.0, 5.1, 4.9]), None),
        (runs("real", [0.0, 0.1, 0.05]) + runs("b", [5.0, 5.1, 4.9]), None),
    ],
)
def test_best_only_where_the_interval_says_so(records: list[dict], expected: str | None) -> None:
    found = best(summary(long(records), "kd_effnet"), "kd_effnet")
    assert (found[0] if found else None) == expected


def test_markdown_and_csv(tmp_path: Path) -> None:
    records = runs("a", [0.001, 0.0011, 0.0009]) + runs("b", [0.005, 0.0051, 0.0049]) + runs("identity", [0.01])
    records += runs("evil | <script>", [0.02, 0.021, 0.019]) + runs("a", [0.5], target_size=9)
    write(tmp_path, records)
    (tmp_path / "runs/d/5/a/broken").mkdir()
    (tmp_path / "runs/d/5/a/broken/record.json").write_text("{")
    draw(tmp_path, None, ["kd_effnet"])
    page = (tmp_path / "leaderboard/leaderboard.md").read_text()
    assert "| a | **1 ± 0.25** |" in page  # x1000; 4.3027 * 0.1 / sqrt(3) = 0.248
    assert "| b | 5 ± 0.25 |" in page
    assert "evil \\| &lt;script&gt;" in page
    assert page.index("| identity |") < page.index("| a |")
    assert page.count("## d, ") == 2
    assert "n=100/100" in page
    csv = (tmp_path / "leaderboard/leaderboard.csv").read_text()
    assert len(csv.splitlines()) == 1 + len(records)


def test_diverged_runs_are_shown_as_such(tmp_path: Path) -> None:
    made = record(status="diverged", error="loss", metrics={})
    made["identity"]["method"] = "lost"
    write(tmp_path, [*runs("a", [1.0]), made])
    draw(tmp_path, None, ["kd_effnet"])
    assert "| lost | diverged |" in (tmp_path / "leaderboard/leaderboard.md").read_text()


def test_a_cell_of_other_image_counts_says_so(tmp_path: Path) -> None:
    write(tmp_path, runs("a", [0.001]) + runs("real", [0.0002], n_ref=50))
    draw(tmp_path, None, ["kd_effnet"])
    page = (tmp_path / "leaderboard/leaderboard.md").read_text()
    assert "n=100/100 |" in page
    assert "| real | 0.2 (n=100/50) |" in page
