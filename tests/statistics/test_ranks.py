"""Who leads: decided by paired differences, never by means over unequal draws. Expected values by hand."""

from bench.statistics.ranks import Ranking, beats, rank


def values(*found: float) -> dict[tuple[int, int], float]:
    """One value for each of the training seeds 0, 1, ..."""
    return {(0, seed): value for seed, value in enumerate(found)}


def ranked(better: str = "lower", **rows: dict) -> Ranking:
    return rank(rows, better)  # type: ignore[arg-type]


def test_a_row_that_lacks_the_hard_draw_does_not_lead() -> None:
    """A is better than B on every draw that both have; only A has the fourth, on which everybody is bad."""
    a, b = values(10.0, 12.0, 11.0, 30.0), values(11.0, 13.1, 11.9)
    found = ranked(a=a, b=b)
    assert (found.leader, found.behind, found.best) == ("a", {"b"}, True)
    assert sum(b.values()) / 3 < sum(a.values()) / 4  # by the means alone B would lead


def test_one_lucky_run_takes_nobodys_place() -> None:
    found = ranked(a=values(10.0, 12.0, 11.0), c=values(30.0, 33.0, 31.0), once=values(9.9))
    assert (found.leader, found.behind, found.too_few) == ("a", {"c"}, {"once"})
    assert "once" not in found.gaps


def test_where_all_have_one_draw_the_best_value_leads_and_beats_nobody() -> None:
    found = ranked(a=values(3.0), b=values(2.0))
    assert (found.leader, found.behind, found.best, found.too_few) == ("b", set(), False, set())


def test_the_higher_value_leads_where_higher_is_better() -> None:
    found = ranked("higher", a=values(0.5, 0.6), b=values(0.1, 0.2))
    assert (found.leader, found.behind) == ("a", {"b"})  # differences 0.4, 0.4: no spread


def test_seeds_of_one_subset_among_several_are_one_draw() -> None:
    two_subsets = {(subset, seed): subset + 0.1 * seed for subset in (0, 1) for seed in (0, 1)}
    one_subset = {(0, seed): -1.0 for seed in (0, 1)}
    assert ranked(a=two_subsets, b=one_subset).too_few == set()  # two seeds of one subset are two draws of that subset
    assert not beats(one_subset, values(5.0), "lower")  # one shared draw has no interval


def test_rows_that_beat_one_another_in_a_ring_have_no_leader() -> None:
    """a beats b on seeds 0 and 1, b beats c on 2 and 3, c beats a on 4 and 5."""
    a = {(0, 0): 0.0, (0, 1): 0.0, (0, 4): 1.0, (0, 5): 1.0}
    b = {(0, 0): 1.0, (0, 1): 1.0, (0, 2): 0.0, (0, 3): 0.0}
    c = {(0, 2): 1.0, (0, 3): 1.0, (0, 4): 0.0, (0, 5): 0.0}
    assert ranked(a=a, b=b, c=c).leader is None
