"""A verdict names the anchors, and nothing leads in green that is no better than doing nothing."""

import pytest
from records import boards, run, runs

from bench.leaderboard.cells import Column, column
from bench.leaderboard.tables import tables
from bench.leaderboard.verdict import verdict


def found(*records: dict, metric: str = "target_share") -> Column:
    (board,) = boards(records)
    return column(board, metric, 5)


def share(method: str, values: list[float]) -> list[dict]:
    return runs(method, values, metric="target_share")


def test_a_leader_stands_beside_the_untouched_sources_and_real_images() -> None:
    """0.26, 0.28 have the mean 0.27: 0.27 / 0.065 = 4.15, 0.27 / 0.58 = 0.466."""
    ours = [*share("a", [0.26, 0.28]), *share("b", [0.05, 0.07])]
    records = [*ours, *share("identity", [0.065]), *share("real", [0.58])]
    kind, said = verdict(found(*records))
    assert kind == "best"
    assert said == (
        "a leads, separated from the other: 0.27, 4.2 times the untouched sources (0.065), 0.47 times real (0.58)."
    )


def test_who_is_no_better_than_doing_nothing_does_not_lead_in_green() -> None:
    """a beats b, and both are worse than the untouched sources: 12.6 by a distance of which less is better."""
    records = [
        *runs("a", [0.0175, 0.0180]),
        *runs("b", [0.0575, 0.0580]),
        run("identity", 0.0126),
        run("real", -0.001),
    ]
    kind, said = verdict(found(*records, metric="kd_effnet"))
    assert kind == "nothing"
    assert "no better than the untouched sources (12.6), against real (-1)" in said


@pytest.mark.parametrize(("nothing", "kind"), [(0.1, "best"), (0.2, "nothing")])
def test_the_interval_decides_and_not_the_mean_alone(nothing: float, kind: str) -> None:
    """Mean 0.25, draws 0.24 and 0.26: half = 12.706 * 0.01 = 0.127, so the interval is 0.123 to 0.377."""
    records = [*share("a", [0.24, 0.26]), *share("b", [0.04, 0.06]), *share("identity", [nothing])]
    assert verdict(found(*records))[0] == kind


def test_tables_say_it_too() -> None:
    records = [*share("a", [0.26, 0.28]), *share("b", [0.05, 0.07]), *share("identity", [0.065])]
    (board,) = boards(records)
    (table,) = tables(board, ["target_share"])
    assert table.verdicts == [
        "target_share ↑: a leads, separated from the other: 0.27, 4.2 times the untouched sources (0.065)."
    ]
