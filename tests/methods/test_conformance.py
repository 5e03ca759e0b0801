"""Every registered method keeps every promise of the contract; a new file in methods/ is picked up by itself."""

from pathlib import Path

import pytest

from bench.core.registry import entries
from bench.testing import CHECKS, Check, check


@pytest.mark.parametrize("promise", CHECKS, ids=lambda promise: promise.__name__)
@pytest.mark.parametrize("name", list(entries("methods")))
def test_promise(name: str, promise: Check, tmp_path: Path) -> None:
    check(entries("methods")[name].load(), promise, tmp_path)
