"""Networks that are too large end in one line, before they take the machine's memory."""

import pytest
from torch import nn

from bench.core.errors import UserError
from bench.training import limits


def test_too_many_weights_are_refused_and_the_message_counts_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linear(9, 10) has 100 weights, 400 bytes; training takes 1,600."""
    monkeypatch.setattr(limits, "physical_memory", lambda: 1600)
    with limits.bounded():
        nn.Linear(9, 10)
    with (
        pytest.raises(UserError, match=r"more than 0 GB of weights, and training takes 4 times as much"),
        limits.bounded(),
    ):
        nn.Sequential(nn.Linear(9, 10), nn.Linear(1, 1, bias=False))
    nn.Sequential(nn.Linear(9, 10), nn.Linear(1, 1, bias=False))  # nothing is counted outside


def test_an_endless_network_is_refused() -> None:
    with pytest.raises(UserError, match=r"more than 100,000 tensors of weights; choose smaller"), limits.bounded():
        nn.Sequential(*(nn.PReLU(device="meta") for _ in range(10**9)))
