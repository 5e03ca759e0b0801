"""What every method tells about its settings."""

import pytest

from bench.core.errors import UserError
from bench.core.registry import entries
from bench.training.config import build, describe, parse, spell
from bench.training.method import Task


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


@pytest.mark.parametrize("name", list(entries("methods")))
def test_a_number_that_no_machine_can_hold_ends_in_one_line(name: str) -> None:
    """A count of 10^8 is refused, or is built in the end (bench.training.limits refuses it then); nothing else."""
    cls = entries("methods")[name].load()
    for part in describe(cls.Config):
        if part.kind.type is not int:
            continue
        try:
            cls.check(Task(32, 20, 6, 3), build(cls.Config, cls.presets, "smoke", [f"{part.name}={10**8}"]))
        except UserError as error:
            assert len(str(error)) < 400, part.name
