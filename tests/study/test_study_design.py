"""The questions of a study: balance over methods, sides and sources, and what cannot be."""

from collections import Counter
from itertools import chain, combinations

import pytest

from bench.core.errors import UserError
from bench.study.design import Question, design


def real(blocks: list[list[Question]]) -> list[Question]:
    return [question for question in chain(*blocks) if question.right is None]


def test_every_pair_is_asked_equally_often_and_on_both_sides() -> None:
    blocks = design(methods=3, sources=382, questions=120, per_user=10, choices=2, checks=0, seed=0)
    orders = Counter(question.options for question in real(blocks))
    assert set(orders.values()) == {20} and len(orders) == 6  # 120 questions over 3 pairs x 2 sides
    assert len({question.source for question in real(blocks)}) == 120  # no source twice


def test_pairs_are_balanced_within_each_block() -> None:
    for block in design(methods=3, sources=50, questions=90, per_user=9, choices=2, checks=0, seed=1):
        pairs = Counter(tuple(sorted(question.options)) for question in block)
        assert pairs == dict.fromkeys(combinations(range(3), 2), 3)


def test_three_choices_use_all_six_orders_equally() -> None:
    orders = Counter(q.options for q in real(design(3, 40, 60, 10, 3, 0, 0)))
    assert len(orders) == 6 and set(orders.values()) == {10}


def test_sources_repeat_only_after_all_were_asked() -> None:
    counts = Counter(q.source for q in real(design(2, 30, 100, 10, 2, 0, 0)))
    assert len(counts) == 30 and set(counts.values()) == {3, 4}


def test_checks_never_come_first_and_show_one_method() -> None:
    blocks = design(2, 30, 40, 10, 2, 2, 3)
    for block in blocks:
        checks = [q for q in block if q.right is not None]
        assert len(block) == 12 and len(checks) == 2 and block[0].right is None
        assert all(len(set(q.options)) == 1 and q.right in (0, 1) for q in checks)
    ids = [q.id for q in chain(*blocks)]
    assert len(set(ids)) == len(ids)


def test_the_seed_decides() -> None:
    assert design(3, 30, 30, 10, 2, 1, 5) == design(3, 30, 30, 10, 2, 1, 5)
    assert design(3, 30, 30, 10, 2, 1, 5) != design(3, 30, 30, 10, 2, 1, 6)


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ((1, 30, 20, 10, 2, 1, 0), "at least two runs"),
        ((2, 30, 20, 10, 3, 1, 0), "--choices 3"),
        ((4, 30, 20, 10, 4, 1, 0), "--choices 4"),
        ((2, 30, 25, 10, 2, 1, 0), "--questions 25 must be a multiple of --per-user 10"),
        ((2, 30, 20, 10, 2, -1, 0), "--checks -1"),
    ],
)
def test_sizes_that_cannot_be(sizes: tuple[int, ...], says: str) -> None:
    with pytest.raises(UserError, match=says):
        design(*sizes)
