"""Where a number comes from."""

from pathlib import Path

import pytest

import bench
from bench.core import provenance


def test_an_edit_while_a_run_trains_does_not_change_what_it_ran(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at_start = provenance.source_sha256()
    (tmp_path / "loop.py").write_text("edited = True\n")
    monkeypatch.setattr(bench.methods, "__path__", [str(tmp_path)])
    assert provenance.source_sha256() == at_start
    assert provenance.source_sha256.__wrapped__() != at_start
