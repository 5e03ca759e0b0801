"""What is said of a small set before anything is trained on it."""

import pytest

from bench.data.task import load_task
from bench.runs import small_sets
from bench.runs.small_sets import explain_small, lacking


def test_many_held_out_images_need_no_words() -> None:
    assert explain_small(load_task("emoji", 20, 32)) is None


def test_a_look_at_some_images_sees_what_all_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_task("emoji", 20, 32)
    seen = lacking(data)
    monkeypatch.setattr(small_sets, "MOST", 10_000)
    assert seen == lacking(data)
    few, other = seen
    assert few == {} and set(other) == {"the target domain has no label maps", "the target domain has no depth maps"}
