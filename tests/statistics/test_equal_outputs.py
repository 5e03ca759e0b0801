"""A program that ignores its seed gives the same images again and again: that is one draw, however often it ran."""

import math

from records import boards, long, runs

from bench.leaderboard.cells import column
from bench.statistics.compare import compare


def test_equal_images_under_three_seeds_are_one_draw() -> None:
    same = runs("a", [1.0, 1.0, 1.0], outputs={"translated.npy": "x" * 64})
    others = runs("b", [2.0, 2.1, 1.9])
    (board,) = boards([*same, *others])
    cells = {row.method: cell for row, cell in column(board, "kd_effnet", 5).cells.items()}
    assert cells["a"].mean and cells["a"].mean.draws == 1 and math.isnan(cells["a"].mean.half)
    assert cells["a"].rank == "unranked" and "2 with the seeds or the images of another" in cells["a"].partial
    assert cells["b"].mean and cells["b"].mean.draws == 3


def test_pairs_of_equal_images_are_one_pair() -> None:
    a = [{**r, "folder": f"a{i}"} for i, r in enumerate(runs("a", [1.0] * 3, outputs={"translated.npy": "x" * 64}))]
    b = [{**r, "folder": f"b{i}"} for i, r in enumerate(runs("b", [2.0] * 3, outputs={"translated.npy": "y" * 64}))]
    (row,) = compare(long([*a, *b]), "a", "b").to_dict("records")
    assert (row["cells"], row["verdict"]) == (1, "")


def test_different_images_of_equal_value_are_draws_of_their_own() -> None:
    records = [{**r, "outputs": {"translated.npy": str(i) * 64}} for i, r in enumerate(runs("a", [1.0, 1.0, 1.0]))]
    (board,) = boards(records)
    (cell,) = column(board, "kd_effnet", 5).cells.values()
    assert cell.mean and cell.mean.draws == 3
