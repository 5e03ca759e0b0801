"""What the plots show, read back from matplotlib; and the files that the command writes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from records import boards, run, runs, write
from rich.console import Console

from bench.data import montage
from bench.leaderboard.board import Board
from bench.leaderboard.draw import Chosen, draw, read
from bench.leaderboard.evidence import Budget, evidence
from bench.leaderboard.looks import looks
from bench.leaderboard.plots import metrics as figures
from bench.leaderboard.plots import training as training_figures
from bench.leaderboard.plots.pictures import pictures
from bench.leaderboard.plots.style import line

KD = ["kd_effnet"]


def one(records: list[dict[str, Any]]) -> Board:
    (board,) = boards(records)
    return board


def only(found: Any) -> Figure:
    ((_, figure),) = list(found)
    return figure


BOTH = [*runs("a", [0.001, 0.003], size=125), *runs("a", [0.005], size=500), *runs("real", [0.0004], size=125)]


def test_the_size_plot_has_means_bands_and_anchors() -> None:
    (axes,) = only(figures.by_size(one(BOTH), KD)).axes
    lines = {drawn.get_label(): drawn for drawn in axes.lines}
    assert lines["a"].get_xydata().tolist() == [[125, 2], [500, 5]]  # x1000
    assert lines["real"].get_xydata().tolist() == [[125, 0.4]]
    assert axes.get_yscale() == "linear"
    assert axes.get_xscale() == "log" and [t.get_text() for t in axes.get_xticklabels()] == ["125", "500"]
    (axes,) = only(figures.by_size(one([*BOTH, *runs("a", [0.001, 0.003], size=250)]), KD)).axes
    (band,) = [path for drawn in axes.collections for path in drawn.get_paths()]
    assert set(np.asarray(band.vertices)[:, 0]) == {125, 250}  # 500 has one run


def bars(figure: Figure) -> list[list[list[float]]]:
    """The ends of all upright strokes."""
    found = [np.asarray(drawn.get_xydata()) for drawn in figure.axes[0].lines if drawn.get_marker() == "None"]
    return [ends.tolist() for ends in found if len(ends) == 2 and ends[0, 0] == ends[1, 0]]


def test_every_interval_of_the_size_plot_is_drawn() -> None:
    """A band needs two neighbours; t(0.975, 1) = 12.706 and the standard error of 2 +- 1 is 1."""
    for records in (BOTH, runs("a", [0.001, 0.003], size=125)):
        figure = only(figures.by_size(one(records), KD))
        ((low, high),) = bars(figure)
        assert low == [125, pytest.approx(2 - 12.706, abs=1e-3)] and high == [125, pytest.approx(2 + 12.706, abs=1e-3)]
        assert figure.get_suptitle() == "Mean and 95 % interval: d, 32 px, protocol default"
    figure = only(figures.by_size(one([run("a", 0.001), run("a", 0.002, size=10)]), KD))
    assert bars(figure) == []
    assert figure.get_suptitle() == "Mean (one run a cell): d, 32 px, protocol default"


def test_the_size_plot_joins_only_what_was_measured_alike() -> None:
    """`b` has the older version at 5, so `a` is that column's condition there and another one at 10 and 20."""
    new = [run("a", 0.009, version=2), run("a", 0.002, size=10), run("a", 0.003, size=20)]
    old = [run("b", 0.004), run("b", 0.005, size=10), run("b", 0.006, size=20, n_ref=7), run("c", 0.001, size=20)]
    (axes,) = only(figures.by_size(one([*new, *old]), KD)).axes
    found = [
        (drawn.get_label(), np.asarray(drawn.get_xydata()).tolist(), drawn.get_markerfacecolor())
        for drawn in axes.lines
    ]
    blue, vermilion, green = "#0072B2", "#D55E00", "#009E73"
    assert found == [
        ("b (not comparable)", [[5, 4]], "white"), ("b", [[10, 5]], blue), ("b (not comparable)", [[20, 6]], "white"),
        ("a", [[5, 9]], vermilion), ("a", [[10, 2], [20, 3]], vermilion), ("c", [[20, 1]], green),
    ]  # fmt: skip


def test_slopes_are_those_of_the_table() -> None:
    figure = only(figures.slopes(one([*BOTH, *runs("b", [1.0], size=125)]), KD))
    (axes,) = figure.axes
    (point,) = [drawn for drawn in axes.lines if drawn.get_marker() == "o"]
    assert float(np.asarray(point.get_xdata())[0]) == pytest.approx(1.5)  # from 2 to 5 over two doublings
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert list(figures.slopes(one(runs("a", [1.0])), KD)) == []


def test_a_far_row_does_not_flatten_the_others() -> None:
    """A distance is drawn on a bent axis, a share and a metric without a direction never are."""
    far = [*runs("a", [0.02]), *runs("b", [0.05]), *runs("far", [0.6]), *runs("real", [-0.001])]
    (axes,) = only(figures.by_size(one(far), KD)).axes
    assert axes.get_yscale() == "asinh"
    assert [tick for tick in axes.get_yticks() if tick >= 0] == [0, 10, 20, 50, 100, 200, 500]
    assert axes.get_ylim()[0] < -1 and axes.get_ylim()[1] > 600
    places = axes.transData.transform([(5, 20), (5, 50), (5, 600)])[:, 1]
    assert places[1] - places[0] > (places[2] - places[0]) / 5  # 1/19 on a linear axis
    shares = [run(name, value, metric="target_share") for name, value in (("a", 0.01), ("b", 0.9))]
    assert only(figures.by_size(one(shares), ["target_share"])).axes[0].get_yscale() == "linear"


def test_anchors_are_told_apart() -> None:
    names = ("real", "identity", "copies", "truth", "truth-blurred")
    records = [run(name, 0.1, identity={"kind": "anchor"}) for name in names]
    found = looks(one([*records, run("a", 0.1)]))
    assert len({str((look["colour"], look["dashes"], look["mark"])) for look in found.values()}) == 6
    assert len({look["colour"] for look in found.values()}) == 6
    (axes,) = only(figures.by_size(one([*records, run("a", 0.1)]), KD)).axes
    assert {line.get_label() for line in axes.lines} >= set(names)


def test_legends_fit_into_the_figure() -> None:
    records = [run(f"a method with quite a long name ({n}=value)", 0.01 * n) for n in range(1, 12)]
    figure = only(figures.by_size(one(records), KD))
    figure.canvas.draw()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1


def test_cost_and_memorisation_place_a_point_a_row() -> None:
    spent = {"train_flop": 3e12, "prepare_flop": 1e12, "train_cpu_seconds": 50.0, "train_seconds": 999.0}
    records = runs("a", [0.001, 0.003], cost={key: int(value) for key, value in spent.items()})
    for record in records:
        record["metrics"]["nn_ratio"] = {**record["metrics"]["kd_effnet"], "value": 0.5}
    board = one(records)
    (kind, compute), (other, time) = figures.cost(board, KD)
    assert (kind, other) == ("cost", "cost-cpu") and compute.axes[0].get_xlabel().startswith("TFLOP")
    for figure, x in ((compute, 4.0), (time, 50.0), (only(figures.memorisation(board, KD)), 0.5)):
        (container,) = figure.axes[0].containers
        assert container[0].get_xydata().tolist() == [[x, 2.0]]
    assert list(figures.memorisation(one(runs("a", [1.0])), KD)) == []
    assert list(figures.cost(one(runs("a", [1.0])), KD)) == []  # seconds of the clock are not drawn


def test_cost_is_that_of_runs_that_are_done() -> None:
    cost = {"train_flop": 10**12}
    stopped = run("a", None, 2, status="diverged", error="nan", metrics={}, cost={"train_flop": 10**9})
    figure = only(figures.cost(one([*runs("a", [0.001, 0.003], cost=cost), stopped]), KD))
    assert figure.axes[0].containers[0][0].get_xydata().tolist() == [[1, 2]]


def test_class_bars_are_means_over_runs() -> None:
    records = runs("a", [1.0, 1.0])
    for record, parts in zip(records, ({"cat": 0.001, "dog": None}, {"cat": 0.003, "dog": 0.004})):
        record["metrics"]["kd_effnet"]["parts"] = parts
    (axes,) = only(figures.by_class(one(records), KD)).axes
    assert [bar.get_height() for bar in axes.patches] == [2.0, 4.0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["cat", "dog"]


def test_no_two_lines_look_alike() -> None:
    looks = [tuple(line(number).values()) for number in range(32)]
    assert len(set(looks)) == 32


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two methods with pictures of the same sources, one without, an outside program; a log with a group."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (4, 10, 3, 32, 32), dtype=np.uint8)
    records = [run("a", 1.0), run("b", 2.0), run("other", 3.0), run("x", 4.0, identity={"kind": "external"})]
    for record in records:
        record["task"]["resolution"] = 32
    folders = write(tmp_path, records)
    for folder, made in zip(folders, (rows[1], rows[2])):
        montage.save(folder / "samples.png", montage.grid([rows[0], made, rows[3]], scale=2))
    montage.save(folders[2] / "samples.png", montage.grid([rows[3], rows[1]], scale=2))  # other sources
    np.save(folders[3] / "translated.npy", rows[2])
    lines = [{"step": i, "images": i, "G": 30.0 / i, "mass/0/source": 0.2, "mass/0/target": 0.7} for i in (1, 2, 3)]
    (folders[0] / "train.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in lines))
    return tmp_path


def test_the_picture_grid_has_the_same_sources_for_all(results: Path) -> None:
    (board,) = read(results, None, Console(quiet=True))
    ((name, figure),) = list(pictures(board, KD))
    assert name == "pictures-5" and figure.get_suptitle().startswith("5 target images, seed 0: ")
    shown = {axes.get_ylabel(): np.asarray(axes.images[0].get_array()) for axes in figure.axes}
    assert list(shown) == ["source", "a", "b", "x", "truth"]  # `other` translated other sources
    assert (shown["x"] == shown["b"]).all() and not (shown["a"] == shown["b"]).all()
    assert shown["source"].shape == (64, 10 * 68 - 4, 3)


def test_learning_curves_and_groups(results: Path) -> None:
    (board,) = read(results, None, Console(quiet=True))
    (axes,) = only(training_figures.learning(board, KD)).axes
    assert [drawn.get_label() for drawn in axes.lines] == ["G"]
    assert axes.lines[0].get_xydata().tolist() == [[1, 30], [2, 15], [3, 10]]
    ((group, figure),) = list(training_figures.groups(board, KD))
    source, target = figure.axes[0].lines
    assert group == "mass-a" and figure.axes[0].get_title(loc="left") == "0"
    assert (source.get_label(), target.get_label()) == ("source", "target")
    assert source.get_xydata().tolist() == [[1, 0.2], [2, 0.2], [3, 0.2]]


def test_curves_on_training_images(results: Path) -> None:
    """A panel a metric, in the units of the tables; a method without a curve has no line."""
    for method, kd in (("a", (0.5, 0.25)), ("b", (0.4, 0.3))):
        (path,) = results.glob(f"runs/*/5/{method}/*/record.json")
        lines = [
            {"step": i, "images": i, "validation/kd_effnet": v, "validation/recall_effnet": 0.1}
            for i, v in enumerate(kd)
        ]
        (path.parent / "validation.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in lines))
    (board,) = read(results, None, Console(quiet=True))
    distance, recall = only(training_figures.validation(board, KD)).axes
    assert distance.get_title(loc="left") == "kd_effnet x1000" and recall.get_title(loc="left") == "recall_effnet"
    assert [drawn.get_xydata().tolist() for drawn in distance.lines] == [[[0, 500], [1, 250]], [[0, 400], [1, 300]]]


def test_pictures_and_curves_are_of_the_first_run_that_is_done_and_has_them(tmp_path: Path) -> None:
    """Seed 0 of `a` diverged and left a log, seed 1 left nothing, 2 and 3 left pictures and 3 a log."""
    sources, second, third = np.random.default_rng(0).integers(0, 256, (3, 10, 3, 32, 32), dtype=np.uint8)
    records = [run("a", None, status="diverged", error="nan", metrics={}), *(run("a", 1.0, seed) for seed in (1, 2, 3))]
    folders = write(tmp_path, [*records, run("b", 2.0)])
    for folder, made in ((folders[2], second), (folders[3], third), (folders[4], third)):
        montage.save(folder / "samples.png", montage.grid([sources, made], scale=2))
    for folder in (folders[0], folders[3]):
        (folder / "train.jsonl").write_text('{"step": 1, "images": 1, "G": 1, "mass/0/source": 1}\n')
    (board,) = read(tmp_path, None, Console(quiet=True))
    shown = {axes.get_ylabel(): axes.images[0].get_array() for axes in only(pictures(board, KD)).axes}
    assert list(shown) == ["source", "a, seed 2", "b, seed 0"]
    assert (np.asarray(shown["a, seed 2"]) == np.asarray(montage.grid([second], scale=2))[4:-4, 4:-4]).all()
    assert only(training_figures.learning(board, KD)).axes[0].get_title(loc="left") == "a, seed 3"
    assert "mass, a, seed 3, 5 target images" in only(training_figures.groups(board, KD)).get_suptitle()
    assert {key: value["runs"] for key, value in evidence(board, Budget()).items()} == {
        "0-5": {"curve": "seed 3", "samples": "seed 2"}, "1-5": {"samples": "seed 0"},
    }  # fmt: skip
    (folders[3] / "train.jsonl").unlink()
    assert only(training_figures.learning(board, KD)).axes[0].get_title(loc="left") == "a, seed 0 (diverged)"


def test_files(results: Path) -> None:
    draw(results, Chosen(metrics=("kd_effnet",)), Console(quiet=True), plots=True)
    folder = results / "leaderboard" / "plots" / "d-32px-default"
    kinds = {"learning", "mass-a", "pictures-5", "size"}
    assert {path.name for path in folder.iterdir()} == {f"{k}.{suffix}" for k in kinds for suffix in ("png", "pdf")}
    for kind in kinds:
        assert Image.open(folder / f"{kind}.png").width > 900
        assert (folder / f"{kind}.pdf").read_bytes().startswith(b"%PDF")
