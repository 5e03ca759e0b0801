"""Every registered method keeps every promise of the contract; a new file in methods/ is picked up by itself."""

from pathlib import Path

import pytest

from bench.core.registry import entries
from bench.methods.modes import MultiClass
from bench.testing import CHECKS, Check, check
from bench.testing.learning import bfloat16_autocast


@pytest.mark.parametrize("promise", CHECKS, ids=lambda promise: promise.__name__)
@pytest.mark.parametrize("name", list(entries("methods")))
def test_promise(name: str, promise: Check, tmp_path: Path) -> None:
    check(entries("methods")[name].load(), promise, tmp_path)


@pytest.mark.parametrize("kind", ["modes:2", "vae-modes:2"])
@pytest.mark.parametrize("views", ["code", "paper"])
@pytest.mark.parametrize("name", list(entries("methods")))
def test_mode_finding_runs_in_bfloat16(name: str, views: str, kind: str, tmp_path: Path) -> None:
    """Whatever the preset's classes are: each encoder and each set of views, on which the representation depends."""
    cls = entries("methods")[name].load()
    if not issubclass(cls, MultiClass):
        pytest.skip(f"{name} has two domains")
    encoder = {"encoder_views": views, "encoder_width": 4, "encoder_epochs": 1, "encoder_batch": 8}
    check(cls, bfloat16_autocast, tmp_path, {"classes": kind, **encoder})
