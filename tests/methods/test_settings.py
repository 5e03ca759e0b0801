"""What every method tells about its settings."""

import pytest

from bench.core.registry import entries
from bench.training.config import build, describe, parse, spell


@pytest.mark.parametrize("name", list(entries("methods")))
def test_every_field_has_a_help_text(name: str) -> None:
    silent = [part.name for part in describe(entries("methods")[name].load().Config) if not part.help]
    assert not silent, f"declare these fields with bench.setting(default, help): {', '.join(silent)}"


@pytest.mark.parametrize("name", list(entries("methods")))
def test_every_default_can_be_typed(name: str) -> None:
    """What `bench list fields` prints is what --set takes."""
    cls = entries("methods")[name].load()
    for part in describe(cls.Config):
        assert parse(spell(part.default), part.kind.type) == part.default
    typed = [f"{part.name}={spell(part.default)}" for part in describe(cls.Config)]
    assert build(cls.Config, {"paper": {}}, "paper", typed) == cls.Config()
