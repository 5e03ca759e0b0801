"""What is averaged, what leads, what is never ranked together. Every expected number is computed by hand."""

import math
from typing import Any

import pytest
from records import boards, long, run, runs

from bench.leaderboard.board import Board, _labels
from bench.leaderboard.cells import Cell, column, degradation, fitted
from bench.leaderboard.tables import tables
from bench.leaderboard.verdict import verdict
from bench.statistics.compare import compare
from bench.statistics.conditions import Condition
from bench.statistics.estimate import Estimate, estimate, paired
from bench.statistics.slopes import Point, slope

T2 = 4.3027  # Student's t, 97.5 %, 2 degrees of freedom: any printed table


def one(records: list[dict[str, Any]]) -> Board:
    (board,) = boards(records)
    return board


def cells(records: list[dict[str, Any]], size: int = 5, metric: str = "kd_effnet") -> dict[str, Cell]:
    return {row.label: cell for row, cell in column(one(records), metric, size).cells.items()}


def ranks(records: list[dict[str, Any]]) -> dict[str, str]:
    return {label: cell.rank for label, cell in cells(records).items()}


def test_the_interval_of_three_values() -> None:
    found = estimate({(0, 0): 1.0, (0, 1): 2.0, (0, 2): 3.0})
    assert (found.mean, found.draws, found.runs) == (2, 3, 3)
    assert found.half == pytest.approx(T2 * 1.0 / math.sqrt(3), rel=1e-4)
    assert math.isnan(estimate({(0, 0): 1.0}).low)


def test_subsets_are_the_draws_where_there_are_several() -> None:
    """Training seeds at -1 and +1 of the subset's value 0, 1, 2: three draws, not six."""
    found = estimate({(subset, seed): subset + (-1.0) ** seed for subset in range(3) for seed in (0, 1)})
    assert (found.mean, found.draws, found.runs) == (1, 3, 6)
    assert found.half == pytest.approx(T2 / math.sqrt(3), rel=1e-4)


def test_a_paired_difference_uses_shared_seeds_only() -> None:
    """Differences 1, 1.1, 0.9: mean 1, standard deviation 0.1."""
    a = {(0, 0): 11.0, (0, 1): 21.1, (0, 2): 30.9, (0, 9): -500.0}
    b = {(0, 0): 10.0, (0, 1): 20.0, (0, 2): 30.0, (1, 0): 500.0}
    found = paired(a, b)
    assert found and found.mean == pytest.approx(1.0) and found.draws == 3
    assert found.half == pytest.approx(T2 * 0.1 / math.sqrt(3), rel=1e-4)
    assert paired({(0, 0): 1.0}, {(0, 1): 1.0}) is None


def line_through(by_size: dict[int, dict[tuple[int, int], float]]) -> Estimate | None:
    alike = Condition(1, 100, 100, "same")
    return slope({size: Point(alike, values) for size, values in by_size.items()}).estimate


def test_the_slope_is_per_doubling() -> None:
    """Points (log2 size, value) at 0, 1, 3 doublings: 10, 8, 3. Sxx = 42/9, Sxy = -11; SSE = 26 - 11^2 / Sxx."""
    found = line_through({125: {(0, 0): 10.0}, 250: {(0, 0): 8.0}, 1000: {(0, 0): 3.0}})
    sxx = 42 / 9
    assert found and found.mean == pytest.approx(-11 / sxx) and found.draws == 3
    assert found.half == pytest.approx(12.7062 * math.sqrt((26 - 121 / sxx) / sxx), rel=1e-4)  # t(1) at 97.5 %
    assert line_through({125: {(0, 0): 1.0}}) is None


def test_degradation_is_over_the_sizes_that_a_row_has_whatever_others_have() -> None:
    records = [*runs("a", [8.0, 9.0], size=5), *runs("a", [4.0, 7.0], size=10), *runs("b", [1.0], size=5)]  # 8.5, 5.5
    board = one([*records, run("a", 99.0, size=7, added=True)])
    columns = [column(board, "kd_effnet", size) for size in (5, 7, 10)]
    found = {row.label: (degradation(columns, row).estimate, fitted(columns, row)) for row in board.rows}
    slope_of_a, sizes = found["a"]
    assert slope_of_a and slope_of_a.mean == pytest.approx(-3.0) and sizes == "5, 10"
    assert found["b"][0] is None
    (table,) = tables(board, ["kd_effnet"])
    text = next(cells for label, cells in table.rows if label == "a")[-2]
    assert text.text.startswith("-3000 ±") and table.notes[(text.note or 0) - 1].endswith("sizes 5, 10 only")


def test_a_slope_counts_draws_as_bench_slopes_does() -> None:
    """Two subsets at one size make subsets the draws at every size: (1, 3), (1, 5), (2, 1), where x is in doublings.

    Sxx = 2/3, Sxy = 3 (-1/3) + 5 (-1/3) + 1 (2/3) = -2, so -3 a doubling, of three draws.
    """
    by_size = {
        2: {(0, 0): 2.0, (0, 1): 4.0, (1, 0): 4.5, (1, 1): 5.5},
        4: {(0, 0): 0.5, (0, 1): 1.5},
    }
    found = line_through(by_size)
    assert found and found.draws == 3 and found.mean == pytest.approx(-3.0)
    records = [
        run("a", value, seed, size, identity={"subset_seed": subset})
        for size, values in by_size.items()
        for (subset, seed), value in values.items()
    ]
    board = one(records)
    shown = degradation([column(board, "kd_effnet", size) for size in (2, 4)], board.rows[0]).estimate
    assert shown == found


def test_a_mean_of_fewer_runs_than_there_are_says_so() -> None:
    newer = [run("a", 5.0, 0, version=2), *runs("a", [5.0, 7.0, 9.0])[1:]]
    cell = cells([*newer, *runs("b", [1.0, 2.0, 3.0], version=2)])["a"]
    assert cell.mean and (cell.mean.mean, cell.mean.runs) == (5.0, 1)
    assert cell.partial == "of 1 of 3 runs; not in it: 2 with version 1 of the metric, not 2"
    without = run("a", None, 1, reason="too few")
    assert cells([run("a", 5.0), without])["a"].partial == "of 1 of 2 runs; not in it: 1 without a value"
    assert cells(runs("a", [5.0, 6.0]))["a"].partial == ""
    (table,) = tables(one([run("a", 5.0), without]), ["kd_effnet"])
    assert "of 1 of 2 runs; not in it: 1 without a value" in table.notes


def test_of_runs_with_equal_seeds_the_newest_counts_whatever_the_order() -> None:
    old, new = run("a", 5.0), run("a", 9.0, finished="2026-02-01T00:00:00+00:00")
    b = runs("b", [1.0])
    for records in ([old, new], [new, old]):
        cell = cells([*records, *b])["a"]
        assert cell.mean and cell.mean.mean == 9.0
        assert cell.partial == "of 1 of 2 runs; not in it: 1 with the seeds or the images of another"
        (row,) = compare(long([{**r, "folder": str(i)} for i, r in enumerate([*records, *b])]), "a", "b").to_dict(
            "records"
        )
        assert (row["cells"], row["difference"]) == (1, 8.0)


def test_the_seeds_of_an_anchor_are_one_draw() -> None:
    """Three copies of one number say nothing of its spread; points 3, 1 a doubling apart have a slope, no interval."""
    records = [*runs("real", [3.0, 3.0, 3.0], size=5), *runs("real", [1.0, 1.0, 1.0], size=10)]
    board = one(records)
    columns = [column(board, "kd_effnet", size) for size in (5, 10)]
    (row,) = board.rows
    cell = columns[0].cells[row]
    assert cell.mean and cell.mean.draws == 1 and math.isnan(cell.mean.half) and not cell.partial
    found = degradation(columns, row).estimate
    assert found and found.mean == -2.0 and found.draws == 2 and math.isnan(found.half)


def test_the_verdict_of_a_lone_method_does_not_say_that_no_other_was_measured() -> None:
    diverged = [*runs("b", [1.0, 2.0]), run("b", None, 2, status="diverged", metrics={}, error="nan")]
    found = column(one([*runs("a", [5.0, 6.0, 7.0]), *diverged]), "kd_effnet", 5)
    assert verdict(found) == ("nothing", "Only a can be ranked: not ranked with b, whose notes say why.")
    assert (
        verdict(column(one(runs("a", [5.0])), "kd_effnet", 5))[1] == "Only a can be ranked: nothing to compare it with."
    )


def test_pairing_separates_what_the_intervals_alone_do_not() -> None:
    """Seeds move both methods by 10, the methods differ by 1 on each: 4.3 * 0.1 / sqrt(3) = 0.25 < 1."""
    records = runs("a", [10.0, 20.0, 30.0]) + runs("b", [11.0, 21.1, 30.9])
    found = cells(records)
    assert found["a"].rank == "best" and found["b"].rank == "behind"
    assert found["b"].gap and found["b"].gap.mean == pytest.approx(1.0)
    assert found["a"].mean and found["b"].mean and found["a"].mean.high > found["b"].mean.low


def test_without_shared_seeds_nothing_is_separated() -> None:
    moved = [run("b", value, seed) for value, seed in zip([50.0, 50.1, 49.9], (7, 8, 9))]
    assert ranks(runs("a", [1.0, 1.1, 0.9]) + moved) == {"a": "leads", "b": "level"}
    other_subset = [run("b", v, s, identity={"subset_seed": 1}) for s, v in enumerate([50.0, 50.1, 49.9])]
    assert ranks(runs("a", [1.0, 1.1, 0.9]) + other_subset) == {"a": "leads", "b": "level"}


def test_one_of_three_level_with_the_leader_is_enough_to_take_the_crown() -> None:
    found = ranks(runs("a", [1.0, 1.1, 0.9]) + runs("b", [1.0, 1.2, 0.9]) + runs("c", [5.0, 5.1, 4.9]))
    assert found == {"a": "leads", "b": "level", "c": "behind"}


def test_higher_is_better_where_the_metric_says_so() -> None:
    records = runs("a", [0.1, 0.11, 0.09], metric="target_share") + runs("b", [0.9, 0.91, 0.89], metric="target_share")
    found = cells(records, metric="target_share")
    assert found["b"].rank == "best" and found["a"].rank == "behind"
    assert found["a"].gap and found["a"].gap.mean == pytest.approx(-0.8)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (runs("a", [1.0]) + runs("b", [5.0]), {"a": "leads", "b": "level"}),  # one run each proves nothing
        (runs("a", [1.0, 1.1, 0.9]), {"a": "alone"}),
        (runs("a", [1.0, 1.1], n_ref=99) + runs("b", [5.0, 5.1, 4.9]), {"a": "unranked", "b": "alone"}),
        (runs("a", [1.0, 1.1], version=2) + runs("b", [5.0, 5.1, 4.9]), {"a": "alone", "b": "unranked"}),
        (runs("a", [1.0, 1.1], data="other") + runs("b", [5.0, 5.1, 4.9]), {"a": "unranked", "b": "alone"}),
        (runs("real", [0.0, 0.1]) + runs("b", [5.0, 5.1]), {"real": "unranked", "b": "alone"}),
        (runs("a", [1.0, 1.1], added=True) + runs("b", [5.0, 5.1]), {"a [external]": "unranked", "b": "alone"}),
    ],
)
def test_what_is_not_comparable_is_not_ranked(records: list[dict], expected: dict[str, str]) -> None:
    assert ranks(records) == expected


def test_a_metric_without_a_better_direction_ranks_nothing() -> None:
    found = cells(
        runs("a", [1.0, 1.1], metric="nn_ratio") + runs("b", [5.0, 5.1], metric="nn_ratio"), metric="nn_ratio"
    )
    assert {label: cell.rank for label, cell in found.items()} == {"a": "unranked", "b": "unranked"}


def test_the_reason_is_said() -> None:
    found = cells(runs("a", [1.0, 1.1], n_ref=99) + runs("b", [5.0, 5.1, 4.9]))
    assert found["a"].note == "not comparable: n 100/99, not 100/100"
    found = cells(runs("a", [1.0]) + runs("b", [5.0, 5.1], version=2))
    assert found["a"].note == "not comparable: version 1 of the metric, not 2"


def test_a_method_that_diverged_once_is_not_best() -> None:
    lost = run("a", None, 2, status="diverged", error="the loss g is not finite", metrics={})
    found = cells([*runs("a", [1.0, 1.1]), lost, *runs("b", [5.0, 5.1, 4.9])])
    assert found["a"].rank == "unranked" and "1 of 3 runs diverged" in found["a"].note
    assert cells([lost, *runs("b", [5.0])])["a"].state == "diverged"
    assert cells([lost, *runs("b", [5.0])])["a"].note == "the loss g is not finite"


def test_absent_cells_say_why() -> None:
    records = [*runs("a", [1.0]), run("b", None, reason="needs the Inception weights"), run("c", 1.0, size=9)]
    found = cells(records)
    assert (found["b"].state, found["b"].note) == ("undefined", "needs the Inception weights")
    assert (found["c"].state, found["c"].note) == ("missing", "no run")
    assert cells(records, size=9)["a"].state == "missing"


def test_only_runs_that_differ_in_seeds_are_averaged() -> None:
    wide = run("a", 5.0, config={"width": 9, "depth": 2})
    slim = runs("a", [1.0, 2.0], config={"width": 4, "depth": 2})
    found = cells([*slim, wide])
    assert {label: cell.mean.mean for label, cell in found.items() if cell.mean} == {
        "a (width=4)": 1.5,
        "a (width=9)": 5.0,
    }


def test_several_outputs_of_an_outside_program_are_one_row() -> None:
    records = [run("x", float(s), s, config={"images_sha256": str(s)}, identity={"kind": "external"}) for s in (1, 3)]
    (cell,) = cells(records).values()
    assert cell.mean and cell.mean.mean == 2 and cell.mean.draws == 2


def test_boards_never_mix_data_sets_protocols_or_resolutions() -> None:
    records = [run("a", 1.0), run("a", 1.0, identity={"resolution": 64}), run("a", 1.0, identity={"protocol": "p"})]
    assert len(boards([*records, run("a", 1.0, identity={"dataset": "e"})])) == 4


def test_rows_are_in_one_order_by_the_ranking_metric_at_the_smallest_size() -> None:
    """Anchors stay first; who has no value at the smallest size comes after all who have one."""
    task = {"primary": "translated"}
    shares = {"worst": 0.1, "best": 0.9, "middle": 0.5, "identity": 0.2, "real": 0.8}
    small = [run(name, share, metric="translated", task=task) for name, share in shares.items()]
    large = [
        run("worst", 0.95, metric="translated", size=10, task=task),
        run("late", 1.0, metric="translated", size=10),
    ]
    found = one([*small, *large])
    assert [row.method for row in found.rows] == ["real", "identity", "best", "middle", "worst", "late"]
    lower = one([run("a", 0.3), run("b", 0.1), run("c", 0.2)])
    assert [row.method for row in lower.rows] == ["b", "c", "a"]


def test_a_label_names_what_tells_variants_apart_and_nothing_that_a_variant_leaves_unread() -> None:
    """With augment_d=none nothing reads the other settings of augmentation, so such a record has none of them."""
    told = {"augment_d": "ada", "augment_policy": ["color"], "ada_kimg": 0.4}
    facts = {
        ("cut", "1", "method", False): {"width": 4},
        ("cut", "2", "method", False): {"width": 4, **told},
        ("cut", "3", "method", False): {"width": 4, **told, "augment_d": "diffaugment"},
    }
    assert list(_labels(facts).values()) == ["cut", "cut (augment_d=ada)", "cut (augment_d=diffaugment)"]


def test_scores_of_two_judges_are_not_ranked_together() -> None:
    """b has the best score, by another machine's judge: a leads, and the table says why b is left out."""
    alike: dict[str, Any] = {"metric": "translated", "network": "1" * 64}
    records = [*runs("a", [0.5, 0.6], **alike), *runs("c", [0.4, 0.3], **alike)]
    other = runs("b", [0.9, 0.8], metric="translated", network="2" * 64)
    judged = {row.label: cell for row, cell in column(one([*records, *other]), "translated", 5).cells.items()}
    assert judged["a"].rank in ("leads", "best") and judged["b"].rank == "unranked"
    assert judged["b"].note == "not comparable: judged by another network"
    unknown = runs("b", [0.9, 0.8], metric="translated")
    judged = {row.label: cell for row, cell in column(one([*records, *unknown]), "translated", 5).cells.items()}
    assert judged["b"].note == "not comparable: judged by a network that is not recorded"
    half = [run("a", 0.5, size=5, **alike), run("a", 0.6, size=10, metric="translated", network="2" * 64)]
    board = one(half)
    by_size = degradation([column(board, "translated", size) for size in (5, 10)], board.rows[0])
    assert by_size.estimate is None and by_size.reason == "measured by several networks"
