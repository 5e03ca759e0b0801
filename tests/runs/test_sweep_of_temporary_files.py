"""What the owner of a run removes when it begins: its predecessor's half-written files, and nothing of the living."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from bench.core import ownership
from bench.core.errors import Busy
from bench.core.ownership import Ownership
from bench.core.progress import Quiet
from bench.runs.lifecycle import owned


def test_a_contender_that_has_not_linked_yet_hears_that_it_is_too_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, inside, go_on = os.link, threading.Event(), threading.Event()
    heard: list[str] = []

    def late(*words: Any) -> None:
        if threading.current_thread().name == "contender":
            inside.set()
            go_on.wait(10)
        link(*words)

    def contend() -> None:
        try:
            with Ownership(tmp_path):
                heard.append("owner")
        except Exception as error:
            heard.append(type(error).__name__)

    monkeypatch.setattr(ownership.os, "link", late)
    contender = threading.Thread(target=contend, name="contender")
    contender.start()
    assert inside.wait(10)
    (tmp_path / ".record.json.x.tmp").touch()
    with owned(tmp_path, Quiet()):
        assert not list(tmp_path.glob("*.tmp"))
        go_on.set()
        contender.join()
    assert heard == [Busy.__name__]
    assert not list(tmp_path.glob(".candidate-*"))
